"""Verification of a whole bundle, by a policy that comes from elsewhere.

The order is fixed, so that every verifier names the same first fault: the archive, the manifest,
the policy, the log with its checkpoints, the quorum, the lists by number, the choice among lists.
What was not there to check is told, and so is what a reader should know although it is no fault:
ceremonies that were dropped, times without a witness, a policy that has changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alloc_service.errors import BundleError, NoteError
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.bundle_form import (
    CHECKPOINT,
    ENTRIES,
    MANIFEST,
    POLICY,
    README,
    VERIFIER,
    Manifest,
    check_form,
    lists_of,
    read_checkpoint_size,
)
from alloc_service.log.bundle_lists import CheckedList, ListMembers
from alloc_service.log.bundle_readme import README_TEXT
from alloc_service.log.entry import Entry
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.list_order import ListOrder
from alloc_service.log.note import split_note
from alloc_service.log.policy import NO_QUORUM, Policy, parse_policy, write_policy
from alloc_service.log.state import LogState
from alloc_service.log.verify import VerifiedLog, read_ndjson, verify_log


@dataclass(slots=True)
class _Seen:
    """What the entries say that the state does not keep."""

    order: ListOrder = field(default_factory=ListOrder)
    suspensions: list[int] = field(default_factory=list)

    def see(self, entry: Entry) -> None:
        self.order.see(entry)
        if entry.type == "gate.suspended":
            self.suspensions.append(entry.seq)


def verify_bundle(data: bytes, policy: Policy, own: bytes | None = None) -> EvidenceReport:
    """Check a bundle.

    Args:
        data: The file.
        policy: From a source other than the bundle.
        own: The bytes of the verifier that runs, to compare with the one in the bundle.

    Raises:
        BundleError: A member, or what it says, is wrong.
        PolicyError: The policy does not know this log.
        IntegrityError: The log or a checkpoint is wrong; as `verify_log`.
    """
    members = read_members(data)
    manifest = check_form(members)
    seen = _Seen()
    log = _verify_log(members, policy, manifest, seen)
    vouched = _check_quorum(log, policy)
    _check_policy(members, log)
    lists = _check_lists(members, log.state)
    told = [*_tell(log.state, seen), *_compare(members, log, policy, own)]
    unchecked = [
        *log.unchecked,
        *_list_unvouched(log, policy, vouched),
        *_check_order(seen.order, log.state, lists),
        *(sentence for one in lists for sentence in one.unchecked),
    ]
    return EvidenceReport(
        origin=log.origin,
        size=log.size,
        root=log.root.hex(),
        checked=tuple(_say_checked(log, policy, vouched, lists)),
        told=tuple(told),
        unchecked=tuple(unchecked),
        build=manifest.build,
    )


def _verify_log(
    members: Mapping[str, bytes], policy: Policy, manifest: Manifest, seen: _Seen
) -> VerifiedLog:
    key = policy.key_of(manifest.origin)
    notes = {name: _read_note(members[name], name) for name in sorted(members) if _is_note(name)}
    log = verify_log(
        read_ndjson(members[ENTRIES]),
        notes.values(),
        key,
        tuple(policy.witnesses.values()),
        seen.see,
    )
    _require(log.size == manifest.size, MANIFEST, f"the log has {log.size:,} entries")
    for name, note in notes.items():
        _check_size(name, note, log.size)
    return log


def _check_size(name: str, note: str, size: int) -> None:
    """Check that a checkpoint is of the size that its name says, or of the whole log."""
    named = read_checkpoint_size(name)
    found = note.split("\n")[1]
    if named is None:
        _require(found == str(size), name, f"it is not of all {size:,} entries, but of {found}")
    else:
        _require(found == str(named) and named < size, name, f"it is a checkpoint of size {found}")


def _check_quorum(log: VerifiedLog, policy: Policy) -> int:
    """Return the largest size that a quorum vouches for.

    Raises:
        BundleError: The policy asks for a quorum, and no checkpoint here meets it.
    """
    met = [size for size, names in log.cosigners.items() if policy.is_met_by(names)]
    rule = f"no checkpoint here has the cosignatures of the policy's quorum {policy.quorum}"
    _require(bool(met), CHECKPOINT, rule)
    return max(met)


def _check_policy(members: Mapping[str, bytes], log: VerifiedLog) -> None:
    expected = write_policy(log.log_keys[-1], log.state.policy)
    same = members[POLICY] == expected.encode()
    _require(same, POLICY, "it is not what the log says of its key and its witnesses")


def _check_lists(members: Mapping[str, bytes], state: LogState) -> list[CheckedList]:
    sealed = {number for number, known in state.lists.items() if known.root}
    for number in lists_of(members):
        _require(number in sealed, f"lists/{number}", "the log has sealed no list of this number")
    return [ListMembers(members, number, state).check() for number in sorted(sealed)]


def _check_order(order: ListOrder, state: LogState, lists: list[CheckedList]) -> Iterator[str]:
    """Check which of several lists was taken; say it where that cannot be known."""
    if not order.is_a_choice:
        return
    if all(one.design for one in lists):
        codes = {one.number: one.codes for one in lists}
        order.check(codes, {one.number: state.lists[one.number].slots for one in lists})
    else:
        yield (
            "Whether the lowest list with a slot left was always taken is not checked: that takes "
            "the design of every list."
        )


def _tell(state: LogState, seen: _Seen) -> Iterator[str]:
    dropped = [(name, known) for name, known in state.ceremonies.items() if known.aborted]
    if dropped:
        names = ", ".join(f"{name} of list {known.list}" for name, known in dropped)
        yield f"Seed ceremonies that were begun and dropped: {len(dropped)} ({names})."
    # Whoever holds the ceremony's key could see the list that it would have given.
    late = [name for name, known in dropped if known.commitments.keys() <= known.revealed]
    if late:
        yield f"Dropped after every share was handed in: {len(late)} ({', '.join(late)}). Ask why."
    if state.recoveries:
        yield f"Recoveries of the log: {state.recoveries}; its entries say what was lost."
    if seen.suspensions:
        entries = ", ".join(map(str, seen.suspensions))
        yield f"Suspensions of the gate: {len(seen.suspensions)} (entries {entries})."
    if state.ungated:
        looks = ", ".join(map(str, sorted(state.ungated)))
        yield f"Openings without a witness, while the gate was suspended: of entries {looks}."
    if state.policy.mode != "gate":
        yield "The trial has no gate now: an opening waits for no witness."


def _compare(
    members: Mapping[str, bytes], log: VerifiedLog, policy: Policy, own: bytes | None
) -> Iterator[str]:
    if len(log.log_keys) > 1:
        yield f"The log's key was changed; it is {log.log_keys[-1].vkey} now."
    inside = parse_policy(members[POLICY].decode())
    if not _is_same(inside, policy, log):
        yield (
            "The policy in the bundle is not yours: key, witnesses or quorum were changed since "
            "yours was made, or yours was made by somebody else. It was checked by yours."
        )
    if members[README] != README_TEXT.encode():
        yield "The README.txt in the bundle is not the one that comes with this verifier."
    if own is not None and own != members[VERIFIER]:
        yield "The verifier in the bundle is another version than the one that runs."


def _is_same(inside: Policy, policy: Policy, log: VerifiedLog) -> bool:
    """Tell whether two policies trust the same of this log, however they are spelled."""
    keys = [{key.vkey for key in one.witnesses.values()} for one in (inside, policy)]
    quorum = [one.quorum == NO_QUORUM for one in (inside, policy)]
    groups = [sorted(group.needed for group in one.groups.values()) for one in (inside, policy)]
    same_key = inside.logs[log.origin] == policy.logs[log.origin]
    return same_key and keys[0] == keys[1] and quorum[0] == quorum[1] and groups[0] == groups[1]


def _list_unvouched(log: VerifiedLog, policy: Policy, vouched: int) -> Iterator[str]:
    if policy.quorum == NO_QUORUM:
        yield "The policy asks for no quorum: nobody but the log's key vouches for its history."
    elif vouched < log.size:
        yield f"No quorum has cosigned a checkpoint that covers the entries from {vouched} on."


def _say_checked(
    log: VerifiedLog, policy: Policy, vouched: int, lists: list[CheckedList]
) -> Iterator[str]:
    yield f"Entries that keep every rule of rac-log/1 and follow one another: {log.size:,}."
    yield f"Checkpoints that are signed and agree with them: {log.checkpoints_checked}."
    if policy.quorum != NO_QUORUM:
        yield f"A quorum of the policy has cosigned the first {vouched:,} entries."
    for one in lists:
        yield f"List {one.number}: its leaves lead to the logged root and hold every spent slot."
        if one.opened:
            yield f"List {one.number}: openings that are those of their leaves: {one.opened:,}."
        if one.design:
            yield f"List {one.number}: the design is the frozen one."
        if one.made_anew:
            yield f"List {one.number}: design and seed give the very list that was sealed."


def _is_note(name: str) -> bool:
    return name == CHECKPOINT or read_checkpoint_size(name) is not None


def _read_note(data: bytes, name: str) -> str:
    """Return a member that is spelled as a signed note; who has signed it is checked elsewhere."""
    try:
        note = data.decode("utf-8")
        split_note(note)
    except UnicodeDecodeError as error:
        rule = f"it must be text in UTF-8, and byte {error.start} is none"
        raise BundleError(where=name, rule=rule) from None
    except NoteError as error:
        raise BundleError(where=name, rule=error.facts["rule"]) from None
    return note


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)
