"""What the app's own server answers besides the page, and what it lets in."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from streamlit import config, runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from nlviz.app import delivery, door, held, login, pages, startup, store, turns
from nlviz.app.meters import METERS, gauge
from nlviz.app.uploads import COOKIE
from nlviz.errors import NlvizError
from nlviz.media.own_folder import own_folder

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("nlviz")

_UPLOADS = "/_stcore/upload_file/"
_CHECKPOINT = 1000 << 20  # the largest file of any control
_CONNECTIONS = 4  # for each visitor who may be inside; those who wait at the door are connected too


def prepare() -> None:
    """Once, before the server serves: a sentence and no server where it was started wrongly.

    Whatever this process writes for a while lies in a folder of its own from now on, and those of
    servers that were killed are removed.
    """
    try:
        startup.check()
        login.check()
    except NlvizError as error:
        raise SystemExit(str(error)) from None
    delivery.mend()
    tempfile.tempdir = str(own_folder())


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """What lies around the server's life: its folder goes with it."""
    yield
    shutil.rmtree(own_folder(), ignore_errors=True)


def routes() -> list[BaseRoute]:
    """``/health`` and ``/metrics``."""
    from starlette.routing import Route

    return [Route("/health", _health), Route("/metrics", _metrics)]


def middleware() -> list[Middleware]:
    """What stands before all of Streamlit's."""
    from starlette.middleware import Middleware

    return [Middleware(Gate)]


async def _health(request: Request) -> Response:
    """200 while the server answers; the body says how full it is."""
    from starlette.responses import Response

    here = door.of_server()
    inside, most = here.inside, startup.most_visitors()
    told = {
        "status": "full" if inside >= most else "ok",
        "visitors": inside,
        "most_visitors": most,
        "waiting_for_the_network": turns.shared().waiting,
    }
    return Response(json.dumps(told), media_type="application/json")


async def _metrics(request: Request) -> Response:
    from starlette.responses import Response

    return Response(text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def text() -> str:
    """All numbers of the server in Prometheus's text format."""
    here, queue = door.of_server(), turns.shared()
    gauges = (
        ("nlviz_visitors", "Visitors who are inside.", [("", here.inside)]),
        ("nlviz_visitors_waiting", "Visitors who wait at the door.", [("", here.waiting)]),
        ("nlviz_queue_waiting", "Computations that wait for the network.", [("", queue.waiting)]),
        ("nlviz_queue_running", "1 while one runs a network.", [("", queue.running)]),
        (
            "nlviz_held_bytes",
            "Bytes held for visitors, by where.",
            [
                ('where="results"', store.shared().bytes),
                ('where="pages"', pages.held()),
                ('where="uploads_on_disk"', held.DISK.total - held.DISK.in_folders),
                ('where="windows_on_disk"', held.DISK.in_folders),
                ('where="uploads_in_memory"', _in_memory()),
            ],
        ),
    )
    return "".join(gauge(*each) for each in gauges) + METERS.text()


def _manager() -> MemoryUploadedFileManager | None:
    if not runtime.exists():
        return None
    manager = runtime.get_instance().uploaded_file_mgr
    return manager if isinstance(manager, MemoryUploadedFileManager) else None


def _in_memory() -> int:
    """Bytes of uploads that no page has taken to disk yet."""
    manager = _manager()
    if manager is None:
        return 0
    return sum(each.byte_length for stats in manager.get_stats().values() for each in stats)


def _of_session(session: str) -> int:
    manager = _manager()
    files = {} if manager is None else manager.file_storage.get(session, {})
    return sum(len(file.data) for file in list(files.values()))


class Gate:
    """Lets in no upload that the server has no room for: nothing of it is kept.

    Whoever sends files past the page's controls meets it too. So do more connections than any
    number of visitors at the door would need.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._coming = 0  # bytes of uploads that are on their way
        self._connections = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "PUT" and _UPLOADS in scope["path"]:
            await self._upload(scope, receive, send)
        elif scope["type"] == "http":
            send = _with_cookie(send) if _is_new(scope) else send
            await self._app(scope, receive, _with_way_back(scope, send))
        else:
            await self._app(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._connections >= _CONNECTIONS * startup.most_visitors():
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "This server is full."})
            return
        self._connections += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._connections -= 1

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = _length(scope)
        why = (411, "Say how long the file is.") if size is None else self._refusal(scope, size)
        if why is not None:
            METERS.refused("upload")
            from starlette.responses import PlainTextResponse

            await _drained(receive)
            await PlainTextResponse(why[1], why[0])(scope, receive, send)
            return
        from starlette.requests import ClientDisconnect

        self._coming += size or 0
        try:
            with suppress(ClientDisconnect):  # who leaves half way is no error of the server's
                await self._app(scope, receive, send)
        finally:
            self._coming -= size or 0

    def _refusal(self, scope: Scope, size: int) -> tuple[int, str] | None:
        """The status and the sentence for an upload that may not come in; None for one that may."""
        if startup.is_demo():
            return 403, "This server takes no files."
        session = scope["path"].partition(_UPLOADS)[2].partition("/")[0]
        if login.is_outside(session):
            return 403, "Log in first."
        largest = max(int(config.get_option("server.maxUploadSize")) << 20, _CHECKPOINT)
        in_memory = self._coming + _in_memory()
        # Always room for one file: a server that holds nothing takes any that its controls take.
        if in_memory and in_memory + size > max(store.usual(), largest):
            return 503, "Others upload files just now; try again in a minute."
        on_disk = held.DISK.total
        if on_disk and on_disk + size > startup.disk_bytes():
            return 507, "This server has no room for another file now."
        if _of_session(session) + size > largest:
            return 507, "This page has uploaded as much as it may."
        return None


def _is_new(scope: Scope) -> bool:
    """Whether a browser comes to the page for the first time."""
    if scope["method"] != "GET" or "/_stcore/" in scope["path"]:
        return False
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    return not any(f"{COOKIE}=".encode() in each for each in cookies)


def _with_cookie(send: Send) -> Send:
    """Sends what it is given with a cookie that ends with the browser, and no script can read."""
    cookie = f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; HttpOnly; SameSite=Lax".encode()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"set-cookie", cookie)]}
        await send(message)

    return sent


def _with_way_back(scope: Scope, send: Send) -> Send:
    """Sends what it is given, and the browser back to the page where a login has failed."""
    path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            back = login.way_back(path, query, message["status"], headers)
            if back is not None:
                kept = [each for each in headers if each[0] != b"location"]
                headers = [*kept, (b"location", back.encode("latin-1"))]
                message = {**message, "status": 303, "headers": headers}
        await send(message)

    return sent


async def _drained(receive: Receive) -> None:
    """Let a body go by: a browser sees no answer before it has sent all."""
    while (await receive()).get("more_body"):
        pass


def _length(scope: Scope) -> int | None:
    """What the request says of its body's length."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
