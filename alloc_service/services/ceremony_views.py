"""How a trial's seed ceremonies stand: who has done what, what comes next, what nobody verified.

What happened is the log's; keys and document are shown as stored, once they were found to be
those that the log names. No share and no ciphertext is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from alloc_service.core.ceremony import Beacon, CeremonyDocument, Drand
from alloc_service.errors import UnknownRecordError
from alloc_service.log.entry import Entry
from alloc_service.log.state import Ceremony, LogState
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, ceremonies
from alloc_service.services.accounts import Person
from alloc_service.services.ceremonies import Keys
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.evidence import CeremonyRecord

Step: TypeAlias = Literal[
    "commit", "deposit", "beacon", "reveal", "finish", "sealed", "dropped", "replaced"
]


@dataclass(frozen=True, slots=True)
class Party:
    """A party, and how far it is."""

    name: str
    person: str
    commitment: str
    deposited: bool
    revealed: bool


@dataclass(frozen=True, slots=True)
class CeremonyView:
    """A ceremony as those who take part in it see it.

    Attributes:
        id: Its id.
        number: The list's.
        design_sha256: D.
        keys: To whom its files are encrypted.
        parties: By name.
        document: As announced, or none.
        beacon_value: HEX32, or "".
        beacon_proof: What was typed beside the value, or "".
        step: What it waits for, or how it ended.
        code: Why it was dropped, or "".
    """

    id: str
    number: int
    design_sha256: str
    keys: Keys
    parties: tuple[Party, ...]
    document: CeremonyDocument | None
    beacon_value: str
    beacon_proof: str
    step: Step
    code: str

    @property
    def beacon(self) -> Beacon | None:
        """Return the announced beacon, if there is one."""
        return None if self.document is None else self.document.beacon

    @property
    def unverified(self) -> str:
        """Return what nobody has verified here of the beacon's value, in a sentence, or ""."""
        if not self.beacon_value:
            return ""
        return say_unverified(self.beacon, self.beacon_proof)[1]

    def party_of(self, person: str) -> Party | None:
        """Return the party that a person acts for, if any."""
        return next((party for party in self.parties if party.person == person), None)


def read_ceremonies(deps: Deps, person: Person, trial_id: str) -> tuple[CeremonyView, ...]:
    """Return a trial's ceremonies, in the order in which they were opened.

    Raises:
        NotAllowedError: The person has no part in a ceremony.
        CeremonyError: Somebody exchanged a key in the database.
    """
    codes: dict[str, str] = {}

    def keep_code(entry: Entry) -> None:
        if entry.type == "seed.aborted":
            codes[entry.body["ceremony"]] = entry.body["code"]

    with deps.database.read() as session:
        accounts.require(session, person, Action.READ_CEREMONY, trial_id)
        state = audit.read_state(session, trial_id, keep_code)
        records = queries.list_ceremonies(session, trial_id)
        views = [_view(record, state, codes.get(record.ceremony, "")) for record in records]
    currents = {number: find_current(views, number).id for number in {v.number for v in views}}
    return tuple(
        view if view.parties or view.id == currents[view.number] else replace(view, step="replaced")
        for view in views
    )


def find_current(views: Sequence[CeremonyView], number: int) -> CeremonyView:
    """Return the ceremony of a list that goes on, or its last one.

    Several may wait for their first party: who opened one with a wrong key opens another. The one
    that a party commits to goes on, and no other can be committed to until it is dropped.
    """
    ours = [view for view in views if view.number == number]
    running = [view for view in ours if view.parties and view.step != "dropped"]
    return (running or ours)[-1]


def read_ceremony(deps: Deps, person: Person, trial_id: str, ceremony: str) -> CeremonyView:
    """Return one ceremony of a trial.

    Raises:
        UnknownRecordError: There is none of this name.
        NotAllowedError: The person has no part in a ceremony.
    """
    for view in read_ceremonies(deps, person, trial_id):
        if view.id == ceremony:
            return view
    raise UnknownRecordError(what=f"ceremony of trial {trial_id} named", name=ceremony)


def find_parts(deps: Deps, person: Person, trial_id: str) -> tuple[bool, bool]:
    """Tell whether a person may lead a ceremony of a trial, and whether they may be a party."""
    with deps.database.read() as session:
        return (
            accounts.may(session, person, Action.GENERATE_LIST, trial_id),
            accounts.may(session, person, Action.JOIN_CEREMONY, trial_id),
        )


def say_unverified(beacon: Beacon | None, proof: str) -> tuple[str, str]:
    """Return the kind of a beacon, and what was not verified of the value that was typed."""
    if isinstance(beacon, Drand) and proof:
        return "drand", (
            "The value is the hash of the signature that was pasted. Whether drand's key has "
            "made that signature was not verified here: compare the round with drand yourself."
        )
    if isinstance(beacon, Drand):
        return "drand", (
            "The value was typed, and nothing of it was verified here: compare the round with "
            "drand yourself."
        )
    return "public-string", (
        "The value is the hash of the text. Whether and when that text was published was not "
        "verified here: look it up at its source."
    )


def _view(record: CeremonyRecord, state: LogState, code: str) -> CeremonyView:
    known = state.ceremonies.get(record.ceremony, Ceremony(record.list_number))
    frozen = state.lists[record.list_number]
    document = None if record.document is None else ceremonies.document_of(record)
    people = {party: person for person, party in known.people.items()}
    given = bool(frozen.root) and frozen.ceremony == record.ceremony
    return CeremonyView(
        id=record.ceremony,
        number=record.list_number,
        design_sha256=frozen.design_sha256,
        keys=ceremonies.keys_of(record),
        parties=tuple(
            Party(name, people[name], commitment, name in known.deposited, name in known.revealed)
            for name, commitment in sorted(known.commitments.items())
        ),
        document=document,
        beacon_value=known.beacon,
        beacon_proof=record.beacon_proof or "",
        step=_step(known, document, sealed=given),
        code=code,
    )


def _step(known: Ceremony, document: CeremonyDocument | None, *, sealed: bool) -> Step:
    parties = known.commitments.keys()
    awaited = document is not None and document.beacon is not None and not known.beacon
    steps: tuple[tuple[Step, bool], ...] = (
        ("dropped", known.aborted),
        ("sealed", sealed),
        ("commit", document is None),
        ("deposit", bool(parties - known.deposited)),
        ("beacon", awaited),
        ("reveal", bool(parties - known.revealed)),
    )
    return next((step for step, holds in steps if holds), "finish")
