"""A new sealing key, a killed rotation, a lost key: nothing that was sealed is lost."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alloc_service.config import Settings
from alloc_service.core.generate import generate
from alloc_service.errors import (
    KeyLostError,
    KeysExistError,
    NotAllowedError,
    RegisterError,
    RotationError,
    UnknownKidError,
)
from alloc_service.log.rotation import follow_keys, open_of_its_time
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.keys import (
    clear_unfinished,
    load_keys,
    replace_lost_sealing_key,
)
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.wrap import wrap_digest
from alloc_service.services import lists, rotation, verification
from alloc_service.storage import queries
from tests.services.test_list_activation import secrets_of
from tests.support import children
from tests.support.installation import HOST, Installation, open_test_deps, type_small
from tests.support.shelf import place_for_files

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def settings_of(installation: Installation) -> Settings:
    home = installation.home
    return Settings(
        database_url=installation.url,
        keys=home / "keys",
        anchors=home / "anchors",
        host=HOST,
        web_secret=home / "web-secret",
    )


def rotate(installation: Installation, *, signing: bool = False) -> rotation.Rotation:
    """Change a key, and start the service anew with what is there then."""
    change = rotation.rotate_signing if signing else rotation.rotate_sealing
    settings, admin = settings_of(installation), installation.people["admin"]
    made = change(installation.deps, admin, settings, None)
    installation.deps = installation.open_anew()
    return made


def kids(installation: Installation) -> set[str]:
    """Return to which keys the sealings are wrapped, by the log and by the rows."""
    logged = {
        wrap.kid for known in installation.state().lists.values() for wrap in known.wraps.values()
    }
    return logged | {kid for (kid,) in installation.ask("SELECT kid FROM list_sealing")}


def arms(installation: Installation, count: int) -> tuple[str, ...]:
    """Return what the first allocations of the first stratum must be."""
    design, seed = secrets_of(installation)
    return generate(design, seed).arms[0][:count]


def note_at_change(installation: Installation) -> str:
    size = installation.state().log_keys[-1][0] + 1
    with installation.deps.database.read() as session:
        kept = queries.find_checkpoint(session, installation.trial, size)
    assert kept is not None
    return kept.note


# --- the sealing key ---------------------------------------------------------------------------


def test_after_a_rotation_every_sealing_and_design_is_of_the_new_key(
    active: Installation,
) -> None:
    first = active.allocate("P-001").arm
    older = active.deps.sealer.kid
    design, seed = secrets_of(active)
    lists.reseal(active.deps, active.people["stat"], design, seed)

    made = rotate(active)

    assert made.name == active.deps.sealer.kid != older
    assert (made.trials, made.rewrapped, made.left) == ((active.trial,), 2, ())
    assert kids(active) == {made.name}
    assert [entry.body["kid"] for entry in active.entries("key.rotated")] == [made.name]
    assert [entry.body["sealing"] for entry in active.entries("key.rewrapped")] == [1, 2]
    assert (first, active.allocate("P-002").arm) == arms(active, 2)
    assert lists.read_design(active.deps, active.people["stat"], active.trial, 1) == design
    assert verification.verify(active.deps, active.trial).ok


def test_what_was_sealed_opens_without_the_older_key_after_a_rotation(
    active: Installation,
) -> None:
    older = active.deps.sealer.kid
    rotate(active)
    (active.home / "keys" / f"sealing-{older}.key").unlink()
    active.deps = active.open_anew()

    assert (active.allocate("P-001").arm,) == arms(active, 1)
    assert lists.read_design(active.deps, active.people["stat"], active.trial, 1).list == 1


@on_sqlite
def test_a_service_that_was_not_restarted_shows_nothing_and_loses_nothing(
    active: Installation,
) -> None:
    running = active.deps
    rotate(active)
    restarted, active.deps = active.deps, running
    draft = active.enrol()

    with pytest.raises(UnknownKidError):
        active.reveal(draft)
    assert active.spent() == 1
    active.deps = restarted
    assert (active.reveal(draft).arm,) == arms(active, 1)
    assert active.spent() == 1


@on_sqlite
def test_an_accepted_list_stays_accepted_under_its_new_wrap(approved: Installation) -> None:
    wrap = approved.ask("SELECT wrap FROM list_sealing")[0][0]
    root = approved.state().lists[1].root
    sealer = approved.deps.sealer
    with approved.deps.database.read() as session:
        rows = list(queries.read_sealed_slots(session, approved.trial, 1, 1))
    leaves = b"".join(row.leaf for row in rows)
    sealer.accept(approved.origin, 1, wrap, leaves, (row.blob for row in rows))

    rotate(approved)

    wrap = approved.ask("SELECT wrap FROM list_sealing")[0][0]
    accepted = Acceptance(1, 1, root, wrap_digest(wrap))
    approved.deps.sealer.require_accepted(approved.origin, accepted)
    approved.activate()
    assert (approved.state().lists[1].active, approved.spent()) == (True, 0)


@on_sqlite
def test_a_list_that_nobody_accepted_is_not_accepted_by_a_rotation(
    approved: Installation,
) -> None:
    rotate(approved)

    assert approved.deps.sealer.accepted(approved.origin) == ()
    assert approved.activate().type == "list.activated"


@on_sqlite
def test_a_trial_without_a_sealed_list_has_nothing_to_say(staffed: Installation) -> None:
    made = rotate(staffed)

    assert (made.trials, made.rewrapped) == ((staffed.trial,), 0)
    assert staffed.entries("key.rotated") == []
    staffed.generate()
    assert kids(staffed) == {made.name}


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "manager", "doc", "dmc", "guest"])
@pytest.mark.parametrize("signing", [False, True])
def test_only_an_administrator_changes_a_key(
    active: Installation, actor: str, signing: bool
) -> None:
    change = rotation.rotate_signing if signing else rotation.rotate_sealing
    before = sorted((active.home / "keys").iterdir())

    with pytest.raises(NotAllowedError):
        change(active.deps, active.people[actor], settings_of(active), None)
    assert sorted((active.home / "keys").iterdir()) == before


@on_sqlite
@pytest.mark.parametrize("signing", [False, True])
def test_no_key_changes_while_a_log_cannot_grow_or_is_lost(
    active: Installation, signing: bool
) -> None:
    change = rotation.rotate_signing if signing else rotation.rotate_sealing
    settings, admin = settings_of(active), active.people["admin"]
    before = sorted((active.home / "keys").iterdir())
    frozen = next((active.home / "anchors").glob("*.anchor")).with_suffix(".frozen")

    frozen.write_text("for a test")
    with pytest.raises(RotationError, match="frozen"):
        change(active.deps, admin, settings, None)
    frozen.unlink()
    LocalSealer(load_keys(settings.keys), settings.anchors, HOST)._register.add_origin(
        f"{HOST}/TEST-OTHER/audit"
    )
    with pytest.raises(RotationError, match="TEST-OTHER"):
        change(active.deps, admin, settings, None)
    assert sorted((active.home / "keys").iterdir()) == before


# --- killed at any moment ----------------------------------------------------------------------


@pytest.fixture
def room() -> Iterator[Path]:
    """Return a folder on a disk that answers an fsync at once, for one copy a step."""
    room = Path(tempfile.mkdtemp(prefix="alloc-", dir=place_for_files()))
    yield room
    shutil.rmtree(room)


@on_sqlite
@pytest.mark.parametrize("signing", [False, True])
def test_a_rotation_that_is_killed_at_any_step_is_run_again_and_finishes(
    active: Installation, signing: bool, room: Path
) -> None:
    first = active.allocate("P-001").arm
    before = active.deps.sealer.log_key(active.origin)
    expected = arms(active, 2)
    active.close()
    count = 0
    trial = replace(active)

    def prepare() -> Callable[[], object]:
        nonlocal trial, count
        count += 1
        home = room / str(count)
        shutil.copytree(active.home, home)
        url = f"sqlite:///{home / 'alloc.db'}"
        trial = replace(active, home=home, url=url, opened=[])
        trial.deps = open_test_deps(home, url, active.clock)
        trial.deps.database.dispose()
        return lambda: rotate(trial, signing=signing)

    steps = 0
    for step in children.kill_at_each_step(prepare):
        steps = step
        if step % 4:  # each of them was killed; what is left is looked at after every fourth
            continue
        clear_unfinished(trial.home / "keys")  # as the command does first
        trial.deps = trial.open_anew()
        rotate(trial, signing=signing)
        report = verification.verify(trial.deps, trial.trial)
        assert report.ok, (step, report.faults)
        assert (first, trial.allocate("P-002").arm) == expected
        if signing:
            keys = follow_keys(trial.entries(), before)
            newer = trial.deps.sealer.log_key(trial.origin)
            assert [one.key for one in keys][:: len(keys) - 1] == [before, newer]
            open_of_its_time(note_at_change(trial), keys)
        else:
            assert kids(trial) == {trial.deps.sealer.kid}
        trial.close()
    assert steps > 10


# --- a lost sealing key ------------------------------------------------------------------------


def test_a_lost_sealing_key_is_answered_from_the_escrow(active: Installation) -> None:
    first = active.allocate("P-001").arm
    settings, lost = settings_of(active), active.deps.sealer.kid
    design, seed = secrets_of(active)
    (settings.keys / f"sealing-{lost}.key").unlink()
    with pytest.raises(KeyLostError):
        active.open_anew()

    keys = rotation.replace_lost(settings, None)
    active.deps = active.open_anew()
    made = rotation.log_replaced(active.deps, active.people["admin"], settings, None)

    assert made.left == ((active.trial, 1),)
    assert made.name == keys.kid != lost
    draft = active.enrol(type_small("P-002"))
    with pytest.raises(UnknownKidError):
        active.reveal(draft)
    lists.reseal(active.deps, active.people["stat"], design, seed)
    assert (first, active.reveal(draft).arm) == arms(active, 2)
    assert active.spent() == 2
    assert active.state().lists[1].wraps[2].kid == keys.kid
    again = rotate(active)
    assert again.left == ((active.trial, 1),)  # of the first sealing, which nothing opens
    assert (active.allocate("P-003").arm,) == arms(active, 3)[2:]


@on_sqlite
def test_a_key_that_is_there_is_not_replaced_as_a_lost_one(active: Installation) -> None:
    with pytest.raises(KeysExistError):
        rotation.replace_lost(settings_of(active), None)


@on_sqlite
def test_a_new_key_without_its_entry_in_the_register_stops_the_start(
    active: Installation,
) -> None:
    lost = active.deps.sealer.kid
    (active.home / "keys" / f"sealing-{lost}.key").unlink()
    replace_lost_sealing_key(active.home / "keys")

    with pytest.raises(RegisterError, match="is not in it"):
        active.open_anew()


@on_sqlite
def test_a_sealing_whose_row_is_lost_is_left_and_named(active: Installation) -> None:
    design, seed = secrets_of(active)
    lists.reseal(active.deps, active.people["stat"], design, seed)
    active.attack("DELETE FROM sealed_slot WHERE sealing = 1")
    active.attack("DELETE FROM list_sealing WHERE sealing = 1")

    made = rotate(active)

    assert (made.rewrapped, made.left) == (1, ((active.trial, 1),))
    assert (active.allocate().arm,) == arms(active, 1)
