"""Following: how a log begins, what may overlap, and what the sealer answers."""

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import (
    CanonError,
    EntryError,
    FrozenError,
    NoteError,
    ProtocolError,
    RuleError,
)
from alloc_service.log.note import open_checkpoint
from tests.support.sealed_trial import HOST, ORIGIN, SealedTrial, TrialLog
from tests.support.shown import altered

pytestmark = pytest.mark.parametrize("reach", ["local", "remote"], indirect=True)

# --- the beginning ---------------------------------------------------------------------------


def test_a_new_log_begins_with_since_0_and_trial_created_as_the_whole_of_it(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()

    note = new_trial.sealer.follow(ORIGIN, 0, new_trial.log.entries)

    checkpoint = open_checkpoint(note, new_trial.sealer.log_key(ORIGIN))
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 1)
    assert new_trial.sealer.origins() == [ORIGIN]


def test_since_0_is_refused_for_an_origin_that_was_registered_once(trial: SealedTrial) -> None:
    for entries in (trial.log.entries[:1], trial.log.entries, []):
        with pytest.raises(ProtocolError, match="followed before"):
            trial.sealer.follow(ORIGIN, 0, entries)

    assert trial.status.frozen == ""


def test_since_0_is_refused_for_another_host(new_trial: SealedTrial) -> None:
    for host in (f"not-{HOST}", f"{HOST}.evil.example", HOST.upper()):
        log = TrialLog(f"{host}/TEST-SEALER/audit")
        log.create()
        with pytest.raises(ProtocolError, match=f"does not begin on {HOST}"):
            new_trial.sealer.follow(log.origin, 0, log.entries)

    assert new_trial.sealer.origins() == []


def test_since_0_is_refused_for_another_origin_than_the_one_in_trial_created(
    new_trial: SealedTrial,
) -> None:
    log = TrialLog(f"{HOST}/TEST-OTHER/audit")
    log.create()

    with pytest.raises(ProtocolError, match=r"this trial\.created is not of"):
        new_trial.sealer.follow(ORIGIN, 0, log.entries)


def test_since_0_is_refused_for_a_log_longer_than_trial_created_or_empty(
    new_trial: SealedTrial,
) -> None:
    new_trial.log.create()
    new_trial.log.add_site()

    for entries in (new_trial.log.entries, []):
        with pytest.raises(ProtocolError, match="all of it"):
            new_trial.sealer.follow(ORIGIN, 0, entries)

    assert new_trial.status.size == 0


def test_since_0_is_refused_for_anything_else_than_trial_created(trial: SealedTrial) -> None:
    origin = f"{HOST}/TEST-OTHER/audit"

    with pytest.raises(RuleError):
        trial.sealer.follow(origin, 0, trial.log.entries[1:2])
    with pytest.raises(CanonError):
        trial.sealer.follow(origin, 0, [b"{}\n"])

    assert trial.sealer.origins() == [ORIGIN]
    assert not (trial.anchors / f"{origin}.anchor").exists()


def test_a_log_that_never_began_here_is_not_followed(new_trial: SealedTrial) -> None:
    new_trial.log.create()

    with pytest.raises(ProtocolError, match="never followed here"):
        new_trial.sealer.follow(ORIGIN, 1, new_trial.log.entries)


def test_the_log_of_another_trial_stays_apart(trial: SealedTrial) -> None:
    log = TrialLog(f"{HOST}/TEST-OTHER/audit")
    log.create()
    trial.sealer.follow(log.origin, 0, log.entries)
    with pytest.raises(FrozenError):
        trial.sealer.follow(log.origin, 1, [])

    assert trial.status.frozen == ""
    assert trial.follow()
    assert trial.sealer.origins() == [ORIGIN, log.origin]


# --- the checkpoint --------------------------------------------------------------------------


def test_following_answers_with_a_signed_checkpoint_of_everything_followed(
    trial: SealedTrial,
) -> None:
    trial.log.add_site()

    checkpoint = open_checkpoint(trial.follow(), trial.sealer.log_key(ORIGIN))

    assert checkpoint.size == len(trial.log.entries)
    assert checkpoint == open_checkpoint(
        trial.another_sealer().follow(ORIGIN, 1, trial.log.entries), trial.sealer.log_key(ORIGIN)
    )


def test_a_checkpoint_is_signed_under_its_own_origin_alone(trial: SealedTrial) -> None:
    other = trial.sealer.log_key(f"{HOST}/TEST-OTHER/audit")

    with pytest.raises(NoteError):
        open_checkpoint(trial.follow(), other)


# --- overlap ---------------------------------------------------------------------------------


def test_entries_that_are_followed_already_change_nothing(trial: SealedTrial) -> None:
    before = trial.anchor_path.read_bytes()

    for since in range(1, 5):
        assert trial.sealer.follow(ORIGIN, since, trial.log.entries[since - 1 :])

    assert trial.anchor_path.read_bytes() == before


def test_at_start_the_whole_log_is_shown_with_since_1(trial: SealedTrial) -> None:
    trial.log.add_site()
    trial.restart()

    trial.sealer.follow(ORIGIN, 1, trial.log.entries)

    assert trial.anchored == trial.log.entries


@pytest.mark.parametrize("since", [-1, 5, 6, 1000])
def test_a_since_that_the_sealer_never_gave_is_an_error_without_a_freeze(
    trial: SealedTrial, since: int
) -> None:
    for entries in ([], trial.log.entries, trial.log.entries[3:]):
        with pytest.raises(ProtocolError, match="never gave"):
            trial.sealer.follow(ORIGIN, since, entries)

    assert trial.status.frozen == ""


def test_a_read_that_ends_inside_the_anchor_and_equals_it_is_no_reason_to_freeze(
    trial: SealedTrial,
) -> None:
    for since in range(1, 5):
        for end in range(since, 5):
            assert trial.sealer.follow(ORIGIN, since, trial.log.entries[since - 1 : end])

    assert trial.status.frozen == ""
    assert trial.anchored == trial.log.entries


def test_two_honest_workers_with_a_stale_read_freeze_nothing(trial: SealedTrial) -> None:
    one, two = trial.another_sealer(), trial.another_sealer()
    since_one = one.status(ORIGIN).size
    since_two = two.status(ORIGIN).size
    trial.log.add_site()
    stale = list(trial.log.entries[since_one - 1 :])
    trial.log.add_site()
    fresh = list(trial.log.entries[since_two - 1 :])

    two.follow(ORIGIN, since_two, fresh)
    note = one.follow(ORIGIN, since_one, stale)

    assert note.startswith(f"{ORIGIN}\n6\n")
    assert one.status(ORIGIN).frozen == ""
    assert trial.anchored == trial.log.entries


# --- malformed -------------------------------------------------------------------------------

MALFORMED = {
    "empty": b"",
    "no JSON": b"\xff\x00 no JSON",
    "no entry": b'{"a":1}',
    "not canonical": b" {}",
    "too long": b"x" * 70_000,
    "number": b"7",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("at", [0, 3, 4])
def test_malformed_input_is_an_error_and_freezes_or_blocks_nothing(
    trial: SealedTrial, data: bytes, at: int
) -> None:
    trial.log.add_site()
    entries = list(trial.log.entries)
    entries[at] = data

    with pytest.raises((EntryError, CanonError)):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert (trial.status.frozen, trial.status.blocked) == ("", "")
    assert trial.follow()


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_entry_with_a_changed_byte_that_makes_it_no_entry_freezes_nothing(
    trial: SealedTrial, at: int
) -> None:
    trial.log.add_site()
    entries = list(trial.log.entries)
    entries[at] = entries[at].replace(b'"seq":', b'"Seq":')

    with pytest.raises((EntryError, CanonError)):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert trial.status.frozen == ""
    assert trial.follow()


@pytest.mark.parametrize("change", [{}, {"v": "rac-log/2"}, {"type": "site.unheard-of"}])
@pytest.mark.parametrize("skipped", [0, 2, 4])
def test_a_well_formed_entry_in_a_wrong_place_is_an_error_and_freezes_or_blocks_nothing(
    trial: SealedTrial, skipped: int, change: dict[str, Json]
) -> None:
    trial.log.add_site()
    last = altered(trial.log.add_site().data, **change)
    entries = [*trial.log.entries[:skipped], last]

    with pytest.raises(ProtocolError, match=f"entry 5 was shown in the place of entry {skipped}"):
        trial.sealer.follow(ORIGIN, 1, entries)

    assert (trial.status.frozen, trial.status.blocked) == ("", "")


def test_the_entries_before_a_malformed_one_are_followed(trial: SealedTrial) -> None:
    trial.log.add_site()
    trial.log.add_site()
    entries = [*trial.log.entries[:5], b"no entry", trial.log.entries[5]]

    with pytest.raises(CanonError):
        trial.sealer.follow(ORIGIN, 4, entries[3:])

    assert trial.status.size == 5
