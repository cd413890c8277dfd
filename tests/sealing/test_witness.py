"""A witness at work: what it keeps before it answers, and what it never signs."""

import errno
import threading
from pathlib import Path

import pytest

from alloc_service.errors import WitnessFolderError
from alloc_service.log.note import open_cosigned
from alloc_service.sealing.witness import WitnessDesk, list_witnessed
from alloc_service.sealing.witness_folder import add_log, note_path
from tests.support.witnesses import ORIGIN, GrowingLog, make_witness

LOG, OTHER_HISTORY = GrowingLog(), GrowingLog(history="two")
NOW = 1_700_000_000


def clock() -> int:
    return NOW


def refuse_renames(patch: pytest.MonkeyPatch) -> None:
    """Make the system refuse what puts a new file in an old one's place."""

    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(Path, "replace", refuse)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_witness(tmp_path / "witness", LOG.key)
    return tmp_path / "witness"


@pytest.fixture
def desk(folder: Path) -> WitnessDesk:
    return WitnessDesk(folder)


def test_what_is_cosigned_is_kept_and_told_again(desk: WitnessDesk, folder: Path) -> None:
    answer = desk.answer(LOG.request(0, 5).data, clock)

    assert (answer.status, answer.media) == (200, "text/plain; charset=utf-8")
    note = desk.find_note(ORIGIN)
    assert note == LOG.note(5) + answer.body
    checkpoint, names = open_cosigned(note, LOG.key, [desk.verifier])
    assert (checkpoint.size, names) == (5, (desk.verifier.name,))
    assert note_path(folder, ORIGIN).stat().st_mode & 0o777 == 0o600
    (item,) = list_witnessed(folder)
    assert (item.log, item.note, item.checkpoint) == (LOG.key, note, checkpoint)
    assert WitnessDesk(folder).find_note(ORIGIN) == note
    assert desk.origins() == [ORIGIN]


def test_a_log_that_grows_is_cosigned_step_by_step(desk: WitnessDesk) -> None:
    for old, size in ((0, 1), (1, 2), (2, 9), (9, 9), (9, 33)):
        assert desk.answer(LOG.request(old, size).data, clock).status == 200, size
    assert desk.answer(LOG.request(9, 33).data, clock).body == "33\n"


def test_a_second_history_is_never_signed_and_changes_nothing(
    desk: WitnessDesk, folder: Path
) -> None:
    desk.answer(LOG.request(0, 5).data, clock)
    before = note_path(folder, ORIGIN).read_bytes()

    assert desk.answer(OTHER_HISTORY.request(0, 9).data, clock)[:2] == (409, "text/x.tlog.size")
    assert desk.answer(OTHER_HISTORY.request(5, 9).data, clock).status == 422
    assert desk.answer(OTHER_HISTORY.request(5, 5).data, clock).status == 409
    assert desk.answer(LOG.request(3, 4).data, clock).status == 409
    assert note_path(folder, ORIGIN).read_bytes() == before


def test_nothing_is_made_for_a_log_that_is_not_followed(desk: WitnessDesk, folder: Path) -> None:
    before = sorted(folder.iterdir())
    stranger = GrowingLog("other.example.org/T/audit")

    assert desk.answer(stranger.request(0, 5).data, clock).status == 404
    assert desk.answer(b"old 0", clock).status == 400
    assert desk.find_note(stranger.origin) == ""
    assert sorted(folder.iterdir()) == before


def test_a_log_that_is_added_meanwhile_is_followed(desk: WitnessDesk, folder: Path) -> None:
    other = GrowingLog("other.example.org/T/audit")
    add_log(folder, other.key)

    assert desk.find_note(other.origin) == ""
    assert [item.checkpoint for item in list_witnessed(folder)] == [None, None]
    assert desk.answer(other.request(0, 5).data, clock).status == 200
    assert desk.answer(LOG.request(0, 3).data, clock).status == 200


def test_what_was_seen_and_is_lost_is_never_begun_anew(desk: WitnessDesk, folder: Path) -> None:
    desk.answer(LOG.request(0, 5).data, clock)
    note_path(folder, ORIGIN).unlink()

    answer = desk.answer(OTHER_HISTORY.request(0, 5).data, clock)

    assert answer.status == 503
    assert "is lost" in answer.body
    assert not note_path(folder, ORIGIN).exists()
    with pytest.raises(WitnessFolderError, match="second history"):
        list_witnessed(folder)


@pytest.mark.parametrize(
    "damage", ["emptied", "cut", "other bytes", "without the witness", "no text"]
)
def test_what_was_seen_and_is_damaged_is_never_built_on(
    desk: WitnessDesk, folder: Path, damage: str
) -> None:
    desk.answer(LOG.request(0, 5).data, clock)
    path = note_path(folder, ORIGIN)
    kept = path.read_bytes()
    path.write_bytes(
        {
            "emptied": b"",
            "cut": kept[:-9],
            "other bytes": kept.replace(b"\n5\n", b"\n4\n"),
            "without the witness": LOG.note(5).encode(),
            "no text": b"\xff",
        }[damage]
    )

    answer = desk.answer(LOG.request(5, 9).data, clock)

    assert answer.status == 503
    assert "is damaged" in answer.body


def test_what_was_seen_must_be_a_file(desk: WitnessDesk, folder: Path, tmp_path: Path) -> None:
    path = note_path(folder, ORIGIN)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    answer = desk.answer(LOG.request(0, 5).data, clock)

    assert answer.status == 503
    assert "cannot be read" in answer.body


def test_nothing_is_answered_that_the_disk_did_not_keep(
    desk: WitnessDesk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.answer(LOG.request(0, 5).data, clock)
    with monkeypatch.context() as patch:
        refuse_renames(patch)
        answer = desk.answer(LOG.request(5, 9).data, clock)

    assert answer.status == 503
    assert "the disk refused" in answer.body
    assert WitnessDesk(folder).answer(LOG.request(5, 7).data, clock).status == 200


def test_two_requests_at_once_never_sign_two_histories(folder: Path) -> None:
    desks = [WitnessDesk(folder) for _ in range(4)]
    start = threading.Barrier(len(desks) * 4)
    told: list[tuple[str, int]] = []

    def ask(at: int, desk: WitnessDesk) -> None:
        log = (LOG, OTHER_HISTORY)[at % 2]
        start.wait()
        told.append((log.history, desk.answer(log.request(0, 3 + at).data, clock).status))

    threads = [threading.Thread(target=ask, args=(at, desk)) for at, desk in enumerate(desks * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(status for _, status in told) == [200] + [409] * 15


def test_after_a_change_of_the_logs_key_what_was_seen_still_counts(
    desk: WitnessDesk, folder: Path
) -> None:
    desk.answer(LOG.request(0, 5).data, clock)
    newer = GrowingLog(label="next")

    refused = desk.answer(newer.request(5, 9).data, clock)
    assert refused.status == 403
    assert "`alloc witness add-log FOLDER VKEY --changed`" in refused.body
    add_log(folder, newer.key, changed=True)
    other = GrowingLog(label="next", history="two")
    assert desk.answer(other.request(0, 9).data, clock)[:3:2] == (409, "5\n")
    assert desk.answer(other.request(5, 9).data, clock).status == 422
    assert desk.answer(LOG.request(5, 9).data, clock).status == 403
    assert desk.find_note(ORIGIN).startswith(LOG.note(5))
    assert list_witnessed(folder)[0].log == newer.key

    assert desk.answer(newer.request(5, 9).data, clock).status == 200
    assert desk.find_note(ORIGIN).startswith(newer.note(9))
    assert open_cosigned(desk.find_note(ORIGIN), newer.key, [desk.verifier])[0].size == 9
