"""Files that are no backup, or not whole: refused, the member named, nothing restored (E6)."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.errors import BackupError, BackupFileError, BackupVersionError
from alloc_service.services import backup
from tests.support.archives import MANIFEST, Members, pack, read_members, with_manifest

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def test_the_good_file_is_whole(backup_file: Path) -> None:
    assert backup.check_backup(backup_file) == backup.check_backup(backup_file)
    assert backup.check_backup(backup_file).tables["assignment"] == 1


def test_a_changed_byte_of_a_member_names_it(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    whole = backup_file.read_bytes()
    with zipfile.ZipFile(backup_file) as archive:
        entries = [entry for entry in archive.infolist() if entry.file_size]
    for entry in entries:
        begin = entry.header_offset + 30 + len(entry.filename)
        for at in (begin, begin + entry.file_size // 2, begin + entry.file_size - 1):
            changed = bytearray(whole)
            changed[at] ^= 1

            assert refuse_backup(bytes(changed)).startswith(f"{entry.filename}:")


def test_a_member_with_another_content_names_it(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    for name in [name for name in members if members[name] and name != MANIFEST]:
        changed = members[name].replace(b"0", b"1", 1).replace(b"a", b"b", 1)

        told = refuse_backup(pack({**members, name: changed}))

        assert told == f"{name}: its bytes are not those that the manifest names"


def test_a_longer_or_shorter_member_names_it(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    name = "log_entry-0001.ndjson"
    row = members[name].splitlines(keepends=True)[-1]

    told = refuse_backup(pack({**members, name: members[name] + row}))
    assert told == f"{name}: it is larger than it can be"
    told = refuse_backup(pack({**members, name: members[name][: -len(row)]}))
    assert told == f"{name}: its bytes are not those that the manifest names"


def test_a_missing_extra_doubled_or_moved_member_is_named(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    last = members.pop(MANIFEST)
    for name in members:
        without = {key: data for key, data in members.items() if key != name}
        assert refuse_backup(pack({**without, MANIFEST: last})) == f"{name}: it is missing"

    extra = {**members, "notes.txt": b"", MANIFEST: last}
    assert refuse_backup(pack(extra)) == "notes.txt: the manifest does not name it"
    moved = {**dict(reversed(members.items())), MANIFEST: last}
    assert refuse_backup(pack(moved)) == "the file: its members are not in their order"
    doubled = pack({**members, "trial-0001.ndjsox": members["trial-0001.ndjson"], MANIFEST: last})
    doubled = doubled.replace(b"trial-0001.ndjsox", b"trial-0001.ndjson")
    assert refuse_backup(doubled) == "trial-0001.ndjson: it is there twice"


def test_a_name_that_a_terminal_would_obey_is_not_repeated(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    last = members.pop(MANIFEST)

    told = refuse_backup(pack({**members, "\x1b[2J": b"", MANIFEST: last}))

    assert told == "a member: the manifest does not name it"


def test_without_its_manifest_at_the_end_it_is_no_backup(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    manifest = members.pop(MANIFEST)

    told = "MANIFEST.json: it is not the last member"
    assert refuse_backup(pack(members)) == told
    assert refuse_backup(pack({MANIFEST: manifest, **members})) == told
    assert refuse_backup(pack({})) == told


FORMAT_WRONG = "its format is not rac-backup/1"

KEYS_WRONG = "a key is unknown or missing"

ORDER_WRONG = "it does not name every table's members in their order"

MEMBER_WRONG = "it names a member wrongly"

WRONG: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
    (FORMAT_WRONG, lambda it: it.update(format="rac-backup/2")),
    (FORMAT_WRONG, lambda it: it.pop("format")),
    (KEYS_WRONG, lambda it: it.update(more=1)),
    (KEYS_WRONG, lambda it: it.pop("members")),
    (KEYS_WRONG, lambda it: it.update(members={})),
    (ORDER_WRONG, lambda it: it.update(members=[])),
    (ORDER_WRONG, lambda it: it["members"].reverse()),
    (ORDER_WRONG, lambda it: it["members"].pop(3)),
    (ORDER_WRONG, lambda it: it["members"].insert(1, it["members"][0])),
    (ORDER_WRONG, lambda it: it["members"][0].update(name="trial-1.ndjson")),
    (MEMBER_WRONG, lambda it: it["members"].append(7)),
    (MEMBER_WRONG, lambda it: it["members"][0].update(more=1)),
    (MEMBER_WRONG, lambda it: it["members"][0].update(size="1")),
    (MEMBER_WRONG, lambda it: it["members"][0].update(size=-1)),
    (MEMBER_WRONG, lambda it: it["members"][0].update(size=10**9)),
)


def test_a_manifest_that_says_something_else_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    whole = backup_file.read_bytes()
    for told, change in WRONG:
        backup_file.write_bytes(whole)
        assert refuse_backup(with_manifest(backup_file, change)) == f"MANIFEST.json: {told}"


def test_a_manifest_in_another_spelling_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)

    members[MANIFEST] += b"\n"

    assert refuse_backup(pack(members)) == "MANIFEST.json: it is not canonical JSON"


@pytest.mark.parametrize("version", ["0000", "9999", "", None, 1])
def test_a_backup_of_another_schema_version_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str], version: object
) -> None:
    refuse_backup(
        with_manifest(backup_file, lambda it: it.update(schema=version)), BackupVersionError
    )


def test_a_compressed_member_is_refused_unread(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    """However small such a file is, what comes out of it could fill the memory or the disk."""
    members = read_members(backup_file)
    bomb = {**members, "trial-0001.ndjson": bytes(64 * 2**20)}

    assert refuse_backup(pack(members, zipfile.ZIP_DEFLATED)) == "MANIFEST.json: it is compressed"
    small = pack(bomb, zipfile.ZIP_DEFLATED)
    assert len(small) < 2**20
    assert refuse_backup(small) == "MANIFEST.json: it is compressed"


def claim(members: Members, sizes: Mapping[str, int]) -> bytes:
    """Return an archive whose directory gives these sizes to members that are smaller."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
        for entry in archive.filelist:
            size = sizes.get(entry.filename, entry.file_size)
            entry.file_size = entry.compress_size = size
    return file.getvalue()


def test_a_size_that_an_archive_only_claims_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    name = "trial-0001.ndjson"
    size = len(members[name])

    told = refuse_backup(claim(members, {name: 2**31 - 1}))
    assert told == f"{name}: it is larger than it can be"
    told = refuse_backup(claim(members, {MANIFEST: 2**31 - 1}))
    assert told == f"{MANIFEST}: it is larger than it can be"
    told = refuse_backup(claim(members, {name: size - 1}))
    assert told.startswith(f"{name}: ")


def test_members_that_are_together_larger_than_their_file_are_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    """Else a small file of entries that overlap could keep a machine busy for days."""
    members = read_members(backup_file)
    manifest = json.loads(members[MANIFEST])
    for member in manifest["members"]:
        member["size"] = 30 * 2**20
    members[MANIFEST] = canon(manifest)

    told = refuse_backup(
        claim(members, {member["name"]: member["size"] for member in manifest["members"]})
    )

    assert told == "the file: its members are larger than it is"


def test_what_is_no_archive_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    whole = backup_file.read_bytes()
    told = "the file: it is damaged, or is no part of a backup"

    for data in (b"", b"SQLite format 3\0", bytes(4096), b"PK\x05\x06", whole[100:]):
        assert refuse_backup(data) == told or refuse_backup(data).endswith(
            "it is damaged, or is no part of a backup"
        )


def test_what_stands_before_or_after_the_archive_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    whole = backup_file.read_bytes()

    before = refuse_backup(b"\xef\xbb\xbf" + whole)
    assert before == "the file: its first member begins at byte 3, not at 0"
    for after in (b"\n", b" ", b"\0", b"junk\n", bytes(5_000)):
        assert refuse_backup(whole + after) == "the file: bytes follow the archive's end"


def test_a_truncated_file_is_refused_wherever_it_was_cut(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    whole = backup_file.read_bytes()
    for size in range(0, len(whole), len(whole) // 60):
        assert refuse_backup(whole[:size])


def test_a_file_that_cannot_be_read_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    backup_file.unlink()
    refuse_backup(error=BackupFileError)
    backup_file.mkdir()
    refuse_backup(error=BackupFileError)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_is_refused_or_changes_nothing_that_is_restored(
    backup_file: Path, data: st.DataObject
) -> None:
    whole = backup_file.read_bytes()
    ends = st.integers(len(whole) - 4_000, len(whole) - 1)  # where the archive's own records are
    at = data.draw(st.one_of(st.integers(0, len(whole) - 1), ends))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    other = backup_file.with_name("changed.zip")
    other.write_bytes(changed)

    try:
        report = backup.check_backup(other)
    except (BackupError, BackupVersionError):
        return

    assert report.members == backup.check_backup(backup_file).members
