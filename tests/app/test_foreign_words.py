"""Other people's words reach the page through one escaping function, and only through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlviz.app import markdown
from nlviz.app.markdown import plain

APP = Path(markdown.__file__).parent

# Streamlit reads the first words of these as Markdown …
READ = {
    *("button", "caption", "checkbox", "download_button", "error", "expander", "feedback"),
    *("file_uploader", "form_submit_button", "header", "info", "link_button", "markdown"),
    *("metric", "multiselect", "number_input", "pills", "popover", "progress", "radio"),
    *("segmented_control", "select_slider", "selectbox", "slider", "spinner", "status"),
    *("subheader", "success", "tabs", "text_area", "text_input", "title", "toast", "toggle"),
    *("warning", "write"),
}
CHOICES = {"segmented_control", "pills", "radio"}  # … and of these each choice.
HOSTILE = (
    "![x](http://127.0.0.1:1/p)",
    '<img src="http://127.0.0.1:1/p">',
    "<script>alert(1)</script>",
    "$\\frac{1}{2}$ and $$x$$",
    ":material/home: :smile: :red[hot] :red-badge[x]",
    "[a](http://127.0.0.1:1/p) <http://127.0.0.1:1/p>",
    "http://127.0.0.1:1/p www.example.org me@example.org",
    "`code` **bold** _it_ ~~no~~ | a | b |",
    "# title",
    "- a list",
    "1. a list",
    "a\n\n![x](//127.0.0.1:1/p)",
    "&lt;b&gt; \\[x\\]",
)


class Reader:
    """Which expressions of one function are our own words, or went through ``plain``."""

    def __init__(self, function: ast.AST, constants: set[str]) -> None:
        self.constants = constants
        self.given: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.given.setdefault(target.id, []).append(node.value)

    def safe(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                values = self.given.get(name, [])
                return name in self.constants or (
                    bool(values) and all(self.safe(value) for value in values)
                )
            case ast.Attribute(value=ast.Name(), attr="PROTOCOL"):
                return True
            case ast.JoinedStr(values=values):
                return all(self.safe(value) for value in values)
            case ast.FormattedValue(value=value, format_spec=spec):
                return _numeric(spec) or self.safe(value)
            case ast.BinOp(left=left, right=right):
                return self.safe(left) and self.safe(right)
            case ast.IfExp(body=body, orelse=orelse):
                return self.safe(body) and self.safe(orelse)
            case ast.BoolOp(values=values):
                return all(map(self.safe, values))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return all(map(self.safe, elements))
            case ast.Dict(keys=keys):
                return all(key is not None and self.safe(key) for key in keys)
            case ast.Call(func=ast.Name(id="plain")):
                return True
            case ast.Call(func=ast.Name(id="list" | "next" | "iter"), args=[inner]):
                return self.safe(inner)
            case ast.Call(func=ast.Attribute(attr="join"), args=[inner]):
                return _maps_plain(inner)
        return False


def _numeric(spec: ast.expr | None) -> bool:
    """A format of numbers: words have none of these."""
    if not isinstance(spec, ast.JoinedStr) or not spec.values:
        return False
    last = spec.values[-1]
    return isinstance(last, ast.Constant) and str(last.value)[-1] in "dfge%"


def _maps_plain(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "map"
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id == "plain"
    )


def _escapes(node: ast.expr | None) -> bool:
    """Whether a ``format_func`` ends in ``plain``."""
    if isinstance(node, ast.Lambda):
        node = node.body
        return isinstance(node, ast.Call) and _escapes(node.func)
    return isinstance(node, ast.Name) and node.id == "plain"


def unescaped(source: str) -> Iterator[tuple[int, str]]:
    """(line, words) of each call of Streamlit that is given words nobody escaped."""
    tree = ast.parse(source)
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for named in node.targets
        for target in ast.walk(named)
        if isinstance(target, ast.Name)
    } | {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    constants |= {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.isupper()
    }
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    for function in functions:
        reader = Reader(function, constants)
        for call in ast.walk(function):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            name = call.func.attr
            if name not in READ or not _is_streamlit(call.func.value):
                continue
            named = {word.arg: word.value for word in call.keywords}
            words = call.args[:2][name == "progress" :][:1]
            words += [named[key] for key in ("label", "body", "text", "help") if key in named]
            if name in CHOICES and not _escapes(named.get("format_func")):
                words += call.args[1:2] + [named[key] for key in ("options",) if key in named]
            for word in words:
                if not reader.safe(word):
                    yield word.lineno, ast.unparse(word)


def _is_streamlit(node: ast.expr) -> bool:
    """``st``, or a place of the page that a call of Streamlit gave."""
    return isinstance(node, ast.Name) and node.id in PLACES


PLACES = {"st", "bar", "place", "summary", "numbers", "left", "right"}


@pytest.mark.parametrize("file", sorted(APP.rglob("*.py")), ids=lambda file: file.name)
def test_no_words_reach_streamlit_unescaped(file: Path) -> None:
    assert list(unescaped(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        'st.markdown(f"**{pin.name}**")',
        "st.info(str(error))",
        "st.button(name)",
        'st.button("Go", help=name)',
        "st.segmented_control('Pin', names)",
        "st.segmented_control('Pin', names, format_func=lambda id: context.name(id))",
        "bar.progress(0.5, what)",
        "words = pin.name\n    st.caption(words)",
        "st.tabs(names)",
    ],
)
def test_the_search_finds_what_is_not_escaped(line: str) -> None:
    assert list(unescaped(f"def show(name, names, pin, what, error):\n    {line}\n"))


@pytest.mark.parametrize("words", HOSTILE)
def test_no_sign_is_left_that_markdown_reads(words: str) -> None:
    escaped = plain(words)
    assert "\n" not in escaped
    bare = escaped.replace("\\\\", "")
    for position, sign in enumerate(bare):
        if sign in "`*_{}[]()<>#$~|:!&@":
            assert bare[position - 1] == "\\", (sign, escaped)
    # What Streamlit sees once the escapes are undone has no bare address to make a link of.
    undone = escaped.replace("\\", "")
    assert not any(address in undone for address in ("http:", "www.", "@e"))
    assert not escaped.startswith(("-", "1."))
