"""What any text may hold, whoever wrote it: a trial's author, or someone at a form.

Rules: no control characters (NUL, tabs, line breaks where one line is asked), no line or
paragraph separators, no lone surrogates, no characters that turn the direction of writing (they
make a text read otherwise than it is stored), and Unicode NFC, for only that has canonical bytes.
"""

import re
import unicodedata

_NAME = re.compile(r"[A-Za-z0-9._-]{1,48}", re.ASCII)
_REFUSED = {"Cc": "a control character", "Cs": "half a character (a lone surrogate)"}
_REFUSED |= {"Zl": "a line separator", "Zp": "a paragraph separator"}
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def find_fault(text: str, *, lines: bool = False) -> str | None:
    """Say what the text holds that no text may hold, or None; the text itself is not repeated.

    Args:
        text: Any text.
        lines: Whether a line feed is allowed, for passages of several lines.
    """
    if text.isascii() and text.isprintable():
        return None
    for char in text:
        if char == "\n" and lines:
            continue
        if char in _TURNING:
            return "a character that turns the direction of writing"
        if fault := _REFUSED.get(unicodedata.category(char)):
            return fault
    if not unicodedata.is_normalized("NFC", text):
        return "a decomposed character (not Unicode NFC)"
    return None


def show_name(name: str) -> str:
    """Return a field's name from outside, if it can harm no page and no log, else a stand-in."""
    return name if _NAME.fullmatch(name) else "unknown field"
