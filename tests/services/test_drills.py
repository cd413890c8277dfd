"""Drills: the escrow, the log, the backup and the keys are tried, and nothing is told of arms."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from alloc_service.core.canon import canon
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    BackupError,
    DrillError,
    KeysMissingError,
    NotAllowedError,
    RefusalError,
    RuleError,
    SecondPersonError,
)
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.verify import VerifiedLog
from alloc_service.sealing.escrow import EscrowedList, open_escrow
from alloc_service.sealing.keys import ServerKeys, load_keys
from alloc_service.services import backup, bundles, drills, list_reviews, lookups
from alloc_service.services.drills import Drill
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.verification import Check
from tests.support.bundles import resealed
from tests.support.installation import Installation

SQLITE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


class Spare:
    """A spare machine, with what two custodians have brought to it."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        files = lookups.read_escrow(
            installation.deps, installation.people["dmc"], installation.trial, 1
        )
        name = "seed.archive+dmc.age"
        identities = installation.identities
        self.escrowed: EscrowedList = open_escrow(
            files[name], identities["archive"], identities["dmc"], name
        )
        self.backup = folder / "alloc.zip"
        backup.write_backup(installation.deps, self.backup)
        dmc, trial = installation.people["dmc"], installation.trial
        self.bundle = bundles.make_blinded(installation.deps, dmc, trial)
        log = installation.deps.sealer.log_key(installation.origin)
        self.policy = f"log {log.vkey}\nquorum none\n"
        self.keys_folder = installation.home / "keys"

    def verify(self) -> VerifiedLog:
        return drills.verify_evidence(self.bundle, self.policy)

    def keys(self) -> ServerKeys:
        return load_keys(self.keys_folder)

    def hold(self) -> tuple[Drill, dict[str, Check]]:
        drill, checks = drills.hold(self.escrowed, self.verify, self.backup, self.keys)
        return drill, {check.name: check for check in checks}


@pytest.fixture
def spare(active: Installation, tmp_path: Path) -> Spare:
    active.allocate()
    return Spare(active, tmp_path)


def log(installation: Installation, drill: Drill, *by: str) -> None:
    first, second = by or ("stat", "dmc")
    people = TwoPeople(installation.people[first], installation.people[second])
    drills.log_drill(installation.deps, people, installation.trial, drill)


@SQLITE
def test_a_drill_in_which_all_is_well_says_so_of_each_part(spare: Spare) -> None:
    drill, checks = spare.hold()

    assert drill.is_well
    assert list(checks) == ["escrow", "bundle", "root", "sealed slot"]
    assert all(check.ok for check in checks.values())
    assert drill.root == spare.installation.state().lists[1].root
    assert drill.size == len(spare.installation.entries())


@SQLITE
def test_no_drill_tells_anything_of_an_allocation(spare: Spare) -> None:
    for _again in range(12):  # another slot each time
        drill, checks = spare.hold()
        told = drill.to_bytes().decode() + str(checks)
        for word in ("SUNRISE", "MOONSET", "slot index", "stratum", spare.escrowed.seed.digits):
            assert word not in told


@SQLITE
def test_a_log_that_is_not_whole_is_not_well_and_no_slot_is_tried(spare: Spare) -> None:
    members = read_members(spare.bundle)
    rows = members["audit/entries.ndjson"].splitlines(keepends=True)
    members["audit/entries.ndjson"] = b"".join(rows[:3] + rows[4:])
    spare.bundle = resealed(members)

    drill, checks = spare.hold()

    assert (drill.log_verified, drill.root_equal, drill.blob_opened) == (False, False, False)
    assert "entry 3" in checks["bundle"].detail
    assert "was not tried" in checks["sealed slot"].detail
    assert checks["escrow"].ok


@SQLITE
def test_another_seed_gives_another_root(spare: Spare) -> None:
    spare.escrowed = EscrowedList(spare.escrowed.design, Seed("ab" * 32))

    drill, checks = spare.hold()

    assert drill.log_verified
    assert not drill.root_equal
    assert "not the log's" in checks["root"].detail


@SQLITE
def test_keys_that_are_not_there_are_told(spare: Spare, tmp_path: Path) -> None:
    spare.keys_folder = tmp_path / "nowhere"
    assert isinstance(_refusal(spare.keys), KeysMissingError)

    drill, checks = spare.hold()

    assert (drill.root_equal, drill.blob_opened) == (True, False)
    assert "alloc init" in checks["sealed slot"].detail


def _refusal(act: Callable[[], object]) -> RefusalError:
    with pytest.raises(RefusalError) as refusal:
        act()
    return refusal.value


@SQLITE
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM sealed_slot", "no row of this list's newest sealing"),
        ("UPDATE sealed_slot SET blob = zeroblob(285)", "sealed slot"),
        ("UPDATE list_sealing SET wrap = zeroblob(80)", "its key is not the logged one"),
    ],
)
def test_a_backup_that_would_not_give_the_list_again_is_told(
    spare: Spare, tmp_path: Path, statement: str, told: str
) -> None:
    spare.installation.attack(statement)
    spare.backup = tmp_path / "later.zip"
    backup.write_backup(spare.installation.deps, spare.backup)

    drill, checks = spare.hold()

    assert not drill.blob_opened
    assert told in checks["sealed slot"].detail.lower()


@SQLITE
def test_a_file_that_is_no_backup_is_told(spare: Spare, tmp_path: Path) -> None:
    spare.backup = tmp_path / "no.zip"
    spare.backup.write_bytes(b"no backup")

    _drill, checks = spare.hold()

    assert not checks["sealed slot"].ok
    assert BackupError.code


# --- the log ---------------------------------------------------------------------------------


def test_a_drill_is_logged_by_the_two_who_held_it(spare: Spare) -> None:
    here = spare.installation
    drill, _checks = spare.hold()
    log(here, drill)

    (entry,) = here.entries("drill.done")
    assert (entry.actor_id, entry.body["second"]["id"]) == ("p-stat", "p-dmc")
    assert entry.body["root_equal"] is entry.body["blob_opened"] is True
    assert here.state().lists[1].drilled_at == entry.time


def test_a_drill_that_went_wrong_is_logged_too(spare: Spare) -> None:
    here = spare.installation
    spare.keys_folder = Path("/nowhere")
    log(here, spare.hold()[0])

    assert here.entries("drill.done")[0].body["blob_opened"] is False
    assert not here.state().lists[1].drilled_at


def test_a_drill_takes_two_people_with_a_role_for_it(spare: Spare) -> None:
    here, drill = spare.installation, spare.hold()[0]
    with pytest.raises(SecondPersonError):
        log(here, drill, "stat", "stat")
    for pair in (("doc", "dmc"), ("dmc", "doc"), ("guest", "stat")):
        with pytest.raises(NotAllowedError):
            log(here, drill, *pair)
    assert not here.entries("drill.done")


@SQLITE
def test_a_report_of_another_log_list_or_root_is_refused(spare: Spare) -> None:
    here = spare.installation
    whole = json.loads(spare.hold()[0].to_bytes())
    cases = {
        "not of the log": whole | {"origin": "rac.example.org/OTHER/audit"},
        "is equal which is not": whole | {"root": "0" * 64},
    }
    for rule, changed in cases.items():
        with pytest.raises(DrillError, match=rule):
            log(here, Drill.from_bytes(canon(changed)))
    with pytest.raises(RuleError, match="list 7 has no frozen design"):
        log(here, Drill.from_bytes(canon(whole | {"list": 7})))


@SQLITE
def test_a_report_in_another_spelling_is_refused(spare: Spare) -> None:
    data = spare.hold()[0].to_bytes()
    whole = json.loads(data)
    assert Drill.from_bytes(data).to_bytes() == data
    spoiled = [
        data + b"\n",
        b"\xef\xbb\xbf" + data,
        data[:-1],
        canon(whole | {"alg": "rac-drill/2"}),
        canon(whole | {"more": 1}),
        canon(whole | {"root": "R"}),
        canon(whole | {"list": True}),
        canon(whole | {"size": "7"}),
        canon({name: value for name, value in whole.items() if name != "list"}),
    ]
    for bad in spoiled:
        with pytest.raises(DrillError):
            Drill.from_bytes(bad)


# --- the reminder ----------------------------------------------------------------------------


def due(installation: Installation) -> bool:
    dmc = installation.people["dmc"]
    return list_reviews.read_reviews(installation.deps, dmc, installation.trial)[0].drill_due


@SQLITE
def test_a_drill_is_due_for_a_list_in_use_without_one_and_again_after_90_days(
    spare: Spare,
) -> None:
    here = spare.installation
    assert due(here)
    log(here, spare.hold()[0])
    assert not due(here)
    here.clock.advance(days=90)
    assert not due(here)

    here.clock.now += timedelta(seconds=1)

    assert due(here)


@SQLITE
def test_no_drill_is_due_for_a_list_that_is_not_in_use(approved: Installation) -> None:
    assert not due(approved)
