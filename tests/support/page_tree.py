"""The elements of a page, put where Streamlit's own page puts them, and refused where it throws."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

_WHOLE = {ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY}


@dataclass(slots=True, eq=False)
class Node:
    """An element, or a block where there are ``children``; ``run`` drew it last."""

    kind: str
    text: str = ""
    fragment: str = ""
    run: str = ""
    children: list[Node] | None = None


@dataclass(slots=True)
class PageTree:
    """The four roots of a page, main first, and what lies in them."""

    roots: list[Node] = field(default_factory=lambda: [Node("root", children=[]) for _ in range(4)])
    _run: str = ""

    def hear(self, message: ForwardMsg) -> None:
        """Take a message as the page does; ValueError in its words where it cannot."""
        run = message.metadata.run
        match message.WhichOneof("type"):
            case "new_session":
                self._run = run.script_run_id
            case "script_finished" if message.script_finished in _WHOLE:
                fragments = frozenset(run.fragment_ids)
                if fragments or self._run == run.script_run_id:
                    for root in self.roots:
                        self._clear(root, run.script_run_id, fragments, inside=False)
            case "delta" if message.delta.WhichOneof("type") != "new_transient":
                self._set(message)

    @property
    def texts(self) -> list[str]:
        """What stands in the main part, in its order."""
        found: list[str] = []

        def walk(node: Node) -> None:
            if node.text:
                found.append(node.text)
            for child in node.children or ():
                walk(child)

        walk(self.roots[0])
        return found

    def _set(self, message: ForwardMsg) -> None:
        root, *path = message.metadata.delta_path
        parent = self.roots[root]
        *way, last = path
        for step in way:
            if parent.children is None:
                raise ValueError("'setIn' cannot be called on an ElementNode")
            self._check(step, parent.children)
            if step == len(parent.children):
                raise ValueError("Cannot set a node at a delta path")
            parent.run = self._run
            parent = parent.children[step]
        if parent.children is None:
            raise ValueError("'setIn' cannot be called on an ElementNode")
        self._check(last, parent.children)
        parent.run = self._run
        before = parent.children[last] if last < len(parent.children) else None
        parent.children[last : last + 1] = [self._node(message, before)]

    def _node(self, message: ForwardMsg, before: Node | None) -> Node:
        delta = message.delta
        node = Node("", fragment=delta.fragment_id, run=self._run)
        if delta.WhichOneof("type") == "new_element":
            kind = delta.new_element.WhichOneof("type") or "empty"
            body = getattr(getattr(delta.new_element, kind, None), "body", "")
            return replace(node, kind=kind, text=body if isinstance(body, str) else "")
        kind = delta.add_block.WhichOneof("type") or "block"
        kept = before.children if before is not None and before.kind == kind else None
        return replace(node, kind=kind, children=[] if kept is None else kept)

    @staticmethod
    def _check(step: int, children: list[Node]) -> None:
        if step > len(children):
            raise ValueError(
                f"Bad delta path index {step} (should be between [0, {len(children)}])"
            )

    def _clear(self, node: Node, run: str, fragments: frozenset[str], *, inside: bool) -> bool:
        """Take out what the run that ended did not draw again; whether the node stays."""
        if node.children is None:
            mine = bool(node.fragment) and inside if fragments else True
            return node.run == run or not mine
        if node.kind != "root":
            if fragments and inside and node.run != run:
                return False
            if not fragments and node.run != run:
                return False
        within = inside or (node.fragment in fragments and node.run == run)
        node.children = [
            child for child in node.children if self._clear(child, run, fragments, inside=within)
        ]
        return True
