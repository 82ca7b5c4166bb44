"""``python -m nlviz app``: open the app in the browser."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
from typing import Any, NoReturn

from nlviz.cli.options import add_by_name
from nlviz.cli.typed import count
from nlviz.errors import NlvizError
from nlviz.resources import HOME, MEND

_APP = HOME / "app.py"  # Streamlit reads .streamlit and static beside it, wherever it is started


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("app", help="open the app")
    model = "a network of your own, or one by name: timm:NAME, hf:ORG/NAME, torchhub:REPO:ENTRY"
    parser.add_argument("--model", metavar="SPEC", help=model)
    parser.add_argument("--weights", metavar="FILE", help="a checkpoint for it")
    add_by_name(parser)
    keep = "how much the server keeps of all visitors' results (default: an eighth of the memory)"
    parser.add_argument("--keep", type=count, metavar="MB", help=keep)
    fetch = "visitors may fetch published networks for all, also where others can open the app"
    parser.add_argument("--fetch", action="store_true", help=fetch)
    demo = "visitors see the bundled clips alone: no upload, no download of networks"
    parser.add_argument("--demo", action="store_true", help=demo)
    media = "a folder whose clips, pictures and sessions visitors may open without an upload"
    parser.add_argument("--media", metavar="FOLDER", help=media)
    models = (
        "the networks that visitors may choose, also by name, with commas between them (default: "
        "all, and by name those in this machine's caches)"
    )
    parser.add_argument("--models", metavar="NAME,…", help=models)
    visitors = "how many may use the app at a time; others wait at the door (default: 64)"
    parser.add_argument("--visitors", type=count, metavar="N", help=visitors)
    disk = "how much visitors' files may take on disk (default: a quarter of what is free)"
    parser.add_argument("--disk", type=count, metavar="MB", help=disk)
    longest = "how long one computation may take, its waiting not counted (default: 900)"
    parser.add_argument("--longest", type=count, metavar="SECONDS", help=longest)
    port = "where to serve it (default: 8501, or the next free one)"
    parser.add_argument("--port", type=count, help=port)
    parser.set_defaults(command=_app)


def _app(options: argparse.Namespace) -> None:
    if not _APP.is_file():
        raise NlvizError(f"The app's own file {_APP.name} is missing; {MEND}.")
    # -P: a file nlviz.py or streamlit.py in the folder of the start is not what is meant.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(_APP), *_port(options.port)]
    command += _own(options)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        ended = subprocess.run(command, check=False)
    finally:
        signal.signal(signal.SIGTERM, before)
    if ended.returncode > 0:
        raise NlvizError("The app could not be served; the reason is above.")


def _stop(*_: object) -> NoReturn:
    """What a service manager or a container says to end: the server that was started ends too."""
    sys.exit(0)


def _port(port: int | None) -> list[str]:
    """Streamlit's option for a port that is free; NlvizError for one that is not."""
    if port is None:
        return []
    if port > 65535:
        raise NlvizError(f"The port {port} does not exist; choose one of 1 to 65535.")
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError as error:
        why = (
            "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise NlvizError(f"Port {port} {why}; choose another with --port.") from None
    return ["--server.port", str(port)]


def _own(options: argparse.Namespace) -> list[str]:
    """What goes on to the app, once it is sure that the file can be used."""
    if options.media is not None and not os.path.isdir(options.media):
        raise NlvizError(f"There is no folder '{options.media}' for --media; give one that exists.")
    kept = ["--fetch"] if options.fetch else []
    kept += ["--demo"] if options.demo else []
    for name in ("keep", "media", "models", "visitors", "disk", "longest"):
        given = getattr(options, name)
        kept += [] if given is None else [f"--{name}", str(given)]
    for repository in options.trust or ():
        kept += ["--trust", repository]
    if options.model is None:
        for name, given in (("--weights", options.weights), ("--input", options.record)):
            if given:
                raise NlvizError(f"{name} goes with --model; give both.")
        return ["--", *kept] if kept else []
    from nlviz.inference.loading import declares_its_input, load

    if not declares_its_input(options.model):
        raise NlvizError(
            f"'{options.model}' is on the app's menu already; --model is for a network by name or "
            "FILE.py:FUNCTION of your own."
        )
    record = dict(options.record or ())
    load(
        options.model,
        weights=options.weights,
        input=record or None,
        trust=tuple(options.trust or ()),
    )
    for name, value in record.items():
        several = value if isinstance(value, tuple) else (value,)
        kept += ["--input", f"{name}={','.join(map(str, several))}"]
    weights = [] if options.weights is None else ["--weights", options.weights]
    return ["--", "--model", options.model, *weights, *kept]
