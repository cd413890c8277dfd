"""The log a page at a time: who reads what, filters, how far one page looks, and proofs."""

from datetime import date

import pytest

from alloc_service.errors import FrozenError, NotAllowedError, UnknownRecordError
from alloc_service.log.note import open_checkpoint
from alloc_service.log.receipt import Receipt
from alloc_service.services import log_pages, reports, reveal, trials
from alloc_service.services.log_pages import LogPage, Wanted
from alloc_service.services.reports import HIDDEN_FROM_SITES
from tests.support.installation import Installation, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
EVERYTHING = Wanted()


def read(installation: Installation, username: str, wanted: Wanted = EVERYTHING) -> LogPage:
    person = installation.people[username]
    return log_pages.read_page(installation.deps, person, installation.trial, wanted)


def seqs(page: LogPage) -> list[int]:
    return [entry.seq for entry in page.entries]


def types(page: LogPage) -> list[object]:
    return [entry.told["type"] for entry in page.entries if entry.told]


def test_the_pages_together_are_the_whole_log_newest_first(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pages, "PAGE", 4)
    found: list[int] = []
    older: int | None = None
    while True:
        page = read(active, "dmc", Wanted(before=older))
        assert len(page.entries) <= 4
        found += seqs(page)
        older = page.older
        if older is None:
            break

    assert found == list(reversed(range(len(active.entries()))))


@on_sqlite
@pytest.mark.parametrize("username", ["dmc", "stat", "second", "admin"])
def test_oversight_is_shown_entries_as_they_are_read_whole(
    active: Installation, username: str
) -> None:
    active.allocate()
    person = active.people[username]
    page = read(active, username)

    told = [entry.told for entry in reversed(page.entries)]
    assert page.whole
    assert told == reports.read_log(active.deps, person, active.trial)[-len(told) :]
    assert all(not entry.fault for entry in page.entries)


def test_a_physician_is_shown_the_own_entries_without_place_of_a_slot(
    active: Installation,
) -> None:
    draft = active.enrol()
    active.reveal(draft)
    reveal.read_again(active.deps, active.people["doc2"], draft.id)
    reveal.read_again(active.deps, active.people["doc"], draft.id)

    page = read(active, "doc")
    assert not page.whole
    assert types(page) == ["slot.reread", "slot.assigned"]
    for entry in page.entries:
        assert entry.told is not None
        assert not set(HIDDEN_FROM_SITES) & set(entry.told["body"])  # type: ignore[arg-type]
    for filtered in (Wanted(person="p-doc2"), Wanted(type="list.sealed")):
        assert read(active, "doc", filtered).entries == ()


@on_sqlite
@pytest.mark.parametrize("username", ["manager", "guest"])
def test_nobody_else_is_shown_a_page_of_the_log(active: Installation, username: str) -> None:
    with pytest.raises(NotAllowedError):
        read(active, username)


@on_sqlite
def test_a_page_shows_the_type_the_person_and_the_days_that_are_wanted(
    active: Installation,
) -> None:
    active.clock.advance(days=1)
    active.allocate("P-001")
    active.clock.advance(days=1)
    active.reveal(active.enrol(type_small("P-002"), by="doc2"), by="doc2")

    assert types(read(active, "dmc", Wanted(type="slot.assigned"))) == ["slot.assigned"] * 2
    assert len(seqs(read(active, "dmc", Wanted(person="p-doc2")))) == 1
    first, second, third = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
    both, size = read(active, "dmc", Wanted(first_day=second)), len(active.entries())
    assert seqs(both) == [size - 1, size - 2]
    assert seqs(read(active, "dmc", Wanted(first_day=third))) == [size - 1]
    assert seqs(read(active, "dmc", Wanted(first_day=second, last_day=second))) == [size - 2]
    assert size - 3 in seqs(read(active, "dmc", Wanted(last_day=first)))
    assert read(active, "dmc", Wanted(person="p-nobody")).entries == ()


@on_sqlite
def test_a_page_looks_back_so_far_and_says_where_to_go_on(
    active: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pages, "MOST_LOOKED_AT", 5)
    size = len(active.entries())
    page = read(active, "dmc", Wanted(type="trial.created"))

    assert (page.entries, page.older) == ((), size - 5)
    last = read(active, "dmc", Wanted(type="trial.created", before=5))
    assert (seqs(last), last.older) == ([0], None)


@on_sqlite
def test_an_entry_that_somebody_changed_is_shown_as_such_whatever_is_wanted(
    active: Installation,
) -> None:
    active.allocate()
    assigned = active.entries("slot.assigned")[0]
    changed = assigned.data.replace(b'"p-doc"', b'"p-dox"')
    active.attack("UPDATE log_entry SET data = :data WHERE seq = :seq",
                  data=changed, seq=assigned.seq)  # fmt: skip
    active.attack("UPDATE log_entry SET data = :data WHERE seq = 1", data=b"{}")

    page = read(active, "dmc", Wanted(type="trial.closed"))
    assert seqs(page) == [assigned.seq, 1]
    assert "not those that its stored hash is of" in page.entries[0].fault
    assert page.entries[1].told is None
    assert page.entries[1].fault.startswith("This entry cannot be read: ")
    assert read(active, "doc").entries == ()
    exact = log_pages.read_exact_entry(active.deps, active.people["dmc"], active.trial, 1)
    assert (exact.data, exact.shown) == (b"{}", page.entries[1])


# --- one entry --------------------------------------------------------------------------------


def test_one_entry_is_shown_with_its_exact_bytes_and_their_hash(active: Installation) -> None:
    active.allocate()
    for entry in active.entries():
        exact = log_pages.read_exact_entry(
            active.deps, active.people["dmc"], active.trial, entry.seq
        )
        assert (exact.data, exact.leaf) == (entry.data, entry.leaf)
        assert exact.shown.told == reports.show_entry(entry)
    with pytest.raises(UnknownRecordError, match="numbered 999"):
        log_pages.read_exact_entry(active.deps, active.people["dmc"], active.trial, 999)


def test_a_proof_shows_that_an_entry_is_in_the_log(active: Installation) -> None:
    active.allocate()
    key = active.deps.sealer.log_key(active.origin)
    size = len(active.entries())
    for entry in active.entries():
        text = log_pages.read_proof(active.deps, active.people["dmc"], active.trial, entry.seq)
        checkpoint = Receipt.parse(text).verify(bytes.fromhex(entry.leaf), key)
        assert checkpoint.size == size
    with pytest.raises(UnknownRecordError):
        log_pages.read_proof(active.deps, active.people["dmc"], active.trial, size)


def test_a_checkpoint_is_of_the_log_as_it_is_and_is_kept(active: Installation) -> None:
    active.allocate()
    log = active.deps.logs.of(active.trial)
    with log.storing:  # what somebody takes away is left to nobody else
        note = log_pages.read_checkpoint(active.deps, active.people["dmc"], active.trial)

    assert log.checkpoint is None
    checkpoint = open_checkpoint(note, active.deps.sealer.log_key(active.origin))
    assert checkpoint.size == len(active.entries())
    stored = active.ask("SELECT note FROM checkpoint WHERE size = :size", size=checkpoint.size)
    assert stored == [(note,)]


@on_sqlite
@pytest.mark.parametrize("username", ["doc", "manager", "guest"])
def test_exact_entries_and_proofs_are_for_oversight_alone(
    active: Installation, username: str
) -> None:
    active.allocate()
    seq = active.entries("slot.assigned")[0].seq
    deps, person, trial = active.deps, active.people[username], active.trial

    with pytest.raises(NotAllowedError):
        log_pages.read_exact_entry(deps, person, trial, seq)
    with pytest.raises(NotAllowedError):
        log_pages.read_proof(deps, person, trial, seq)
    with pytest.raises(NotAllowedError):
        log_pages.read_checkpoint(deps, person, trial)


@on_sqlite
def test_a_frozen_trial_is_read_and_signs_nothing(active: Installation) -> None:
    for path in (active.home / "anchors").glob("*.anchor"):
        path.unlink()

    assert read(active, "dmc").entries
    with pytest.raises(FrozenError):
        log_pages.read_checkpoint(active.deps, active.people["dmc"], active.trial)
    with pytest.raises(FrozenError):
        log_pages.read_proof(active.deps, active.people["dmc"], active.trial, 0)


@on_sqlite
def test_days_are_found_also_where_the_log_s_clock_was_set_back(active: Installation) -> None:
    active.clock.advance(days=30)
    active.change_state("pause")
    active.clock.advance(days=-30)
    trials.correct_clock(active.deps, active.people["admin"], active.trial)
    active.change_state("resume")

    page = read(active, "dmc", Wanted(first_day=date(2026, 3, 20)))
    assert types(page) == ["trial.paused"]
