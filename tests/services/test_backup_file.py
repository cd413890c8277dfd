"""Files that are no backup, or not whole: refused, the member named, nothing restored (E6)."""

import hashlib
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
from alloc_service.storage import rows
from alloc_service.storage.engine import Database
from tests.support.installation import Installation

Members = dict[str, bytes]

MANIFEST = "MANIFEST.json"
pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def path(active: Installation, tmp_path: Path) -> Path:
    """Return a good backup; the installation it is of goes on being there."""
    active.allocate("P-001")
    backup.write_backup(active.deps, tmp_path / "alloc.zip")
    return tmp_path / "alloc.zip"


@pytest.fixture
def refuse(path: Path, empty: Callable[[str], Database]) -> Callable[..., str]:
    """Return a function that restores what became of the file, and says where it was refused."""

    def restore(data: bytes | None = None, error: type[Exception] = BackupError) -> str:
        if data is not None:
            path.write_bytes(data)
        database = empty("sqlite")
        with pytest.raises(error) as refusal:
            backup.restore_backup(database, path)
        with database.read() as session:
            assert rows.find_filled_table(session) is None
        facts = getattr(refusal.value, "facts", {})
        return f"{facts.get('where', '')}: {facts.get('rule', '')}"

    return restore


def read_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of these members, in their order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compression)
    return file.getvalue()


def described(members: Members) -> bytes:
    """Return an archive whose manifest names these members as they are now."""
    manifest = json.loads(members[MANIFEST])
    for member in manifest["members"]:
        data = members[member["name"]]
        lines = data.count(b"\n")
        digest = hashlib.sha256(data).hexdigest()
        member |= {"rows": lines, "size": len(data), "sha256": digest}
    return pack({**members, MANIFEST: canon(manifest)})


def with_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the archive with its manifest changed, and spelled canonically again."""
    members = read_members(path)
    manifest = json.loads(members[MANIFEST])
    change(manifest)
    return pack({**members, MANIFEST: canon(manifest)})


def test_the_good_file_is_whole(path: Path) -> None:
    assert backup.check_backup(path) == backup.check_backup(path)
    assert backup.check_backup(path).tables["assignment"] == 1


def test_a_changed_byte_of_a_member_names_it(path: Path, refuse: Callable[..., str]) -> None:
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.file_size]
    for entry in entries:
        begin = entry.header_offset + 30 + len(entry.filename)
        for at in (begin, begin + entry.file_size // 2, begin + entry.file_size - 1):
            changed = bytearray(whole)
            changed[at] ^= 1

            assert refuse(bytes(changed)).startswith(f"{entry.filename}:")


def test_a_member_with_another_content_names_it(path: Path, refuse: Callable[..., str]) -> None:
    members = read_members(path)
    for name in [name for name in members if members[name] and name != MANIFEST]:
        changed = members[name].replace(b"0", b"1", 1).replace(b"a", b"b", 1)

        told = refuse(pack({**members, name: changed}))

        assert told == f"{name}: its bytes are not those that the manifest names"


def test_a_longer_or_shorter_member_names_it(path: Path, refuse: Callable[..., str]) -> None:
    members = read_members(path)
    name = "log_entry-0001.ndjson"
    row = members[name].splitlines(keepends=True)[-1]

    told = refuse(pack({**members, name: members[name] + row}))
    assert told == f"{name}: it is larger than it can be"
    told = refuse(pack({**members, name: members[name][: -len(row)]}))
    assert told == f"{name}: its bytes are not those that the manifest names"


def test_a_missing_extra_doubled_or_moved_member_is_named(
    path: Path, refuse: Callable[..., str]
) -> None:
    members = read_members(path)
    last = members.pop(MANIFEST)
    for name in members:
        without = {key: data for key, data in members.items() if key != name}
        assert refuse(pack({**without, MANIFEST: last})) == f"{name}: it is missing"

    extra = {**members, "notes.txt": b"", MANIFEST: last}
    assert refuse(pack(extra)) == "notes.txt: the manifest does not name it"
    moved = {**dict(reversed(members.items())), MANIFEST: last}
    assert refuse(pack(moved)) == "the file: its members are not in their order"
    doubled = pack({**members, "trial-0001.ndjsox": members["trial-0001.ndjson"], MANIFEST: last})
    doubled = doubled.replace(b"trial-0001.ndjsox", b"trial-0001.ndjson")
    assert refuse(doubled) == "trial-0001.ndjson: it is there twice"


def test_a_name_that_a_terminal_would_obey_is_not_repeated(
    path: Path, refuse: Callable[..., str]
) -> None:
    members = read_members(path)
    last = members.pop(MANIFEST)

    told = refuse(pack({**members, "\x1b[2J": b"", MANIFEST: last}))

    assert told == "a member: the manifest does not name it"


def test_without_its_manifest_at_the_end_it_is_no_backup(
    path: Path, refuse: Callable[..., str]
) -> None:
    members = read_members(path)
    manifest = members.pop(MANIFEST)

    told = "MANIFEST.json: it is not the last member"
    assert refuse(pack(members)) == told
    assert refuse(pack({MANIFEST: manifest, **members})) == told
    assert refuse(pack({})) == told


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
    path: Path, refuse: Callable[..., str]
) -> None:
    whole = path.read_bytes()
    for told, change in WRONG:
        path.write_bytes(whole)
        assert refuse(with_manifest(path, change)) == f"MANIFEST.json: {told}"


def test_a_manifest_in_another_spelling_is_refused(path: Path, refuse: Callable[..., str]) -> None:
    members = read_members(path)

    members[MANIFEST] += b"\n"

    assert refuse(pack(members)) == "MANIFEST.json: it is not canonical JSON"


@pytest.mark.parametrize("version", ["0000", "9999", "", None, 1])
def test_a_backup_of_another_schema_version_is_refused(
    path: Path, refuse: Callable[..., str], version: object
) -> None:
    refuse(with_manifest(path, lambda it: it.update(schema=version)), BackupVersionError)


def test_a_wrong_number_of_rows_is_refused(path: Path, refuse: Callable[..., str]) -> None:
    def miscount(manifest: dict[str, Any]) -> None:
        manifest["members"][1]["rows"] += 1

    told = refuse(with_manifest(path, miscount))

    assert told == "account-0001.ndjson: it has not as many lines as the manifest says"


def test_a_member_whose_last_line_is_not_ended_is_refused(
    path: Path, refuse: Callable[..., str]
) -> None:
    members = read_members(path)
    members["reason-0001.ndjson"] = b"{}"

    told = refuse(described(members))

    assert told == "reason-0001.ndjson: it has not as many lines as the manifest says"


def test_a_compressed_member_is_refused_unread(path: Path, refuse: Callable[..., str]) -> None:
    """However small such a file is, what comes out of it could fill the memory or the disk."""
    members = read_members(path)
    bomb = {**members, "trial-0001.ndjson": bytes(64 * 2**20)}

    assert refuse(pack(members, zipfile.ZIP_DEFLATED)) == "MANIFEST.json: it is compressed"
    small = pack(bomb, zipfile.ZIP_DEFLATED)
    assert len(small) < 2**20
    assert refuse(small) == "MANIFEST.json: it is compressed"


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
    path: Path, refuse: Callable[..., str]
) -> None:
    members = read_members(path)
    name = "trial-0001.ndjson"
    size = len(members[name])

    told = refuse(claim(members, {name: 2**31 - 1}))
    assert told == f"{name}: it is larger than it can be"
    told = refuse(claim(members, {MANIFEST: 2**31 - 1}))
    assert told == f"{MANIFEST}: it is larger than it can be"
    told = refuse(claim(members, {name: size - 1}))
    assert told.startswith(f"{name}: ")


def test_members_that_are_together_larger_than_their_file_are_refused(
    path: Path, refuse: Callable[..., str]
) -> None:
    """Else a small file of entries that overlap could keep a machine busy for days."""
    members = read_members(path)
    manifest = json.loads(members[MANIFEST])
    for member in manifest["members"]:
        member["size"] = 30 * 2**20
    members[MANIFEST] = canon(manifest)

    told = refuse(
        claim(members, {member["name"]: member["size"] for member in manifest["members"]})
    )

    assert told == "the file: its members are larger than it is"


def test_what_is_no_archive_is_refused(path: Path, refuse: Callable[..., str]) -> None:
    whole = path.read_bytes()
    told = "the file: it is damaged, or is no part of a backup"

    for data in (b"", b"SQLite format 3\0", bytes(4096), b"PK\x05\x06", whole[100:]):
        assert refuse(data) == told or refuse(data).endswith(
            "it is damaged, or is no part of a backup"
        )


def test_a_truncated_file_is_refused_wherever_it_was_cut(
    path: Path, refuse: Callable[..., str]
) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), len(whole) // 60):
        assert refuse(whole[:size])


def test_a_file_that_cannot_be_read_is_refused(path: Path, refuse: Callable[..., str]) -> None:
    path.unlink()
    refuse(error=BackupFileError)
    path.mkdir()
    refuse(error=BackupFileError)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_is_refused_or_changes_nothing_that_is_restored(
    path: Path, data: st.DataObject
) -> None:
    whole = path.read_bytes()
    ends = st.integers(len(whole) - 4_000, len(whole) - 1)  # where the archive's own records are
    at = data.draw(st.one_of(st.integers(0, len(whole) - 1), ends))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    other = path.with_name("changed.zip")
    other.write_bytes(changed)

    try:
        report = backup.check_backup(other)
    except (BackupError, BackupVersionError):
        return

    assert report.members == backup.check_backup(path).members


@pytest.mark.parametrize(
    ("table", "line", "rule"),
    [
        ("reason", b"{}", "other columns"),
        (
            "reason",
            b'{"entry_seq":1,"salt":"s","text":"t","trial_id":7}',
            "not of its column's kind",
        ),
        ("reason", b'{"entry_seq":true,"salt":"s","text":"t","trial_id":"x"}', "column's kind"),
        ("reason", b'{"entry_seq":"1","salt":"s","text":"t","trial_id":"x"}', "column's kind"),
        ("reason", b'{"entry_seq":1,"salt":null,"text":"t","trial_id":"x"}', "column's kind"),
        ("reason", b'{"entry_seq":1, "salt":"s","text":"t","trial_id":"x"}', "canonical"),
        ("reason", b"[]", "an object is expected"),
        ("reason", b"\xff", "not readable"),
        ("fork", b'{"at":"2026-01-02T09:00:00","fork":1,"fork_sha256":"","trial_id":"x"}', "kind"),
        (
            "fork",
            b'{"at":"2026-01-02T09:00:00.000000Z","fork":1,"fork_sha256":"","trial_id":"x"}',
            "kind",
        ),
        ("fork", b'{"at":"2026-02-30T09:00:00Z","fork":1,"fork_sha256":"","trial_id":"x"}', "kind"),
        ("log_node", b'{"hash":"AAA","level":1,"position":0,"trial_id":"x"}', "kind"),
        ("log_node", b'{"hash":"AB==","level":1,"position":0,"trial_id":"x"}', "kind"),
    ],
)
def test_a_line_that_is_no_row_of_its_table_is_named(
    path: Path, refuse: Callable[..., str], table: str, line: bytes, rule: str
) -> None:
    members = read_members(path)
    members[f"{table}-0001.ndjson"] += line + b"\n"
    number = members[f"{table}-0001.ndjson"].count(b"\n")

    told = refuse(described(members))

    assert told.startswith(f"{table}-0001.ndjson, line {number}: a row of {table}: ")
    assert rule in told


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("log_entry", "log_entry_follows_the_last"),
        ("assignment", "assignment_takes_the_next_slot"),
        ("sealed_slot", "sealed_slot_is_new"),
        ("account", "username_is_used_once"),
    ],
)
def test_rows_that_the_guards_of_the_database_refuse_are_not_restored(
    path: Path, refuse: Callable[..., str], table: str, rule: str
) -> None:
    members = read_members(path)
    name = f"{table}-0001.ndjson"
    first, *rest = members[name].splitlines(keepends=True)
    wrong = [first, first, *rest]
    if table == "log_entry":
        wrong = [first, *rest[1:]]
    if table == "assignment":
        wrong = [first.replace(b'"slot":0', b'"slot":1')]
    if table == "account":
        wrong = [first, replace_username(rest[0], first), *rest[1:]]
    members[name] = b"".join(wrong)

    told = refuse(described(members))

    assert told.startswith("the file: its rows contradict each other")
    assert told.endswith(rule)


def replace_username(line: bytes, like: bytes) -> bytes:
    row = json.loads(line) | {"username": json.loads(like)["username"]}
    return canon(row) + b"\n"
