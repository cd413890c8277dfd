import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.archive import read_archive, write_archive
from alloc_service.errors import SealedListError

LARGEST = {"a.bin": 100, "b.json": 50}
MEMBERS = {"a.bin": b"first", "b.json": b""}


def written(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_archive(members, file)
    return file.getvalue()


def spelled(members: dict[str, bytes]) -> bytes:
    """Return the archive as the documentation spells it, byte by byte."""
    local, central = b"", b""
    for name, data in sorted(members.items()):
        sizes = struct.pack("<IIIHH", zlib.crc32(data), len(data), len(data), len(name), 0)
        offset = struct.pack("<I", len(local))
        local += bytes.fromhex("504b0304 1400 0000 0000 00002100") + sizes + name.encode() + data
        central += bytes.fromhex("504b0102 1403 1400 0000 0000 00002100") + sizes
        central += bytes.fromhex("0000 0000 0000 0000a481") + offset + name.encode()
    counts = struct.pack("<HHII", len(members), len(members), len(central), len(local))
    return local + central + bytes.fromhex("504b0506 0000 0000") + counts + bytes(2)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return file.getvalue()


contents = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}\.[a-z]{1,4}", fullmatch=True), st.binary(max_size=300), min_size=1
)


@given(members=contents)
def test_an_archive_is_spelled_as_documented_and_read_again(members: dict[str, bytes]) -> None:
    data = written(members)

    assert data == spelled(members)
    largest = {name: len(content) for name, content in members.items()}
    assert read_archive(io.BytesIO(data), largest) == members


def test_every_changed_or_missing_byte_is_refused() -> None:
    good = written(MEMBERS)
    assert read_archive(io.BytesIO(good), LARGEST) == MEMBERS

    for index in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[index] ^= 1 << bit
            with pytest.raises(SealedListError):
                read_archive(io.BytesIO(changed), LARGEST)
        with pytest.raises(SealedListError):
            read_archive(io.BytesIO(good[:index]), LARGEST)


@given(at=st.integers(0, 60), extra=st.binary(min_size=1, max_size=30))
def test_what_is_slipped_in_anywhere_is_refused(at: int, extra: bytes) -> None:
    good = written(MEMBERS)

    for place in (at, len(good) - at):
        with pytest.raises(SealedListError):
            read_archive(io.BytesIO(good[:place] + extra + good[place:]), LARGEST)


@given(data=st.binary(max_size=300))
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(SealedListError):
        read_archive(io.BytesIO(data), LARGEST)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the library's, while the attack is made
@pytest.mark.parametrize(
    "members",
    [
        [("a.bin", b"first")],
        [("a.bin", b"first"), ("b.json", b""), ("c.txt", b"")],
        [("a.bin", b"first"), ("b.json", b""), ("b.json", b"")],
        [("a.bin", b"first"), ("a.bin", b"second"), ("b.json", b"")],
        [("b.json", b""), ("a.bin", b"first")],
        [("../a.bin", b"first"), ("b.json", b"")],
        [("/a.bin", b"first"), ("b.json", b"")],
        [("A.BIN", b"first"), ("b.json", b"")],
        [("a.bin/", b""), ("b.json", b"")],
        [],
    ],
)
def test_missing_extra_doubled_or_climbing_names_are_refused(
    members: list[tuple[str, bytes]],
) -> None:
    with pytest.raises(SealedListError, match="its own members alone"):
        read_archive(io.BytesIO(zipped(*members)), LARGEST)


def test_a_compressed_member_is_refused() -> None:
    data = zipped(("a.bin", b"a" * 90), ("b.json", b""), method=zipfile.ZIP_DEFLATED)

    with pytest.raises(SealedListError, match="not compressed"):
        read_archive(io.BytesIO(data), LARGEST)


def test_a_member_that_is_too_large_is_refused() -> None:
    data = zipped(("a.bin", b"a" * 101), ("b.json", b""))

    with pytest.raises(SealedListError, match=r"a\.bin: it is larger"):
        read_archive(io.BytesIO(data), LARGEST)


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    data = zipped(("a.bin", b"a" * 5_000), ("b.json", b""))

    with pytest.raises(SealedListError, match="package: it is larger"):
        read_archive(io.BytesIO(data), LARGEST)


def test_an_archive_with_the_librarys_own_defaults_is_another_spelling() -> None:
    data = zipped(("a.bin", b"first"), ("b.json", b""))

    with pytest.raises(SealedListError, match="one spelling"):
        read_archive(io.BytesIO(data), LARGEST)


@pytest.mark.parametrize(("number", "refusal"), [(22, SealedListError), (5, OSError)])
def test_a_seek_out_of_the_file_is_a_bad_archive_but_a_bad_disk_is_not(
    number: int, refusal: type[Exception]
) -> None:
    class Disk(io.BytesIO):
        """A file whose first block is refused: EINVAL for a wild seek, EIO for a bad disk."""

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 0:
                raise OSError(number, "refused")
            return super().read(size)

    with pytest.raises(refusal):
        read_archive(Disk(written(MEMBERS)), LARGEST)
