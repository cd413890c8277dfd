"""Attacks on a bundle's ZIP: whatever is not the one spelling of its members is refused."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.archive import write_archive
from alloc_service.errors import BundleError
from alloc_service.log.bundle_archive import read_members
from tests.support.bundles import zipped

MEMBERS = {"a/b.bin": b"first", "c.txt": b"", "d": bytes(range(256))}


def refusal(data: bytes) -> str:
    with pytest.raises(BundleError) as refused:
        read_members(data)
    return f"{refused.value.facts['where']}: {refused.value.facts['rule']}"


def by_library(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, data, compress_type=method)
    return file.getvalue()


@given(
    members=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.[a-z]{1,4}", fullmatch=True),
        st.binary(max_size=300),
        min_size=1,
    )
)
def test_what_is_written_is_read_and_is_a_zip_for_everybody(members: dict[str, bytes]) -> None:
    file = io.BytesIO()
    write_archive(members, file)
    data = file.getvalue()

    assert data == zipped(members.items())
    assert read_members(data) == members
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == members


def test_every_changed_or_missing_byte_is_refused() -> None:
    good = zipped(MEMBERS.items())
    assert read_members(good) == MEMBERS

    for index in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[index] ^= 1 << bit
            refusal(bytes(changed))
        refusal(good[:index])


@given(at=st.integers(0, 400), extra=st.binary(min_size=1, max_size=30))
def test_what_is_slipped_in_anywhere_is_refused(at: int, extra: bytes) -> None:
    good = zipped(MEMBERS.items())

    for place in (at, max(len(good) - at, 0)):
        refusal(good[:place] + extra + good[place:])


@given(data=st.binary(max_size=300))
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refusal(data).startswith("archive: it is")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../a", "../a: its name leads out"),
        ("/etc/passwd", "/etc/passwd: its name leads out"),
        ("a/../../b", "a/../../b: its name leads out"),
        ("a//b", "a//b: its name leads out"),
        ("a/./b", "a/./b: its name leads out"),
        ("a/", "a/: its name leads out"),
        ("a\\b", "a member is named"),
        ("a:b", "a member is named"),
        ("a b", "a member is named"),
        ("é", "a member is named"),
        ("", "a member is named"),
    ],
)
def test_a_name_that_leads_out_or_is_none_is_refused(name: str, rule: str) -> None:
    raw = name.encode()
    head = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, len(raw), 0)

    assert rule in refusal(head + raw)


def test_a_doubled_member_is_refused() -> None:
    twice = [("a", b"first"), ("a", b"second")]

    assert refusal(zipped(twice, sort=False)) == "a: it is there twice"


def test_members_out_of_order_are_refused() -> None:
    assert "not sorted" in refusal(zipped([("b", b""), ("a", b"")], sort=False))


def test_a_compressed_member_is_refused() -> None:
    data = by_library(("a", b"a" * 90), method=zipfile.ZIP_DEFLATED)

    assert refusal(data) == "a: it is compressed"


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(by_library(("a", b"a" * 90)))
    data[6] |= 1

    assert refusal(bytes(data)) == "a: it is encrypted"


def test_bytes_after_the_end_are_named() -> None:
    assert refusal(zipped(MEMBERS.items()) + b"x") == "archive: bytes follow its end"


def test_a_member_that_only_the_directory_has_is_refused() -> None:
    one, both = zipped([("a", b"1")]), zipped([("a", b"1"), ("b", b"2")])
    directory = both[both.index(b"PK\x01\x02") :]

    assert "directory" in refusal(one[: one.index(b"PK\x01\x02")] + directory)


def test_another_time_or_an_extra_field_is_another_spelling() -> None:
    good = zipped([("a", b"1")])

    assert "not spelled" in refusal(good[:10] + b"\x01" + good[11:])
    assert "not spelled" in refusal(good[:28] + b"\x04\x00" + good[30:31] + b"xxxx" + good[31:])


def test_a_wrong_checksum_is_named() -> None:
    good = zipped([("a", b"1")])
    bad = good[:14] + struct.pack("<I", zlib.crc32(b"2")) + good[18:]

    assert refusal(bad) == "a: its bytes are not those of its CRC-32"


def test_an_archive_of_too_many_members_is_refused() -> None:
    many = {f"m{number:05}": b"" for number in range(0xFFFF)}

    assert "larger than any" in refusal(zipped(many.items(), ends=False))
