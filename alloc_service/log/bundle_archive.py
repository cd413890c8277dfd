"""The members of a bundle's ZIP, read from the one spelling that `core.archive` gives them.

Nothing of the file is taken on trust: the members are read from its first byte on, their
directory is spelled again from them, and what the file holds after the members must be that
directory, to its last byte. So there is no second reading of the same bytes: no member that one
program sees and another does not, nothing before, between or after.
"""

import re
import struct
import zlib
from collections.abc import Mapping

from alloc_service.errors import BundleError

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_FIRST, _SECOND, _LAST = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _UNIX, _DATE, _MODE = 20, 0x0314, 0x0021, 0o100644 << 16
# What stands there is not repeated: where bytes have moved it could be an opening.
_ODD_NAME = "a member is named otherwise than by A-Z a-z 0-9 . _ - and / between them"
_NAME = re.compile(rb"[A-Za-z0-9._/-]{1,255}")
_PLACE = "archive"


def read_members(data: bytes) -> dict[str, bytes]:
    """Return name and bytes of each member, in order.

    Raises:
        BundleError: A member is doubled, out of order, compressed, encrypted, cut, or named out
            of its folder; or the file holds a byte that such an archive does not.
    """
    members: dict[str, bytes] = {}
    at = 0
    while data.startswith(_FIRST, at):
        at = _read_member(data, at, members)
    _require(bool(members), _PLACE, "it is no ZIP archive that begins with a member")
    directory = _spell_directory(members)
    if data[at:] != directory:
        trailing = data.startswith(directory, at)
        rule = (
            "bytes follow its end"
            if trailing
            else "its directory is not that of the members before it, or it is cut"
        )
        raise BundleError(where=_PLACE, rule=rule)
    return members


def _read_member(data: bytes, at: int, members: dict[str, bytes]) -> int:
    """Read the member at an offset; return where the next one begins."""
    _require(len(data) - at >= _LOCAL.size, _PLACE, "it is cut")
    head = _LOCAL.unpack_from(data, at)
    _, version, flags, method, time, date, crc, packed, size, length, extra = head
    start: int = at + _LOCAL.size + length + extra
    raw = data[at + _LOCAL.size : at + _LOCAL.size + length]
    _require(bool(_NAME.fullmatch(raw)), _PLACE, _ODD_NAME)
    name = raw.decode("ascii")
    _require(not flags & 1, name, "it is encrypted")
    _require(method == 0, name, "it is compressed")
    climbs = name.startswith("/") or {"", ".", ".."} & set(name.split("/"))
    _require(not climbs, name, "its name leads out of the bundle's folder")
    _require(name not in members, name, "it is there twice")
    sorted_ = not members or name > next(reversed(members))
    _require(sorted_, name, "the members are not sorted by name")
    spelled = (version, flags, time, date, extra) == (_VERSION, 0, 0, _DATE, 0)
    _require(spelled and packed == size, name, "its header is not spelled as a bundle's is")
    content = data[start : start + size]
    _require(len(content) == size, name, "it is cut")
    _require(zlib.crc32(content) == crc, name, "its bytes are not those of its CRC-32")
    members[name] = content
    return start + len(content)


def _spell_directory(members: Mapping[str, bytes]) -> bytes:
    records, offset = [], 0
    for name, content in members.items():
        size = len(content)
        head = (_SECOND, _UNIX, _VERSION, 0, 0, 0, _DATE, zlib.crc32(content), size, size)
        records.append(_CENTRAL.pack(*head, len(name), 0, 0, 0, 0, _MODE, offset) + name.encode())
        offset += _LOCAL.size + len(name) + size
    directory = b"".join(records)
    count = len(members)
    _require(count < 0xFFFF and offset < 2**31, _PLACE, "it is larger than any bundle can be")
    return directory + _END.pack(_LAST, 0, 0, count, count, len(directory), offset, 0)


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)
