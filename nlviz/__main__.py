"""``python -m nlviz``, and the command ``nlviz``."""

from __future__ import annotations

import sys


def start() -> int:
    """Run one command; Ctrl-C while modules are still being imported is no traceback either."""
    try:
        from nlviz.cli import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130


if __name__ == "__main__":
    sys.exit(start())
