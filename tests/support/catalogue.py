"""The English catalogue of the pages: every string that a template or a view passes to gettext.

`python -m tests.support.catalogue` (`make words`) writes it anew.
"""

import io
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

WEB = Path(__file__).parents[2] / "alloc_service" / "web"
CATALOGUE = WEB / "translations" / "en" / "LC_MESSAGES" / "messages.po"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
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
    return catalogue


def write_catalogue() -> bytes:
    """Return the catalogue as a file; in English each string stands for itself."""
    file = io.BytesIO()
    write_po(file, read_strings(), width=100, sort_by_file=True, include_lineno=False)
    return file.getvalue()


if __name__ == "__main__":
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    CATALOGUE.write_bytes(write_catalogue())
