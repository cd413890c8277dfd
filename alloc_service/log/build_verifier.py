"""Builds `verify_bundle.py`: the very modules that verify in the service, joined into one file.

    python -m alloc_service.log.build_verifier [FILE]

Kept is what `verifier.main` reaches, in the text of its module, comments and all. Changed is only
what an older interpreter lacks: the imports, `slots=True`, `strict=False`, the base `StrEnum`;
and the library's Ed25519 gives way to the plain one. A private name that two modules have gets
its module's name before it. What cannot be joined so stops the build.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ENTRY = ("alloc_service.log.verifier", "main")
INSTEAD: Mapping[str, str] = {"alloc_service.log.signature": "alloc_service.core.ed25519"}
OLDEST = (3, 9)
OUTPUT = Path(__file__).with_name("verify_bundle.py")

_PACKAGE = "alloc_service"
_ROOT = Path(__file__).parents[2]
_TYPING_ALONE = {("typing", "Self"), ("typing", "TypeAlias")}
_SHIMMED = {("enum", "StrEnum")}
_NEWER = {("datetime", "UTC"), ("itertools", "batched"), ("itertools", "pairwise")}
_DROPPED = re.compile(r", slots=True\b|\bslots=True(?:, )?|, strict=False\b")

_HEAD = '''\
#!/usr/bin/env python3
"""Checks a bundle of a trial's randomization log (rac-bundle/1), or a receipt, by itself.

    python3 verify_bundle.py BUNDLE --policy POLICY [--json]
    python3 verify_bundle.py --receipt FILE --policy POLICY [--leaf HEX] [--json]

It needs Python 3.9 or newer and nothing else. POLICY is a file that you had before: it says whose
log this is, and who its witnesses are. Exit codes: 0 all that is there is good, 1 refused (the
first thing that is wrong is named), 2 wrong use.

This file is built from the modules that the service itself runs; each part names its module.
"""
'''
_SHIM = '''\
class StrEnum(str, Enum):
    """An enum of texts, as newer interpreters bring it."""

    def __str__(self) -> str:
        return str(self.value)

    __format__ = str.__format__
'''
_FOOT = """\
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).read_bytes()))
"""


class BuildError(Exception):
    """The modules cannot be joined into one file."""


@dataclass
class _Piece:
    """One statement at the top of a module: the names that it binds, and its lines."""

    names: tuple[str, ...]
    node: ast.stmt
    first: int
    kept: bool = False

    @property
    def last(self) -> int:
        return self.node.end_lineno or self.first


@dataclass
class _Module:
    """A module: where each name in it comes from."""

    name: str
    lines: list[str]
    doc: str = ""
    pieces: list[_Piece] = field(default_factory=list)
    own: dict[str, _Piece] = field(default_factory=dict)
    ours: dict[str, tuple[str, str]] = field(default_factory=dict)
    library: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Build:
    """The modules that were read so far, in the order in which one needs another."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        self._order: list[_Module] = []
        self._library: set[tuple[str, str]] = set()

    def run(self) -> str:
        self._load(ENTRY[0])
        self._keep(*ENTRY)
        self._library |= {("", "sys"), ("pathlib", "Path"), ("enum", "Enum")}
        renames = self._find_renames()
        parts = [self._write(module, renames.get(module.name, {})) for module in self._order]
        text = "\n\n".join(
            [
                f"{_HEAD}\nfrom __future__ import annotations\n\n{self._write_imports()}",
                _SHIM,
                *(part for part in parts if part),
                _FOOT,
            ]
        )
        ast.parse(text, feature_version=OLDEST)
        return text

    def _load(self, name: str) -> _Module:
        name = INSTEAD.get(name, name)
        if name not in self._modules:
            path = _ROOT.joinpath(*name.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            source = path.read_text("utf-8")
            tree = ast.parse(source)
            module = _Module(name, source.splitlines(), ast.get_docstring(tree) or "")
            self._modules[name] = module
            for node in tree.body:
                self._read(module, node)
            self._order.append(module)
        return self._modules[name]

    def _read(self, module: _Module, node: ast.stmt) -> None:
        if isinstance(node, ast.ImportFrom | ast.Import):
            self._read_import(module, node)
            return
        names = tuple(_bound(node))
        if not names:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                return
            raise BuildError(f"{module.name}, line {node.lineno}: a statement that binds no name")
        decorators = getattr(node, "decorator_list", [])
        first = min(item.lineno for item in (node, *decorators))
        while first > 1 and module.lines[first - 2].startswith("#"):
            first -= 1
        piece = _Piece(names, node, first)
        module.pieces.append(piece)
        module.own.update(dict.fromkeys(names, piece))

    def _read_import(self, module: _Module, node: ast.ImportFrom | ast.Import) -> None:
        origin = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            if alias.asname or "." in alias.name:
                raise BuildError(f"{module.name}: import of {alias.name} under another name")
            if origin.split(".")[0] == _PACKAGE:
                found = self._load(origin)
                module.ours[alias.name] = found.ours.get(alias.name, (found.name, alias.name))
            else:
                module.library[alias.name] = (origin, alias.name)

    def _keep(self, name: str, wanted: str) -> None:
        module = self._modules[name]
        piece = module.own.get(wanted)
        if piece is None:
            raise BuildError(f"{name} has no {wanted}")
        if piece.kept:
            return
        piece.kept = True
        for node in ast.walk(piece.node):
            if not isinstance(node, ast.Name):
                continue
            if node.id in module.own:
                self._keep(name, node.id)
            elif node.id in module.ours:
                self._keep(*module.ours[node.id])
            elif node.id in module.library:
                self._use(module, node.id)

    def _use(self, module: _Module, name: str) -> None:
        origin = module.library[name]
        if origin in _NEWER:
            raise BuildError(f"{module.name}: {'.'.join(origin)} is newer than Python 3.9")
        self._library.add(origin)

    def _find_renames(self) -> dict[str, dict[str, str]]:
        """Return, by module, the new names of what two modules call alike."""
        kept = [
            (module.name, name)
            for module in self._order
            for piece in module.pieces
            if piece.kept
            for name in piece.names
        ]
        counts = Counter(name for _, name in kept)
        taken = {*counts, *(name for _, name in self._library)}
        renames: dict[str, dict[str, str]] = {}
        for module, name in kept:
            if counts[name] == 1:
                continue
            new = f"_{module.rpartition('.')[2]}{name}"
            if not name.startswith("_") or new in taken:
                raise BuildError(f"{name} stands in two modules, one of them {module}")
            renames.setdefault(module, {})[name] = new
        return renames

    def _write(self, module: _Module, renames: Mapping[str, str]) -> str:
        kept = [piece for piece in module.pieces if piece.kept]
        if not kept:
            return ""
        texts = [_text_of(module, piece, renames) for piece in kept]
        body = texts[0]
        for before, piece, text in zip(kept, kept[1:], texts[1:], strict=False):
            body += text if piece.first == before.last + 1 else f"\n\n{text}"
        doc = "\n".join(f"# {line}".rstrip() for line in module.doc.splitlines())
        return f"# {'-' * 78}\n# {module.name}\n#\n{doc}\n\n\n{body}"

    def _write_imports(self) -> str:
        lines = [f"import {name}" for origin, name in sorted(self._library) if not origin]
        used = self._library - _SHIMMED
        typing_alone = used & _TYPING_ALONE
        used |= {("typing", "TYPE_CHECKING")} if typing_alone else set()
        for origin in sorted({origin for origin, _ in used if origin}):
            names = [name for item, name in used - typing_alone if item == origin]
            lines += [f"from {origin} import {name}" for name in sorted(names)]
        if typing_alone:
            names = [name for _, name in typing_alone]
            lines.append(f"\nif TYPE_CHECKING:\n    from typing import {', '.join(sorted(names))}")
        return "\n".join([*lines, ""])


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (item.id for item in ast.walk(target) if isinstance(item, ast.Name))


def _text_of(module: _Module, piece: _Piece, renames: Mapping[str, str]) -> str:
    """Return a piece's own text, with its names changed and what is too new left out."""
    lines = [line.encode() for line in module.lines]
    for line, start, end, new in sorted(_find_edits(module, piece, renames), reverse=True):
        lines[line - 1] = lines[line - 1][:start] + new.encode() + lines[line - 1][end:]
    text = b"\n".join(lines[piece.first - 1 : piece.last]).decode()
    return _DROPPED.sub("", text).replace("@dataclass()", "@dataclass") + "\n"


def _find_edits(
    module: _Module, piece: _Piece, renames: Mapping[str, str]
) -> Iterator[tuple[int, int, int, str]]:
    """Yield (line, first byte, byte after, new text) of each name that changes."""
    node = piece.node
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in renames:
        start = module.lines[node.lineno - 1].index(node.name)
        yield node.lineno, start, start + len(node.name), renames[node.name]
    yield from _find_names(module, node, renames)


def _find_names(
    module: _Module, node: ast.AST, renames: Mapping[str, str]
) -> Iterator[tuple[int, int, int, str]]:
    if isinstance(node, ast.JoinedStr):  # places inside of it are not told by every interpreter
        yield from _find_in_text(module, node, renames)
        return
    if isinstance(node, ast.Name) and node.id in renames:
        yield node.lineno, node.col_offset, node.end_col_offset or 0, renames[node.id]
    if isinstance(node, ast.arg) and node.arg in renames:
        raise BuildError(f"{module.name}: the argument {node.arg} hides a name of its module")
    for child in ast.iter_child_nodes(node):
        yield from _find_names(module, child, renames)


def _find_in_text(
    module: _Module, node: ast.JoinedStr, renames: Mapping[str, str]
) -> Iterator[tuple[int, int, int, str]]:
    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
        raw = module.lines[line - 1].encode()
        start = node.col_offset if line == node.lineno else 0
        end = node.end_col_offset if line == node.end_lineno else None
        for braces in re.finditer(rb"\{[^{}]*\}", raw[start:end]):
            for name, new in renames.items():
                pattern = rb"(?<![\w.])" + name.encode() + rb"(?!\w)"
                for found in re.finditer(pattern, braces[0]):
                    at = start + braces.start() + found.start()
                    yield line, at, at + len(name), new


def build() -> str:
    """Return the text of the stand-alone verifier.

    Raises:
        BuildError: The modules cannot be joined.
    """
    return _Build().run()


def main(arguments: Sequence[str]) -> int:
    """Write the stand-alone verifier to a file, or where the package ships it."""
    output = Path(arguments[0]) if arguments else OUTPUT
    text = build()
    output.write_text(text, "utf-8", newline="\n")
    sys.stdout.write(f"{output}: {len(text.splitlines()):,} lines\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
