"""Numbers as people type them: full-width digits, a decimal comma; what can be two things asks.

What comes out is the one spelling that the services take. `3,5` is 3.5; `1,234` can be 1.234 or
1234, so it is asked. A text that is no number is left as it is: the service says what is wrong.
"""

import re
import unicodedata

_COMMA = re.compile(r"(-?[0-9]+),([0-9]+)", re.ASCII)
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)
ASKS = "this can be read in two ways: write it with a decimal point, or without any comma"


def read_number(text: str) -> tuple[str, str]:
    """Return a typed number in plain digits with a point, and what has to be asked, or ""."""
    plain = "".join(map(_plain, text)).strip()
    if _THOUSANDS.fullmatch(plain):
        return text, ASKS
    found = _COMMA.fullmatch(plain)
    return (f"{found[1]}.{found[2]}" if found else plain), ""


def _plain(char: str) -> str:
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.decimal(char))
    # Full-width point, comma and minus, and the minus of mathematics.
    return {"．": ".", "，": ",", "－": "-", "−": "-"}.get(char, char)
