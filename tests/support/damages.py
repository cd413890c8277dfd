"""What becomes of a file on its way: cut, saved in another encoding, with something after it."""

import re
from collections.abc import Callable, Mapping

Damage = Callable[[bytes], bytes]
LARGE = 3 * 2**20


def _re_encode(encoding: str) -> Damage:
    """Return what an editor does that takes a file for text and saves it otherwise."""

    def damage(data: bytes) -> bytes:
        return data.decode("latin-1").encode(encoding, "replace")

    return damage


DAMAGES: Mapping[str, Damage] = {
    "empty": lambda _data: b"",
    "truncated by a byte": lambda data: data.rstrip(b"\n")[:-1],
    "truncated to a half": lambda data: data[: len(data) // 2],
    "utf-16": _re_encode("utf-16"),
    "utf-16 without a mark": _re_encode("utf-16-le"),
    "a byte that is no utf-8": lambda data: data[:7] + b"\xe9\xff" + data[7:],
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "a line end after it": lambda data: data + b"\n",
    "a space after it": lambda data: data + b" ",
    "a nul after it": lambda data: data + b"\0",
    "junk after it": lambda data: data + b"junk\n",
    "far too large": lambda data: data + b"\n" * LARGE,
}
# Where in it something is wrong, as a refusal says it.
WHERE = re.compile(r"\b(byte|line|entry|place) \d+")
