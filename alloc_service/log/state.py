"""What a log means so far: the state that `fold` moves, one entry at a time."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from alloc_service.log.note import Verifier
from alloc_service.permissions import Role


class Wrap(NamedTuple):
    """The logged wrap of one sealing of a list."""

    kid: str
    wrap_sha256: str


class Assigned(NamedTuple):
    """A slot that an enrolment spent, as its `slot.assigned` says."""

    seq: int
    list: int
    stratum: int
    slot: int
    leaf: str


@dataclass(slots=True)
class Ceremony:
    """A seed ceremony: who committed, who deposited, how far it is.

    Attributes:
        commitments: By party.
        hashes: The same commitments, so that a repeated one is found without a search.
        people: For each person who committed, the party.
        deposited: The parties whose shares lie with the escrow.
        revealed: The parties whose shares were handed in.
        announced: HEX32 hash of the announced document, or "".
        beacon: HEX32 value of the beacon, or "".
    """

    list: int
    commitments: dict[str, str] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    people: dict[str, str] = field(default_factory=dict)
    deposited: set[str] = field(default_factory=set)
    revealed: set[str] = field(default_factory=set)
    announced: str = ""
    beacon: str = ""
    aborted: bool = False


@dataclass(slots=True)
class ListState:
    """A list, from the freezing of its design on.

    Attributes:
        design_sha256: D.
        root: HEX32 root, or "" before it is sealed.
        slots: Slots of each stratum.
        wraps: The logged sealings, by number from 1.
        sealed_by: Id of the person who sealed it.
        next_slot: For each stratum, the slot that comes next.
        ceremony: The seed ceremony that runs for it or that gave its seed, or "".
        drilled_at: Time of the last drill in which everything was well, or "".
    """

    design_sha256: str
    root: str = ""
    slots: tuple[int, ...] = ()
    wraps: dict[int, Wrap] = field(default_factory=dict)
    sealed_by: str = ""
    approved_by: str = ""
    root_checked: bool = False
    active: bool = False
    retired: bool = False
    next_slot: list[int] = field(default_factory=list)
    ceremony: str = ""
    drilled_at: str = ""

    @property
    def step(self) -> str:
        """Return the furthest that this list came, in a word."""
        steps = (
            ("retired", self.retired),
            ("active", self.active),
            ("approved", bool(self.approved_by)),
            ("sealed", bool(self.root)),
        )
        return next((word for word, reached in steps if reached), "frozen")


@dataclass(frozen=True, slots=True)
class WitnessPolicy:
    """A trial's witnesses.

    Attributes:
        mode: `off`; `follow`: they cosign later; `gate`: nothing opens before they did.
        quorum: How many of them must have cosigned.
        witnesses: Their keys.
    """

    mode: Literal["off", "follow", "gate"] = "off"
    quorum: int = 0
    witnesses: tuple[Verifier, ...] = ()


@dataclass(slots=True)
class LogState:
    """The state after `size` entries; a fresh one is the state of an empty log.

    Attributes:
        size: Entries so far.
        last: HEX leaf hash of the last entry, or "".
        time: Time of the last entry.
        sites: For each site that was ever activated, whether it is active.
        assigned: For each enrolment that spent a slot, which one.
        enrolment_sha256: For each of them, the hash of its record that counts.
        rereads: For the seq of each `slot.reread`, its enrolment.
        arms_reads: For the seq of each `arms.read`, up to which seq it looks.
        design_reads: For the seq of each `design.read`, its list.
        roles: For each person, every role that was ever granted.
        recoveries: How many `log.recovered` there were.
        kid: Id of the sealing key that was named last, or "".
        log_keys: The log's own keys as it names them, each with the seq that names it; none
            where they were never rotated.
        policy: The trial's witnesses, and what their cosignature is needed for.
        gate_suspended_until: Until when nothing waits for them, or "".
        ungated: The seq of each entry that may be opened without a cosignature, for it was
            logged while the gate was suspended.
    """

    size: int = 0
    last: str = ""
    time: str = ""
    origin: str = ""
    cap: int = 0
    trial: Literal["open", "paused", "closed"] = "open"
    lists: dict[int, ListState] = field(default_factory=dict)
    designs: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    ceremonies: dict[str, Ceremony] = field(default_factory=dict)
    sites: dict[str, bool] = field(default_factory=dict)
    assigned: dict[str, Assigned] = field(default_factory=dict)
    enrolment_sha256: dict[str, str] = field(default_factory=dict)
    rereads: dict[int, str] = field(default_factory=dict)
    arms_reads: dict[int, int] = field(default_factory=dict)
    design_reads: dict[int, int] = field(default_factory=dict)
    roles: dict[str, set[Role]] = field(default_factory=dict)
    recoveries: int = 0
    kid: str = ""
    log_keys: list[tuple[int, Verifier]] = field(default_factory=list)
    policy: WitnessPolicy = field(default_factory=WitnessPolicy)
    gate_suspended_until: str = ""
    ungated: set[int] = field(default_factory=set)
