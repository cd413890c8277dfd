"""A ZIP archive with one spelling: known members, stored, the same bytes for the same contents.

Little-endian throughout; members sorted by NAME, ASCII; OFFSET is where a member's header
begins, 0 for the first:

    per member     50 4b 03 04 | 14 00 | 00 00 | 00 00 | 00 00 21 00 | CRC-32 (4) | size (4) |
                   size (4) | length of NAME (2) | 00 00 | NAME | data
    then, per      50 4b 01 02 | 14 03 | 14 00 | 00 00 | 00 00 | 00 00 21 00 | CRC-32 (4) |
    member         size (4) | size (4) | length of NAME (2) | 00 00 | 00 00 | 00 00 | 00 00 |
                   00 00 a4 81 | OFFSET (4) | NAME
    at the end     50 4b 05 06 | 00 00 | 00 00 | members (2) | members (2) | bytes of all
                   records of the second kind (4) | where they begin (4) | 00 00

that is: version 2.0, made on Unix, no flags, stored, 1980-01-01 00:00, regular file 0644, no
extra field, no comment, under 2 GiB. A reader accepts these bytes alone: nothing before,
between or after, and no name but those it was told, so that none can lead out of a folder.
"""

import errno
import os
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from typing import IO

from alloc_service.errors import SealedListError

# More than a member's two records (76 bytes, and its name twice) and the end's 22 can need.
_HEADERS_BYTES = 98
_IN_MEMORY = 64 * 2**20
_CHUNK = 2**20
# What the library raises for an archive that is none, or is not whole.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)


def write_archive(members: Mapping[str, bytes], file: IO[bytes]) -> None:
    """Write members, sorted by name, as one archive.

    Args:
        members: Name and contents of each.
        file: Open for writing and seeking, empty.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, members[name])


def read_archive(file: IO[bytes], largest: Mapping[str, int]) -> dict[str, bytes]:
    """Return the members of an archive that `write_archive` wrote.

    Args:
        file: Open for reading and seeking.
        largest: The names that must be there, each with the most bytes it may have; nothing
            larger is read into memory.

    Raises:
        SealedListError: A missing, extra or doubled name, a member compressed or too large,
            or bytes that are not the one spelling of such an archive.
        OSError: The system will not read the file.
    """
    _require(_size(file) <= _most_bytes(largest), "package", "it is larger than any list can be")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _require_members(entries, largest)
            members = {entry.filename: archive.read(entry) for entry in entries}
    except (*BROKEN_ZIP, OSError) as error:
        # EINVAL is a seek to before the file's start.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise SealedListError(where="package", rule="it is no readable ZIP archive") from None
    _require_one_spelling(members, file)
    return members


def _require_members(entries: list[zipfile.ZipInfo], largest: Mapping[str, int]) -> None:
    """Check names, method and sizes before a byte of a member is read."""
    names = [entry.filename for entry in entries]
    rule = "it must have its own members alone, each once, sorted"
    _require(names == sorted(largest), "package", rule)
    for entry in entries:
        stored = entry.compress_type == zipfile.ZIP_STORED
        _require(stored, entry.filename, "it must be stored, not compressed")
        fits = entry.compress_size == entry.file_size <= largest[entry.filename]
        _require(fits, entry.filename, "it is larger than any list can be")


def _require_one_spelling(members: Mapping[str, bytes], file: IO[bytes]) -> None:
    """Check the file to the last byte of its headers, by writing it again."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as again:
        write_archive(members, again)
        again.seek(0)
        file.seek(0)
        while True:
            ours, theirs = again.read(_CHUNK), file.read(_CHUNK)
            _require(ours == theirs, "package", "its bytes are not the one spelling of an archive")
            if not ours:
                return


def _size(file: IO[bytes]) -> int:
    return file.seek(0, os.SEEK_END)


def _most_bytes(largest: Mapping[str, int]) -> int:
    names = sum(2 * len(name) for name in largest)
    return sum(largest.values()) + names + _HEADERS_BYTES * len(largest)


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise SealedListError(where=where, rule=rule)
