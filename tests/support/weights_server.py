"""A server of weights on this machine, with the faults that servers have."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves ``content``; breaks off after ``until`` bytes, and knows ranges if ``ranges``.

    Where ``goes_on`` is given, it is waited for in the middle of each answer.
    """

    content = b""
    kind = "application/octet-stream"
    until: int | None = None
    ranges = True
    status: int | None = None
    goes_on: threading.Event | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    def handle_error(self, request, client_address):
        """A client that hangs up, as ours does on a web page, is no error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pkl"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = 0
        tag = '"' + hashlib.sha256(self.server.content).hexdigest() + '"'
        if wanted and self.server.ranges and self.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            whole = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", tag)
        self.end_headers()
        body = body[: self.server.until]
        middle = len(body) // 2
        self.wfile.write(body[:middle])
        if self.server.goes_on is not None:
            self.wfile.flush()
            self.server.goes_on.wait(60)
        self.wfile.write(body[middle:])

    def log_message(self, *args):
        pass
