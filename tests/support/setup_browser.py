"""Make sure that the tests have a browser: ``python -m tests.support.setup_browser``.

One that is there; else Debian's package when root; else Playwright's own; else one sentence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

from tests.support.browser import NoBrowserError, find

_APT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def there() -> bool:
    """Whether a browser is found; NoBrowserError where CHROME names none."""
    with sync_playwright() as playwright:
        try:
            find(playwright)
        except NoBrowserError:
            if os.environ.get("CHROME"):
                raise
            return False
    return True


def from_debian() -> None:
    """Install Debian's Chromium, if this is root on a Debian."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    subprocess.run(["apt-get", "update", "-qq"], env=_APT, check=False)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    subprocess.run(install, env=_APT, check=False, stdout=subprocess.DEVNULL)


def from_playwright() -> None:
    """Download the browser that Playwright was tested with."""
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> int:
    """0 once a browser is there, 1 after one sentence where none could be had."""
    try:
        for install in (lambda: None, from_debian, from_playwright):
            install()
            if there():
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
