"""A Chromium for the tests: the one that is named, installed, or came with Playwright."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

# The shell first: it has no window to draw, and opens a page in about half the processor's time.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
# Quiet (no calls home) and drawn in software: a machine without a display or a GPU will do.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowserError(RuntimeError):
    """No Chromium on this machine."""


def find(playwright: Playwright) -> str:
    """Path of a Chromium: the variable CHROME, then one on the PATH, then Playwright's own.

    Raises:
        NoBrowserError: none is there; says how to get one.
    """
    named = os.environ.get("CHROME")
    if named:
        path = shutil.which(named)
        if path is None:
            raise NoBrowserError(f"CHROME names {named!r}, which is not a program on this machine.")
        return path
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    own = playwright.chromium.executable_path
    if Path(own).exists():
        return own
    raise NoBrowserError(
        "The browser tests need Chromium or Chrome and found none; install one, run "
        "`python -m playwright install chromium`, or set CHROME to its path."
    )


def launch(playwright: Playwright) -> Browser:
    """A headless browser."""
    return playwright.chromium.launch(executable_path=find(playwright), args=list(FLAGS))
