"""The viewer's protocol as TypeScript declarations, made from the Python types.

`python -m tools.protocol` writes nlviz/viewer/js/protocol.d.ts; a test holds that it is up to date.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from inspect import getdoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nlviz.viewer import acts, headers, messages, options

ROOT = Path(__file__).parents[1]
FILE = ROOT / "nlviz" / "viewer" / "js" / "protocol.d.ts"

RECORDS = (
    *(messages.Scene, messages.ScenePin, messages.Exact, messages.SceneLink, messages.Can),
    options.Options,
    *(acts.AddPoint, acts.AddRegion, acts.AddToken),
    *(acts.Remove, acts.Rename, acts.Move, acts.Turn),
    *(headers.ClipHeader, headers.BlockHeader, headers.GridHeader, headers.ConstantsHeader),
    *(headers.SizesHeader, headers.MaskHeader, headers.ComponentsHeader),
    *(headers.Packed, headers.PartEntry),
)
UNIONS = {
    "Act": acts.Act,
    "Header": headers.ClipHeader
    | headers.BlockHeader
    | headers.ConstantsHeader
    | headers.SizesHeader
    | headers.MaskHeader
    | headers.ComponentsHeader,
}
_SIMPLE = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null"}
_TOP = """\
// What Python and the viewer say to each other. tools/protocol.py makes it from the Python types:
// change those, then run `python -m tools.protocol`.
"""


def declarations() -> str:
    """The whole file."""
    unions = (f"export type {name} ={_union(kind)};\n" for name, kind in UNIONS.items())
    return "\n".join([_TOP, *map(_interface, RECORDS), *unions])


def _interface(record: type) -> str:
    lines = [f"/** {_said(record)} */", f"export interface {record.__name__} {{"]
    lines += [f"  {name}: {_type(kind)};" for name, kind in get_type_hints(record).items()]
    return "\n".join([*lines, "}", ""])


def _said(record: type) -> str:
    """The first sentence of a docstring; a dataclass without one has its signature there."""
    return (getdoc(record) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _union(kind: Any) -> str:
    names = [each.__name__ for each in get_args(kind)]
    line = " | ".join(names)
    return f" {line}" if len(line) < 70 else "".join(f"\n  | {name}" for name in names)


def _type(kind: Any) -> str:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if is_dataclass(kind) or kind in RECORDS:
        return str(kind.__name__)
    inside = get_args(kind)
    if get_origin(kind) is Literal:
        return " | ".join(f'"{each}"' for each in inside)
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(map(_type, inside))
    if get_origin(kind) in (list, tuple) and (len(inside) == 1 or inside[1:] == (...,)):
        of = _type(inside[0])
        return f"({of})[]" if "|" in of else f"{of}[]"
    if get_origin(kind) is tuple:
        return f"[{', '.join(map(_type, inside))}]"
    raise TypeError(f"{kind} has no TypeScript type here; add it to tools/protocol.py.")


def main() -> None:
    """Write the file."""
    FILE.write_text(declarations(), encoding="utf-8")


if __name__ == "__main__":
    main()
