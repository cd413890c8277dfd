"""Anchors that are torn, cut, damaged or exchanged: what is mended and what is refused."""

import pytest

from alloc_service.core.canon import Json
from alloc_service.errors import AnchorDamagedError
from alloc_service.log.entry import LONGEST, Entry
from tests.support.sealed_trial import ORIGIN, SealedTrial, TrialLog


def test_a_last_line_torn_at_any_byte_is_cut_and_following_goes_on(trial: SealedTrial) -> None:
    whole = trial.anchor_path.read_bytes()
    last = len(trial.log.entries[-1]) + 1
    checkpoint = trial.follow()

    for torn in range(1, last):
        trial.anchor_path.write_bytes(whole[: len(whole) - torn])
        trial.restart()

        assert trial.status.size == len(trial.log.entries) - 1
        assert trial.status.frozen == ""
        assert trial.follow() == checkpoint
        assert trial.anchor_path.read_bytes() == whole


def test_a_torn_line_is_cut_only_under_the_lock(trial: SealedTrial) -> None:
    torn = trial.anchor_path.read_bytes()[:-7]
    trial.anchor_path.write_bytes(torn)
    trial.restart()

    assert trial.status.size == 3
    assert trial.anchor_path.read_bytes() == torn
    trial.sealer.followed(ORIGIN)

    assert trial.anchor_path.read_bytes() == torn[: torn.rindex(b"\n") + 1]


def recovery_of_the_longest_size(log: TrialLog) -> Entry:
    """Return a `log.recovered` of exactly as many bytes as an entry may have."""
    log.add("design.frozen", {"list": 1, "design_sha256": "ab" * 32})
    body: dict[str, Json] = {"upto": log.state.size - 1, "fork_sha256": "", "retired": [1]}
    second: dict[str, Json] = {"id": "second", "org": "o", "role": "administrator"}
    short = log.write("log.recovered", {**body, "second": second})
    missing = LONGEST - len(short.data)
    body["retired"] = [1] * (missing // 2 + 1)
    second["org"] = "o" * (missing % 2 + 1)
    return log.write("log.recovered", {**body, "second": second})


def test_the_longest_last_line_is_found_before_the_longest_torn_one(trial: SealedTrial) -> None:
    longest = recovery_of_the_longest_size(trial.log)
    trial.follow()
    trial.log.keep(longest)
    trial.sealer.resume(ORIGIN, trial.log.entries[-2:])
    with trial.anchor_path.open("ab") as file:
        file.write(b"x" * LONGEST)

    assert len(longest.data) == LONGEST
    assert (trial.status.size, trial.status.last) == (trial.log.state.size, longest.leaf)
    trial.restart()
    assert trial.sealer.followed(ORIGIN) == trial.log.entries


def test_an_anchor_damaged_in_the_middle_is_refused_and_status_says_so(
    active_trial: SealedTrial,
) -> None:
    trial = active_trial
    kept = trial.anchor_path.read_bytes()
    trial.anchor_path.write_bytes(kept.replace(b'"seq":2', b'"seq":7'))
    trial.restart()

    for _ in range(2):
        with pytest.raises(AnchorDamagedError, match="at entry 2"):
            trial.follow()
        assert "damaged" in trial.status.frozen

    trial.anchor_path.write_bytes(kept)
    assert trial.status.frozen == ""
    assert trial.follow()


def test_an_anchor_damaged_at_its_end_is_refused_and_status_says_so(trial: SealedTrial) -> None:
    with trial.anchor_path.open("ab") as file:
        file.write(b"\x00\x00\x00\n")

    assert "damaged at its end" in trial.status.frozen
    with pytest.raises(AnchorDamagedError):
        trial.sealer.follow(ORIGIN, 4, trial.log.entries[3:])


def test_a_damaged_anchor_that_is_taken_away_reads_as_missing(trial: SealedTrial) -> None:
    trial.anchor_path.write_bytes(b"damaged\n")
    trial.restart()
    with pytest.raises(AnchorDamagedError):
        trial.sealer.followed(ORIGIN)

    trial.anchor_path.unlink()

    assert "missing" in trial.status.frozen


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_process_that_finds_less_than_it_followed_opens_and_follows_nothing(
    trial: SealedTrial, size: int, *, replaced: bool
) -> None:
    kept = trial.anchor_path.read_bytes()
    shorter = b"".join(entry + b"\n" for entry in trial.log.entries[:size])
    if replaced:
        trial.anchor_path.unlink()
    trial.anchor_path.write_bytes(shorter)

    for _ in range(2):
        with pytest.raises(AnchorDamagedError, match="held 4 entries once"):
            trial.follow()
        assert "held 4 entries once" in trial.status.frozen
    trial.anchor_path.write_bytes(kept)

    assert trial.follow()


def test_a_process_knows_what_it_has_just_written(trial: SealedTrial) -> None:
    kept = trial.anchor_path.read_bytes()
    trial.log.add_site()
    trial.follow()
    trial.anchor_path.write_bytes(kept)

    with pytest.raises(AnchorDamagedError, match="held 5 entries once"):
        trial.sealer.followed(ORIGIN)


def test_an_anchor_swapped_for_another_one_is_refused(trial: SealedTrial) -> None:
    other = trial.log.restored(3)
    for _ in range(5):
        other.add("site.activated", {"site": f"elsewhere-{len(other.entries)}"})
    beside = trial.anchors / "other"
    beside.write_bytes(b"".join(entry + b"\n" for entry in other.entries))
    beside.rename(trial.anchor_path)

    with pytest.raises(AnchorDamagedError, match="held 4 entries once"):
        trial.follow()


def test_another_file_under_the_same_inode_number_is_read_from_its_beginning(
    trial: SealedTrial,
) -> None:
    other = trial.log.restored(2)
    other.recover()
    for _ in range(20):
        other.add_site()

    with trial.anchor_path.open("r+b") as file:  # the very file, with other bytes
        file.truncate(0)
        file.write(b"".join(entry + b"\n" for entry in other.entries))

    assert trial.sealer.followed(ORIGIN) == other.entries
