"""The English catalogue of the pages: every string that they pass to gettext.

That is what templates and views say themselves, and what they look up of what is said below them:
the texts of refusals, the sentences of log entries, and rules and problems that are one literal.
`python -m tests.support.catalogue` (`make words`) writes it anew.
"""

import ast
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from alloc_service.errors import RefusalError
from alloc_service.log.words import SENTENCES

PACKAGE = Path(__file__).parents[2] / "alloc_service"
WEB = PACKAGE / "web"
CATALOGUE = WEB / "translations" / "en" / "LC_MESSAGES" / "messages.po"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_KEYWORDS = {"_": None, "gettext": None, "mark": None, "ngettext": (1, 2)}
# Whose refusals pages show; the command line's own are not among them.
_BELOW = ("core", "log", "sealing", "services", "stats", "storage", "trial")
_MADE = datetime(2026, 1, 1, tzinfo=UTC)  # the same strings give the same bytes


def read_strings() -> Catalog:
    """Return every string of the pages, with the file that it stands in."""
    catalogue = Catalog(
        locale="en",
        project="alloc-service",
        version="1",
        copyright_holder="the authors of alloc-service",
        creation_date=_MADE,
        revision_date=_MADE,
        fuzzy=False,
    )
    options = {"templates/**.html": {"trimmed": "true"}}
    found = extract_from_dir(str(WEB), _METHODS, options, keywords=_KEYWORDS)
    for name, _line, message, comments, context in sorted(found, key=lambda it: (it[0], it[1])):
        catalogue.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    for name, text in sorted(_said_below()):
        catalogue.add(text, None, [(name, 0)])
    return catalogue


def _said_below() -> Iterator[tuple[str, str]]:
    """Yield where something is said, and what."""
    yield from (("../log/words.py", sentence) for sentence in SENTENCES.values())
    for refusal in _all_of(RefusalError):
        if not refusal.__module__.endswith(".cli"):
            place = "../" + refusal.__module__.partition(".")[2].replace(".", "/") + ".py"
            # Beside its field a text stands without its label.
            texts = {refusal.text, refusal.label, refusal.text.removeprefix(refusal.label)}
            yield from ((place, text) for text in texts if text)
    for path in sorted(path for part in _BELOW for path in (PACKAGE / part).rglob("*.py")):
        for text in _literals(ast.parse(path.read_text("utf-8"))):
            yield f"../{path.relative_to(PACKAGE)}", text


def _all_of(branch: type[RefusalError]) -> Iterator[type[RefusalError]]:
    yield branch
    for below in branch.__subclasses__():
        yield from _all_of(below)


def _literals(tree: ast.AST) -> Iterator[str]:
    """Yield rules, problems and faults, with a place for each value.

    They are what is given as `rule=…`, to `Problem` and to `_check`, assigned to `rule` or `told`,
    returned by what finds a fault, and what is returned or yielded after a code or a place.
    """
    for node in ast.walk(tree):
        for value in _sayings(node):
            if text := _with_places(value):
                yield text


def _sayings(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", "")
        given = [item.value for item in node.keywords if item.arg == "rule"]
        given += node.args[2:3] if name == "Problem" else []
        return given + (node.args[:2] if name == "_check" else [])
    if isinstance(node, ast.Assign):
        named = {getattr(target, "id", "") for target in node.targets}
        return [node.value] if named & {"rule", "told", "fault"} else []
    if isinstance(node, ast.Return | ast.Yield) and isinstance(node.value, ast.Tuple):
        return node.value.elts[1:2]
    if isinstance(node, ast.FunctionDef) and "fault" in node.name:
        return [
            at.value for at in ast.walk(node) if isinstance(at, ast.Return) and at.value is not None
        ]
    return []


def _with_places(value: ast.expr) -> str:
    """Return a literal text, with a name in braces for each value; "" where it is none."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) and " " in value.value else ""
    if not isinstance(value, ast.JoinedStr):
        return ""
    parts, count = [], 0
    for part in value.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        else:
            count += 1
            parts.append(f"{{value{count}}}")
    text = "".join(parts)
    return text if re.search(r"[a-z]{3,} ", text) and "{{" not in text else ""


def write_catalogue() -> bytes:
    """Return the catalogue as a file; in English each string stands for itself."""
    file = io.BytesIO()
    write_po(file, read_strings(), width=100, sort_by_file=True, include_lineno=False)
    return file.getvalue()


if __name__ == "__main__":
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    CATALOGUE.write_bytes(write_catalogue())
