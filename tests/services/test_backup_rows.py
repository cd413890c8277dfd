"""Whole files whose rows are none: the line or the rule of the database is named (E6)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alloc_service.core.canon import canon
from tests.support.archives import described, read_members, with_manifest

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def test_a_wrong_number_of_rows_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    def miscount(manifest: dict[str, Any]) -> None:
        manifest["members"][1]["rows"] += 1

    told = refuse_backup(with_manifest(backup_file, miscount))

    assert told == "account-0001.ndjson: it has not as many lines as the manifest says"


def test_a_member_whose_last_line_is_not_ended_is_refused(
    backup_file: Path, refuse_backup: Callable[..., str]
) -> None:
    members = read_members(backup_file)
    members["reason-0001.ndjson"] = b"{}"

    told = refuse_backup(described(members))

    assert told == "reason-0001.ndjson: it has not as many lines as the manifest says"


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
        ("reason", b"\xff", "at byte 0 it is no text in UTF-8"),
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
    backup_file: Path, refuse_backup: Callable[..., str], table: str, line: bytes, rule: str
) -> None:
    members = read_members(backup_file)
    members[f"{table}-0001.ndjson"] += line + b"\n"
    number = members[f"{table}-0001.ndjson"].count(b"\n")

    told = refuse_backup(described(members))

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
    backup_file: Path, refuse_backup: Callable[..., str], table: str, rule: str
) -> None:
    members = read_members(backup_file)
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

    told = refuse_backup(described(members))

    assert told.startswith("the file: its rows contradict each other")
    assert told.endswith(rule)


def replace_username(line: bytes, like: bytes) -> bytes:
    row = json.loads(line) | {"username": json.loads(like)["username"]}
    return canon(row) + b"\n"
