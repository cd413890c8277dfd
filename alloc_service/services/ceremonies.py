"""The seed ceremony, step by step; each step is an entry of the log, and none is taken back.

A statistician freezes the design and opens a ceremony. Each party commits to a share that it
drew on a machine of its own, and deposits it with the escrow's custodians. The statistician
announces who is committed to what, with a beacon or without. Then the beacon's value comes, and
each party hands in its share, encrypted. What makes the list of it is in `ceremony_lists`.
Nothing here opens a share. A ceremony that is dropped stays in the log with its reason.

A ceremony's id ends in a hash of the keys that its files are encrypted to, and every commitment
is to that id: whoever exchanged a key in the database afterwards would be found here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from alloc_service.core.canon import Json, canon
from alloc_service.core.ceremony import Beacon, CeremonyDocument, Drand
from alloc_service.core.design import Design
from alloc_service.errors import CeremonyError, UnknownRecordError
from alloc_service.log.entry import Entry
from alloc_service.log.state import Ceremony
from alloc_service.permissions import Action
from alloc_service.sealing import age, shares
from alloc_service.sealing.escrow import require_custodians
from alloc_service.sealing.wrap import seal_design
from alloc_service.services import accounts, audit, lists
from alloc_service.services.accounts import Person
from alloc_service.services.audit import OpenLog
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.evidence import CeremonyFile, CeremonyRecord, FrozenDesign
from alloc_service.storage.transactions import Transaction

# Why a ceremony is dropped; the log holds one of these, and no text.
REASONS: Mapping[str, str] = {
    "party-withdrew": "a party has withdrawn",
    "share-lost": "a party has lost its share",
    "reveal-differs": "a party revealed another value than it committed to",
    "design-changes": "the design has to change",
    "beacon-failed": "the beacon gave no value",
    "rehearsal": "it was a rehearsal",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Whose keys a ceremony's files are encrypted to.

    Attributes:
        recipient: age recipient that reveals are for; its identity stays with the statistician.
        custodians: Three names, each with an age recipient: of deposits, and of the escrow.
    """

    recipient: str
    custodians: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Return 20 hexadecimal digits of the SHA-256 of their canonical JSON."""
        document = canon({"custodians": self.custodians, "recipient": self.recipient})
        return hashlib.sha256(document).hexdigest()[:20]

    def checked(self) -> "Keys":
        """Return the keys in their one spelling.

        Raises:
            CustodiansError: Not three custodians with a key each.
            AgeError: The recipient is none.
        """
        return Keys(age.read_recipient(self.recipient), require_custodians(self.custodians))


def freeze(deps: Deps, person: Person, design: Design, keys: Keys) -> str:
    """Freeze a list's design and open a ceremony for its seed; return the ceremony's id.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        DesignMismatchError: Arms or strata are not the trial's.
        RuleError: The list has a design already, or this design was used before.
        CustodiansError: Not three custodians with a key each.
        AgeError: The recipient is none.
    """
    trial_id, origin = design.trial, audit.origin_of(deps.host, design.trial)
    sealed = seal_design(design, deps.sealer.public_key, origin)
    checked = keys.checked()
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        lists.require_of_trial(tx, design)
        body: dict[str, Json] = {"list": design.list, "design_sha256": design.sha256}
        log.append("design.frozen", actor, body)
        tx.add(
            FrozenDesign(
                trial_id=trial_id,
                list_number=design.list,
                design_sha256=design.sha256,
                design_sealed=sealed,
            )
        )
        tx.flush()
        return _add_record(deps, tx, trial_id, design.list, checked)


def open_another(deps: Deps, person: Person, trial_id: str, number: int, keys: Keys) -> str:
    """Open another ceremony for a frozen design, after the one before was dropped.

    One to which nobody is committed is in no log, and need not be dropped: it was opened with
    wrong keys, perhaps.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        UnknownRecordError: No design was frozen for this list.
        CeremonyError: The list is sealed, or its ceremony still runs.
    """
    checked = keys.checked()
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        if queries.find_frozen_design(tx, trial_id, number) is None:
            raise UnknownRecordError(what=f"frozen design of trial {trial_id}, list", name=number)
        if log.state.lists[number].root:
            raise CeremonyError(rule=f"list {number} is sealed")
        for other in queries.list_ceremonies(tx, trial_id):
            begun = log.state.ceremonies.get(other.ceremony)
            if other.list_number == number and begun is not None and not begun.aborted:
                raise CeremonyError(rule=f"ceremony {other.ceremony} of this list still runs")
        return _add_record(deps, tx, trial_id, number, checked)


def commit(
    deps: Deps, person: Person, trial_id: str, ceremony: str, *, party: str, commitment: str
) -> Entry:
    """Log a party's commitment; the person who does it is that party from here on.

    Raises:
        NotAllowedError: The person can be no party.
        RuleError: Too late, committed already, another's commitment, or one person for two.
    """
    shares.require_party(party)
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.JOIN_CEREMONY, trial_id)
        record = _read(tx, trial_id, ceremony)
        body: dict[str, Json] = {
            "ceremony": ceremony, "list": record.list_number, "party": party,
            "commitment": commitment,
        }  # fmt: skip
        return log.append("seed.committed", actor, body)


def deposit(
    deps: Deps,
    person: Person,
    trial_id: str,
    ceremony: str,
    *,
    party: str,
    files: Mapping[str, bytes],
) -> Entry:
    """Keep a party's share for the escrow's custodians; with the first nobody can commit more.

    Raises:
        ShareFileError: Not a file for each pair of custodians, or one that is no age file.
        RuleError: The party has not committed, has deposited, or is another person's.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.JOIN_CEREMONY, trial_id)
        record = _read(tx, trial_id, ceremony)
        wanted = shares.deposit_names(party, record.custodians)
        if set(files) != set(wanted):
            rule = f"a deposit is the three files {', '.join(wanted)}"
            raise CeremonyError(rule=rule)
        _keep(deps, tx, record, party, files)
        return log.append("seed.deposited", actor, {"ceremony": ceremony, "party": party})


def announce(
    deps: Deps, person: Person, trial_id: str, ceremony: str, beacon: Beacon | None
) -> CeremonyDocument:
    """Announce who is committed to what, and where the beacon's value will come from.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        CeremonyError: Nobody is committed, one party alone without a beacon, or the beacon's
            round lies less than an hour ahead.
        RuleError: It is announced already, or was dropped.
    """
    if beacon is not None:
        beacon.require_ahead(deps.clock())
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        record = _read(tx, trial_id, ceremony)
        document = _document_of(log, record, beacon)
        record.document = document.to_bytes()
        body: dict[str, Json] = {
            "ceremony": ceremony, "list": record.list_number, "doc_sha256": document.sha256,
        }  # fmt: skip
        log.append("seed.announced", actor, body)
    return document


def give_beacon(
    deps: Deps, person: Person, trial_id: str, ceremony: str, *, value: str, proof: str
) -> Entry:
    """Log the beacon's value, as somebody read it where it was published.

    Args:
        deps: The service's.
        person: A party or a statistician.
        trial_id: Whose.
        ceremony: Its id.
        value: drand's randomness, HEX32; for a public string its SHA or "".
        proof: drand's signature, 96 hexadecimal digits, or ""; or the public string.

    Raises:
        CeremonyError: No beacon was announced, its round is not there yet, or the value is of
            another length, or not that of its signature or text.
        RuleError: A party has not deposited, or the value is logged already.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.JOIN_CEREMONY, trial_id)
        record = _read(tx, trial_id, ceremony)
        beacon = document_of(record).beacon
        if beacon is None:
            raise CeremonyError(rule="it was announced without a beacon")
        if isinstance(beacon, Drand) and deps.clock() < beacon.time:
            rule = f"round {beacon.round} is published at {beacon.time:%Y-%m-%dT%H:%M:%SZ}"
            raise CeremonyError(rule=f"{rule}, and nobody can know it before")
        taken = beacon.value_of(value, proof)
        record.beacon_proof = proof
        return log.append("seed.beacon", actor, {"ceremony": ceremony, "value": taken})


def reveal(
    deps: Deps, person: Person, trial_id: str, ceremony: str, *, party: str, data: bytes
) -> Entry:
    """Keep what a party hands in, encrypted to the ceremony's recipient.

    Raises:
        ShareFileError: It is no age file.
        CeremonyError: The beacon's value is awaited first.
        RuleError: Nothing is announced, a deposit is missing, the party has revealed, or is
            another person's.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.JOIN_CEREMONY, trial_id)
        record = _read(tx, trial_id, ceremony)
        awaited = document_of(record).beacon is not None
        if awaited and not log.state.ceremonies[ceremony].beacon:
            raise CeremonyError(rule=f"{party} is too early: the beacon's value comes first")
        _keep(deps, tx, record, party, {shares.reveal_name(party): data})
        return log.append("seed.revealed", actor, {"ceremony": ceremony, "party": party})


def drop(deps: Deps, person: Person, trial_id: str, ceremony: str, code: str) -> Entry:
    """Drop a ceremony, for a reason; it stays in the log, and its files go.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        CeremonyError: There is no such reason.
        RuleError: Nobody has committed, it was dropped already, or its list is sealed.
    """
    if code not in REASONS:
        raise CeremonyError(rule=f"the reason must be one of {', '.join(REASONS)}")
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        queries.read_ceremony(tx, trial_id, ceremony)
        entry = log.append("seed.aborted", actor, {"ceremony": ceremony, "code": code})
        queries.remove_ceremony_files(tx, trial_id, ceremony)
    return entry


def keys_of(record: CeremonyRecord) -> Keys:
    """Return whose keys a ceremony's files are encrypted to.

    Raises:
        CeremonyError: They are not those that its id was made of.
    """
    keys = Keys(record.recipient, dict(record.custodians))
    if record.ceremony.rpartition("-")[2] != keys.fingerprint:
        rule = "the keys stored for it are not those that its id names: somebody exchanged one"
        raise CeremonyError(rule=rule)
    return keys


def document_of(record: CeremonyRecord) -> CeremonyDocument:
    """Return the announced document.

    Raises:
        CeremonyError: Nothing is announced yet.
    """
    if record.document is None:
        raise CeremonyError(rule=f"ceremony {record.ceremony} is not announced")
    return CeremonyDocument.from_bytes(record.document)


def _add_record(deps: Deps, tx: Transaction, trial_id: str, number: int, keys: Keys) -> str:
    others = queries.list_ceremonies(tx, trial_id)
    count = sum(other.list_number == number for other in others) + 1
    name = f"list-{number}/ceremony-{count}-{keys.fingerprint}"
    record = CeremonyRecord(
        trial_id=trial_id,
        ceremony=name,
        list_number=number,
        recipient=keys.recipient,
        custodians=dict(keys.custodians),
        document=None,
        beacon_proof=None,
        opened_at=deps.clock(),
    )
    tx.add(record)
    return name


def _read(tx: Transaction, trial_id: str, ceremony: str) -> CeremonyRecord:
    record = queries.read_ceremony(tx, trial_id, ceremony)
    keys_of(record)
    return record


def _document_of(log: OpenLog, record: CeremonyRecord, beacon: Beacon | None) -> CeremonyDocument:
    known = log.state.ceremonies.get(record.ceremony, Ceremony(record.list_number))
    if len(known.commitments) == 1 and beacon is None:
        rule = "one party alone would choose the seed: a second one commits, or take a beacon"
        raise CeremonyError(rule=rule)
    design_sha256 = log.state.lists[record.list_number].design_sha256
    return CeremonyDocument(record.ceremony, design_sha256, dict(known.commitments), beacon)


def _keep(
    deps: Deps, tx: Transaction, record: CeremonyRecord, party: str, files: Mapping[str, bytes]
) -> None:
    for name, data in files.items():
        shares.require_sealed_file(data, name)
        tx.add(
            CeremonyFile(
                trial_id=record.trial_id,
                ceremony=record.ceremony,
                name=name,
                party=party,
                ciphertext=data,
                received_at=deps.clock(),
            )
        )
