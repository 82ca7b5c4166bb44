"""Bring the programs that the tests run beside Python: ``python -m tests.support.setup_programs``.

The browser must be there: one that is found; else Debian's package when root; else Playwright's
own; else one sentence. The others read what nlviz wrote: Debian's packages when root; without them
a few tests are skipped, and ``missing`` says so once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = {"ffmpeg": "ffmpeg", "rsvg-convert": "librsvg2-bin", "pdftoppm": "poppler-utils"}
_APT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def missing() -> str | None:
    """The programs that read our files and are not on this machine, in one sentence."""
    names = [name for name in PACKAGES if shutil.which(name) is None]
    if not names:
        return None
    packages = " ".join(PACKAGES[name] for name in names)
    return (
        f"This machine has no {', '.join(names)}: the tests that need them are skipped; "
        f"on Debian: apt-get install {packages}"
    )


def has_browser() -> bool:
    """Whether a browser is found; NoBrowserError where CHROME names none."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import NoBrowserError, find

    with sync_playwright() as playwright:
        try:
            find(playwright)
        except NoBrowserError:
            if os.environ.get("CHROME"):
                raise
            return False
    return True


def from_debian(*packages: str) -> None:
    """Install Debian's packages, if this is root on a Debian."""
    if not packages or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    subprocess.run(["apt-get", "update", "-qq"], env=_APT, check=False)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(install, env=_APT, check=False, stdout=subprocess.DEVNULL)


def from_playwright() -> None:
    """Download the browser that Playwright was tested with."""
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> int:
    """0 once a browser is there, 1 after one sentence where none could be had."""
    from tests.support.browser import NoBrowserError

    from_debian(*(package for name, package in PACKAGES.items() if shutil.which(name) is None))
    try:
        for install in (
            lambda: None,
            lambda: from_debian("chromium-headless-shell"),
            lambda: from_debian("chromium"),
            from_playwright,
        ):
            install()
            if has_browser():
                return 0
    except NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        "No Chromium or Chrome could be found or installed; install one and run `make test` again, "
        "or set CHROME to its path.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
