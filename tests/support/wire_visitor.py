"""A visitor on a real websocket, without a browser: what Streamlit's own page says and hears."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.cookiejar import CookieJar
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from tests.support.page_tree import PageTree

PATIENCE = 120.0  # seconds; a loaded machine may need them, a quiet one does not
_TICK = 0.35  # seconds between two looks at a job, as in progress.js
_TRIGGER = "$$STREAMLIT_INTERNAL_KEY_{}__events"
_ASK_AGAIN = {"nlviz_waiting": "tick", "nlviz_network_word": "tick"}


class WireVisitor:
    """Comes to an address, and answers the app as its page would.

    ``seen`` has the last element of each of our components by name, ``texts`` what alerts said, and
    ``tree`` where everything lies, as long as the page could place it.
    """

    def __init__(self, address: str, query: str = "", cookies: CookieJar | None = None) -> None:
        self.address, self.query = address, query
        self.cookies = CookieJar() if cookies is None else cookies
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        for path in ("", "/_stcore/health", "/_stcore/host-config"):
            opener.open(address + path, timeout=PATIENCE).read()
        self.seen: dict[str, tuple[Any, str]] = {}
        self.elements: dict[str, Any] = {}
        self._fragments: dict[str, str] = {}
        self.texts: list[str] = []
        self.tree = PageTree()
        self.session = ""
        self._tabs = "", ""
        self._bodies: deque[str] = deque(maxlen=100)
        self._due: dict[str, float] = {}
        self._timers: dict[str, tuple[float, float]] = {}  # fragments that run by themselves
        self._beats = 0
        self.finished = 0
        self.runs = False
        self._connect()

    def _connect(self, session: str = "") -> None:
        token = self.xsrf
        protocols = ["streamlit", token or "none", *([session] if session else [])]
        cookie = "; ".join(f"{each.name}={each.value}" for each in self.cookies)
        self._open = ExitStack()
        self.socket = self._open.enter_context(
            connect(
                self.address.replace("http", "ws") + "/_stcore/stream",
                subprotocols=protocols,  # type: ignore[arg-type]
                additional_headers={"Cookie": cookie} if cookie else None,
                origin=self.address,  # type: ignore[arg-type]
                max_size=None,
                max_queue=None,
                ping_interval=None,
                open_timeout=PATIENCE,
            )
        )
        self.say()

    @property
    def xsrf(self) -> str:
        """The token that uploads show."""
        return next((each.value or "" for each in self.cookies if "xsrf" in each.name), "")

    def say(self, *states: dict[str, Any], fragment: str = "") -> None:
        """Ask for a run, of the page or of one fragment, with what controls say."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.fragment_id = fragment
        message.rerun_script.widget_states.SetInParent()
        for each in states:
            message.rerun_script.widget_states.widgets.add(**each)
        self.socket.send(message.SerializeToString())

    def trigger(self, name: str, event: str, value: Any) -> None:
        """What the JavaScript of a component says with ``setTriggerValue``."""
        mount, fragment = self.seen[name]
        said = json.dumps([{"event": event, "value": value}])
        state = {"id": _TRIGGER.format(mount.id), "json_trigger_value": said}
        self.say(state, fragment=fragment)

    def act(self, **said: Any) -> None:
        """What the viewer says when the visitor pins or clears."""
        self.trigger("nlviz_viewer", "act", said)

    def open_tab(self, name: str) -> None:
        """Click on a tab below the viewer."""
        tabs, fragment = self._tabs
        self._bodies.clear()
        self.say({"id": tabs, "string_value": name}, fragment=fragment)

    @property
    def page(self) -> str:
        """The last texts and tables that the page was sent."""
        return "\n".join(self._bodies)

    def press(self, key: str) -> None:
        """Press the button whose key ends so."""
        self.say({"id": self._named(key), "trigger_value": True})

    def choose(self, key: str, option: str, fragment: str) -> None:
        """Choose of several options, where a page of that fragment shows them."""
        self.say(
            {"id": self._named(key), "string_array_value": {"data": [option]}}, fragment=fragment
        )

    def fragment_of(self, key: str) -> str:
        """The fragment that the control whose key ends so was drawn in."""
        return self._fragments[self._named(key)]

    def _named(self, key: str) -> str:
        return next(name for name in self.elements if name.endswith(key))

    @property
    def has_tabs(self) -> bool:
        """Whether the row of tabs is there."""
        return bool(self._tabs[0])

    @property
    def scene(self) -> dict[str, Any] | None:
        """What the viewer shows; None before it is there."""
        found = self.seen.get("nlviz_viewer")
        if found is None:
            return None
        text = json.loads(found[0].json)[0]
        scene: dict[str, Any] = json.loads(text) if isinstance(text, str) else text
        return scene

    @property
    def where(self) -> str:
        """The query of the page's address, as the app writes it."""
        found = self.seen.get("nlviz_location")
        return str(json.loads(found[0].json)[0]) if found else ""

    def pins(self) -> list[Any]:
        """The pins that Python has answered."""
        scene = self.scene
        return [] if scene is None else [pin for pin in scene["pins"] if pin["exact"] is not None]

    def until(self, holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> float:
        """Seconds until it holds; AssertionError where it never does."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < patience, f"never: {what}; {self.texts}"
            self.hear_one(0.05)
        return time.monotonic() - began

    def listen(self, seconds: float) -> None:
        """Hear what comes for that long, and ask again where the page would."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.hear_one(min(left, 0.05))

    def hear_one(self, seconds: float) -> None:
        """Hear what comes next, if it comes in that time."""
        self._ask_again()
        with suppress(TimeoutError):
            self._hear(ForwardMsg.FromString(self.socket.recv(timeout=seconds)))  # type: ignore[arg-type]

    def _ask_again(self) -> None:
        now = time.monotonic()
        for fragment, (due, every) in list(self._timers.items()):
            if due <= now:
                self._timers[fragment] = now + every, every
                self.say(fragment=fragment)
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            self._beats += 1
            self.trigger(name, _ASK_AGAIN[name], self._beats)

    def _hear(self, message: ForwardMsg) -> None:
        self.tree.hear(message)  # ValueError where the page would throw
        kind = message.WhichOneof("type")
        if kind in ("new_session", "script_finished"):
            self.runs = kind == "new_session"
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id or self.session
            if not message.metadata.run.fragment_ids:
                self._timers.clear()
                self._due.clear()
        elif kind == "auto_rerun":
            every = message.auto_rerun.interval
            self._timers[message.auto_rerun.fragment_id] = time.monotonic() + every, every
        elif kind == "script_finished":
            self.finished += 1
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._take(message.delta.new_element, message.delta.fragment_id)
        elif kind == "delta" and message.delta.add_block.HasField("tab_container"):
            self._tabs = message.delta.add_block.tab_container.id, message.delta.fragment_id

    def _take(self, element: Any, fragment: str) -> None:
        kind = element.WhichOneof("type")
        inner = getattr(element, kind) if kind else None
        if kind == "bidi_component":
            self.seen[inner.component_name] = inner, fragment
            if inner.component_name in _ASK_AGAIN:
                self._due[inner.component_name] = time.monotonic() + _TICK
        elif kind == "alert":
            self.texts.append(inner.body)
        elif kind in ("html", "markdown"):
            self._bodies.append(inner.body)
        elif inner is not None and getattr(inner, "id", ""):
            self.elements[inner.id] = inner
            self._fragments[inner.id] = fragment

    def put(self, control: str, name: str, content: bytes) -> int:
        """Upload a file into the control whose key is so; the status of the answer."""
        uploader = next(each for key, each in self.elements.items() if key.endswith(control))
        status, file_id = self.send_file(name, content)
        if status == 204:
            state: dict[str, Any] = {"id": uploader.id}
            message = BackMsg()
            run = message.rerun_script
            run.query_string = self.query
            widget = run.widget_states.widgets.add(**state)
            info = widget.file_uploader_state_value.uploaded_file_info.add(
                file_id=file_id, name=name, size=len(content)
            )
            info.file_urls.file_id = file_id
            self.socket.send(message.SerializeToString())
        return status

    def send_file(self, name: str, content: bytes) -> tuple[int, str]:
        """Send a file to the server, whatever controls there are: the status, and its id."""
        target, body, headers = self.upload_request(name, content)
        request = urllib.request.Request(self.address + target, body, headers, method="PUT")
        file_id = target.rpartition("/")[2]
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status), file_id
        except urllib.error.HTTPError as error:
            return error.code, file_id

    def upload_request(self, name: str, content: bytes) -> tuple[str, bytes, dict[str, str]]:
        """Where a file goes, the request's body, and its headers."""
        file_id = f"{id(self):x}-{time.monotonic_ns():x}"
        mark = "nlviz-mark"
        body = (
            (
                f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            + content
            + f"\r\n--{mark}--\r\n".encode()
        )
        cookie = "; ".join(f"{each.name}={each.value}" for each in self.cookies)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={mark}",
            "X-Xsrftoken": self.xsrf,
            "Cookie": cookie,
        }
        return f"/_stcore/upload_file/{self.session}/{file_id}", body, headers

    def break_off(self) -> None:
        """Lose the connection, as a laptop that sleeps, and come back to the same session."""
        self._open.close()
        self._connect(self.session)

    def leave(self) -> None:
        """Close the page."""
        self._open.close()
