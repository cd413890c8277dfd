"""What people type, or paste, where a short code is asked for."""

from collections.abc import Mapping

from markupsafe import escape

TYPED: Mapping[str, str] = {
    "empty": "",
    "blank": "   ",
    "too long": "x" * 10_000,
    "NUL": "a\0b",
    "control": "a\x07b",
    "turned": "\u202eabc",
    "HTML": "<script>alert(1)</script>",
    "template": "{{ 7 * 7 }}",
    "resident number": "110101199003074514",
    "mobile number": "13812345678",
}
# Of these a free text refuses all but two, which are shown as they were typed.
NO_TEXT = {name: text for name, text in TYPED.items() if name not in {"HTML", "template"}}


def as_kept(text: str) -> str:
    """Return what was typed as a page shows it again: escaped, and without a NUL in the page."""
    return str(escape(text)).replace("\0", "\ufffd")
