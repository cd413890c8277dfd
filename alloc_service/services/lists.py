"""Lists: generated or imported, sealed, approved by somebody else, activated by a third.

The one who generates never approves; none of them ever enrols. A list that is made here leaves
its escrow, encrypted to three custodians, and its seed is forgotten when the call returns. A
package made offline brings no seed at all. Activation test-opens every blob first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alloc_service.core.canon import Json
from alloc_service.core.design import Design, Stratum
from alloc_service.core.generate import generate as generate_list
from alloc_service.core.merkle import inner_nodes
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    CeremonyError,
    DesignMismatchError,
    RootMismatchError,
    SealedListError,
    SealerHostError,
    UnknownRecordError,
)
from alloc_service.log.entry import Entry
from alloc_service.permissions import Action
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.envelope import BLOB_BYTES
from alloc_service.sealing.escrow import escrow_text, write_escrow
from alloc_service.sealing.package import SealedList, seal_list
from alloc_service.services import accounts, audit, enrolments
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.models import EscrowFile, ListSealing, RandomizationList
from alloc_service.storage.transactions import Reading, Transaction


@dataclass(frozen=True, slots=True)
class SealedAndLogged:
    """A list that is sealed and logged.

    Attributes:
        number: List number.
        root: HEX32 root, to compare with a regeneration.
        escrow: The escrow's files by name; ciphertext. Empty for an imported package.
    """

    number: int
    root: str
    escrow: Mapping[str, bytes] = field(repr=False)


def generate(
    deps: Deps,
    person: Person,
    design: Design,
    custodians: Mapping[str, str],
    typed_seed: str | None = None,
) -> SealedAndLogged:
    """Generate, seal and log a list, put its seed in escrow, and forget it.

    Args:
        deps: The service's.
        person: A statistician of the trial, who can then not approve it.
        design: With a random salt; its trial and strata are the trial's.
        custodians: Three names, each with an age recipient.
        typed_seed: For a test trial only.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        DesignMismatchError: Arms or strata are not the trial's.
        TypedSeedError: A typed seed for a trial that is no test.
        RuleError: The list number or the design was used before.
    """
    seed = Seed.fresh() if typed_seed is None else Seed.typed(typed_seed, design)
    with deps.database.read() as session:  # before the work, which is long
        accounts.require(session, person, Action.GENERATE_LIST, design.trial)
        require_of_trial(session, design)
    origin = audit.origin_of(deps.host, design.trial)
    escrow = write_escrow(escrow_text(design, seed), custodians)
    sealed = seal_list(generate_list(design, seed), deps.sealer.public_key, origin)
    store(deps, person, sealed, escrow)
    return SealedAndLogged(sealed.list, sealed.root, escrow)


def import_package(deps: Deps, person: Person, sealed: SealedList) -> SealedAndLogged:
    """Store and log a list that was generated and sealed offline; no seed comes here.

    Its arms are sealed, so they are compared with the trial's by the one who approves it, who
    regenerates it; everything else is compared here.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        DesignMismatchError: It is of another log, or its strata are not the trial's.
        SealedListError: It is sealed to another key.
    """
    if sealed.origin != audit.origin_of(deps.host, sealed.trial):
        raise DesignMismatchError(what="log", rule=f"the package is of {sealed.origin}")
    store(deps, person, sealed, {})
    return SealedAndLogged(sealed.list, sealed.root, {})


def approve(deps: Deps, person: Person, trial_id: str, number: int, root: str | None) -> Entry:
    """Approve a list that another person made.

    Args:
        deps: The service's.
        person: A statistician other than the one who made it.
        trial_id: Whose list.
        number: List number.
        root: The root that came out of the person's own regeneration; none if there was
            none, which the log then says.

    Raises:
        RootMismatchError: The regenerated root is not the sealed one.
        RuleError: It is the person's own list, or is approved already.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.APPROVE_LIST, trial_id)
        stored = _read_list(tx, trial_id, number)
        if root is not None and root != stored.root:
            raise RootMismatchError(list=number)
        body: dict[str, Json] = {
            "list": number, "root": stored.root, "root_checked": root is not None,
        }  # fmt: skip
        return log.append("list.approved", actor, body)


def activate(deps: Deps, person: Person, trial_id: str, number: int) -> Entry:
    """Test-open every blob of an approved list, then activate it.

    A sealer in a process of its own has test-opened it on its host before, by `alloc sealer
    accept`; it is asked whether it has.

    Raises:
        NotAllowedError: The person is no manager of this trial now.
        NotAcceptedError: A sealer of its own process has not accepted the list.
        AcceptError: A blob does not open to its commitment.
        RuleError: The list is not approved, or is active already.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.ACTIVATE_LIST, trial_id)
        root = _read_list(session, trial_id, number).root
        sealing = queries.read_latest_sealing(session, trial_id, number)
        acceptance = Acceptance(number, sealing.sealing, root, sealing.wrap_sha256)
        leaves, blobs = bytearray(), bytearray()  # a million slots, without a million objects
        if deps.sealer.holds_keys:
            for row in queries.read_sealed_slots(session, trial_id, number, sealing.sealing):
                leaves += row.leaf
                blobs += row.blob
    audit.follow(deps, trial_id)
    origin = audit.origin_of(deps.host, trial_id)
    if deps.sealer.holds_keys:
        wrap = sealing.wrap
        acceptance = deps.sealer.accept(origin, number, wrap, bytes(leaves), _split(blobs))
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.ACTIVATE_LIST, trial_id)
        deps.sealer.require_accepted(origin, acceptance)
        return log.append("list.activated", actor, {"list": number})


def reseal(deps: Deps, person: Person, design: Design, seed: Seed) -> Entry:
    """Seal a list anew under the same design and root, where its blobs or their key are lost.

    Where a restore has lost the list's rows altogether, they are made again.

    Args:
        deps: The service's.
        person: A statistician of the trial.
        design: From the escrow.
        seed: From the escrow.

    Raises:
        SealerHostError: The sealer is in a process of its own: this is done on its host.
        RootMismatchError: They do not give the logged list.
        AcceptError: A new blob does not open to its commitment.
    """
    trial_id, number = design.trial, design.list
    if not deps.sealer.holds_keys:
        raise SealerHostError(command="alloc sealer reseal")
    with deps.database.read() as session:
        accounts.require(session, person, Action.GENERATE_LIST, trial_id)
        known = audit.read_state(session, trial_id).lists.get(number)
    if known is None:
        raise UnknownRecordError(what=f"list of trial {trial_id} numbered", name=number)
    origin = audit.origin_of(deps.host, trial_id)
    sealed = seal_list(generate_list(design, seed), deps.sealer.public_key, origin)
    if known.root != sealed.root:
        raise RootMismatchError(list=number)
    audit.follow(deps, trial_id)
    blobs = (row.blob for row in sealed.sealed_slots())
    acceptance = deps.sealer.accept(origin, number, sealed.wrap, sealed.leaves, blobs)
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        body: dict[str, Json] = {
            "list": number,
            "sealing": acceptance.sealing,
            "kid": sealed.kid,
            "wrap_sha256": sealed.wrap_sha256,
        }
        entry = log.append("list.resealed", actor, body)
        stored = {row.number: row for row in queries.list_lists(tx, trial_id)}
        if number in stored:
            stored[number].design_sealed = sealed.design_sealed
        else:
            _add_list(deps, tx, sealed)
        _add_sealing(tx, sealed, acceptance.sealing)
    return entry


def read_design(deps: Deps, person: Person, trial_id: str, number: int) -> Design:
    """Open the restricted design for a statistician, after the look is logged.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        IntegrityError: The sealed design is not the one that was frozen.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_DESIGN, trial_id)
        sealed = _read_list(tx, trial_id, number).design_sealed
        entry = log.append("design.read", actor, {"list": number})
    return deps.sealer.open_design(audit.origin_of(deps.host, trial_id), entry.seq, sealed)


def read_frozen_design(deps: Deps, person: Person, trial_id: str, number: int) -> Design:
    """Open a design that was frozen before its list was made, after the look is logged.

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        UnknownRecordError: No design was frozen for this list.
        IntegrityError: The sealed design is not the one that was frozen.
    """
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_DESIGN, trial_id)
        frozen = queries.find_frozen_design(tx, trial_id, number)
        if frozen is None:
            raise UnknownRecordError(what=f"frozen design of trial {trial_id}, list", name=number)
        sealed = frozen.design_sealed
        entry = log.append("design.read", actor, {"list": number})
    return deps.sealer.open_design(audit.origin_of(deps.host, trial_id), entry.seq, sealed)


def log_regeneration(deps: Deps, person: Person, trial_id: str, number: int, root: str) -> bool:
    """Compare a regenerated root with the sealed one, and log the result, whichever it is."""
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.READ_LOG, trial_id)
        equal = _read_list(tx, trial_id, number).root == root
        log.append("list.regenerated", actor, {"list": number, "root_equal": equal})
    return equal


def _read_list(session: Reading, trial_id: str, number: int) -> RandomizationList:
    if not 1 <= number <= 9_999:
        raise UnknownRecordError(what=f"list of trial {trial_id} numbered", name="so")
    return queries.read_list(session, trial_id, number)


def _split(blobs: bytearray) -> Iterator[bytes]:
    return (bytes(blobs[at : at + BLOB_BYTES]) for at in range(0, len(blobs), BLOB_BYTES))


def store(
    deps: Deps,
    person: Person,
    sealed: SealedList,
    escrow: Mapping[str, bytes],
    ceremony: str = "",
) -> None:
    """Log and keep a list that was sealed just now; its design is frozen with it, or was before.

    A list whose seed ceremony was begun is sealed by the end of that ceremony alone: its design
    is known to the statistician, who could choose another seed for it.

    Args:
        deps: The service's.
        person: A statistician of the trial.
        sealed: The list.
        escrow: Its escrow's files by name.
        ceremony: The one that gave its seed, whose files are removed with it, or "".

    Raises:
        NotAllowedError: The person is no statistician of this trial now.
        DesignMismatchError: Its strata are not the trial's.
        CeremonyError: Another ceremony was held for it.
        SealedListError: It is sealed to another key.
        RuleError: Another design was frozen for it, or its ceremony is not complete.
    """
    trial_id = sealed.trial
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, person, Action.GENERATE_LIST, trial_id)
        _require_strata(tx, trial_id, sealed.strata)
        if sealed.kid != deps.sealer.kid:
            raise SealedListError(
                where="kid", rule=f"it is sealed to another key than {deps.sealer.kid}"
            )
        frozen: dict[str, Json] = {"list": sealed.list, "design_sha256": sealed.design_sha256}
        known = log.state.lists.get(sealed.list)
        if known is None or known.design_sha256 != sealed.design_sha256:
            log.append("design.frozen", actor, frozen)
        log.append("list.sealed", actor, frozen | _sealing_facts(sealed))
        held = log.state.lists[sealed.list].ceremony
        if held != ceremony:
            rule = f"the seed of list {sealed.list} comes from its ceremony {held}"
            raise CeremonyError(rule=f"{rule}: finish or drop that")
        _add_rows(deps, tx, sealed, escrow)
        queries.remove_ceremony_files(tx, trial_id, ceremony)


def require_of_trial(session: Reading, design: Design) -> None:
    """Check that a design's strata and arms are its trial's.

    Raises:
        DesignMismatchError: They are not.
    """
    _require_strata(session, design.trial, design.strata)
    definition = enrolments.definition_of(session, design.trial)
    ratios = {arm.code: arm.ratio for arm in definition.arms}
    if {arm.code: arm.ratio for arm in design.arms} != ratios:
        raise DesignMismatchError(what="arms", rule="they are not the trial's, in their ratio")


def _require_strata(session: Reading, trial_id: str, strata: Sequence[Stratum]) -> None:
    codes = enrolments.definition_of(session, trial_id).strata
    if tuple(stratum.code for stratum in strata) != codes:
        raise DesignMismatchError(what="strata", rule="they are not the trial's, in its order")


def _sealing_facts(sealed: SealedList) -> dict[str, Json]:
    return {
        "kid": sealed.kid,
        "root": sealed.root,
        "sealing": 1,
        "slots": list(sealed.slots),
        "wrap_sha256": sealed.wrap_sha256,
    }


def _add_rows(deps: Deps, tx: Transaction, sealed: SealedList, escrow: Mapping[str, bytes]) -> None:
    _add_list(deps, tx, sealed)
    _add_sealing(tx, sealed, 1)
    tx.add_all(
        EscrowFile(trial_id=sealed.trial, list_number=sealed.list, name=name, ciphertext=data)
        for name, data in escrow.items()
    )


def _add_list(deps: Deps, tx: Transaction, sealed: SealedList) -> None:
    """Add what all sealings of a list share: its public shape and its tree."""
    tx.add(
        RandomizationList(
            trial_id=sealed.trial,
            number=sealed.list,
            design_sha256=sealed.design_sha256,
            design_sealed=sealed.design_sealed,
            root=sealed.root,
            slots=list(sealed.slots),
            strata=[stratum.code for stratum in sealed.strata],
            created_at=deps.clock(),
        )
    )
    tx.flush()
    leaves = [sealed.leaves[at : at + 32] for at in range(0, len(sealed.leaves), 32)]
    nodes = (queries.NodeRow(*node) for node in inner_nodes(leaves))
    queries.add_list_nodes(tx, sealed.trial, sealed.list, nodes)


def _add_sealing(tx: Transaction, sealed: SealedList, sealing: int) -> None:
    tx.add(_sealing_row(sealed, sealing))
    tx.flush()
    queries.add_sealed_slots(tx, sealed.trial, sealed.list, sealing, _slot_rows(sealed))


def _sealing_row(sealed: SealedList, sealing: int) -> ListSealing:
    return ListSealing(
        trial_id=sealed.trial,
        list_number=sealed.list,
        sealing=sealing,
        kid=sealed.kid,
        wrap=sealed.wrap,
        wrap_sha256=sealed.wrap_sha256,
    )


def _slot_rows(sealed: SealedList) -> Iterator[queries.SealedSlotRow]:
    for row in sealed.sealed_slots():
        yield queries.SealedSlotRow(row.stratum, row.slot, row.leaf, row.blob)
