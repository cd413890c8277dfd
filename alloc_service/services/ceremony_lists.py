"""The end of a seed ceremony: its shares are opened once, and the list is made of them.

The statistician brings the identity that the reveals were encrypted to; it is used in memory and
kept nowhere. Each share is compared with its commitment, all are combined, the list is generated
and sealed, its escrow written, and the files of the ceremony are removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alloc_service.core.ceremony import CeremonyDocument, Share, combine
from alloc_service.core.design import Design
from alloc_service.core.generate import generate as generate_list
from alloc_service.core.secret import Secret
from alloc_service.core.seed import Seed
from alloc_service.errors import CeremonyError, DesignAtHostError, SealerHostError
from alloc_service.permissions import Action
from alloc_service.sealing import age, shares
from alloc_service.sealing.escrow import escrow_text, write_escrow
from alloc_service.sealing.package import seal_list
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import accounts, audit, ceremonies, lists
from alloc_service.services.accounts import Person
from alloc_service.services.ceremonies import Keys
from alloc_service.services.deps import Deps
from alloc_service.services.lists import SealedAndLogged
from alloc_service.storage import queries


@dataclass(frozen=True, slots=True, repr=False)
class Opening(Secret):
    """What opens a ceremony's shares.

    Attributes:
        identity: The ceremony's age identity, or the text of its file.
        deposits: Shares that two custodians opened, of parties that have not revealed.
    """

    identity: str
    deposits: Sequence[OwnShare] = ()


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What a ceremony has come to.

    Attributes:
        number: The list's.
        document: As announced.
        beacon: Its value, or "".
        keys: The ceremony's, and the escrow's custodians.
        reveals: By party, ciphertext.
    """

    number: int
    document: CeremonyDocument
    beacon: str
    keys: Keys
    reveals: Mapping[str, bytes] = field(repr=False)


def finish(
    deps: Deps,
    person: Person,
    trial_id: str,
    ceremony: str,
    opening: Opening,
    *,
    design: Design | None = None,
) -> SealedAndLogged:
    """Combine the shares, generate and seal the list, put its seed in escrow, and forget it.

    Args:
        deps: The service's.
        person: A statistician of the trial, who can then not approve the list.
        trial_id: Whose.
        ceremony: Its id.
        opening: What opens the shares.
        design: The frozen design; none to have the sealer open it, which is logged.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        CeremonyError: It is not announced, waits for its beacon, a share is missing or is not
            what its party committed to, whose name the text gives; or the design is another.
        ShareFileError: A party's file does not open, or holds no share of this ceremony.
        DesignAtHostError: The sealer is in a process of its own, and opens the design on its host.
    """
    gathered = _gather(deps, person, trial_id, ceremony)
    if age.recipient_of(opening.identity) != gathered.keys.recipient:
        raise CeremonyError(rule="this identity is not the one that the shares are encrypted to")
    given = _open_shares(gathered, opening)
    seed = combine(gathered.document, given, gathered.beacon)
    frozen = design or _open_frozen(deps, person, trial_id, gathered.number)
    if frozen.sha256 != gathered.document.design_sha256:
        raise CeremonyError(rule="this design is not the one that was frozen")
    escrow = write_escrow(_escrow_text(gathered, frozen, seed, given), gathered.keys.custodians)
    origin = audit.origin_of(deps.host, trial_id)
    sealed = seal_list(generate_list(frozen, seed), deps.sealer.public_key, origin)
    lists.store(deps, person, sealed, escrow, ceremony)
    return SealedAndLogged(sealed.list, sealed.root, escrow)


def _open_frozen(deps: Deps, person: Person, trial_id: str, number: int) -> Design:
    try:
        return lists.read_frozen_design(deps, person, trial_id, number)
    except SealerHostError as error:
        raise DesignAtHostError(command=error.facts["command"]) from None


def _gather(deps: Deps, person: Person, trial_id: str, ceremony: str) -> _Gathered:
    with deps.database.read() as session:
        accounts.require(session, person, Action.GENERATE_LIST, trial_id)
        record = queries.read_ceremony(session, trial_id, ceremony)
        document, keys = ceremonies.document_of(record), ceremonies.keys_of(record)
        state = audit.read_state(session, trial_id)
        known = state.ceremonies[ceremony]
        if known.announced != document.sha256:
            raise CeremonyError(rule="the stored document is not the one that was announced")
        if known.aborted or state.lists[record.list_number].root:
            raise CeremonyError(rule=f"ceremony {ceremony} is over")
        files = queries.list_ceremony_files(session, trial_id, ceremony)
        kept = {file.name: file.ciphertext for file in files}
        named = {party: shares.reveal_name(party) for party in document.parties}
        return _Gathered(
            record.list_number,
            document,
            known.beacon,
            keys,
            {party: kept[name] for party, name in named.items() if name in kept},
        )


def _open_shares(gathered: _Gathered, opening: Opening) -> dict[str, Share]:
    document, given = gathered.document, {}
    for party, data in gathered.reveals.items():
        name = shares.reveal_name(party)
        own = shares.open_reveal(data, opening.identity, name)
        given[party] = shares.require_of(document, own, party, name)
    for own in opening.deposits:
        given[own.party] = shares.require_of(document, own, own.party, "the opened deposit")
    return given


def _escrow_text(
    gathered: _Gathered, design: Design, seed: Seed, given: Mapping[str, Share]
) -> bytes:
    reveals = [given[party].digits for party in gathered.document.parties]
    return escrow_text(design, seed, reveals, gathered.beacon or None)
