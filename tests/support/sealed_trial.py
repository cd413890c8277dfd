"""A trial as the service would run it against a sealer: its log, its sealed list, its slots.

Nothing here stands in for the package: keys, lists, entries and sealers are the real ones.
"""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from alloc_service.core import merkle
from alloc_service.core.canon import Json
from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, generate, leaf_index
from alloc_service.core.seed import Seed
from alloc_service.log.entry import Entry, read_entry, write_entry
from alloc_service.log.rules import fold
from alloc_service.log.state import LogState
from alloc_service.sealing.accept import Acceptance
from alloc_service.sealing.envelope import BLOB_BYTES
from alloc_service.sealing.keys import ServerKeys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.package import LEAF_BYTES, SealedList, seal_list
from alloc_service.sealing.sealer import Opened, SlotToOpen, Status

HOST = "rac.example.org"
TRIAL = "TEST-SEALER"
ORIGIN = f"{HOST}/{TRIAL}/audit"
TIME = "2026-01-02T09:00:00Z"


Reach: TypeAlias = Callable[[LocalSealer], LocalSealer]


def reach_at_once(sealer: LocalSealer) -> LocalSealer:
    """Return the sealer itself, as in the service's own process."""
    return sealer


class TrialLog:
    """A log in the database, written and folded as the service does.

    Attributes:
        entries: The bytes, as stored.
        state: What the entries that were folded mean.
    """

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.entries: list[bytes] = []
        self.state = LogState()

    def write(self, type_: str, body: Mapping[str, Json], actor: str = "manager") -> Entry:
        """Return the next entry, without appending it."""
        role = "administrator" if actor == "administrator" else "manager"
        person = {"id": actor, "org": "site-01", "role": role}
        whole = {**body, "actor": person}
        return write_entry(self.state.size, self.state.last, TIME, type_, whole)

    def add(self, type_: str, body: Mapping[str, Json], actor: str = "manager") -> Entry:
        """Append an entry that the rules allow."""
        entry = self.write(type_, body, actor)
        self.keep(entry)
        return entry

    def keep(self, entry: Entry) -> None:
        """Fold and append an entry."""
        fold(self.state, entry)
        self.entries.append(entry.data)

    def create(self, cap: int = 500) -> Entry:
        """Append `trial.created`."""
        return self.add("trial.created", {"origin": self.origin, "cap": cap, "salt": "ab" * 32})

    def add_site(self) -> Entry:
        """Append an entry that any trial may hold any number of."""
        return self.add("site.activated", {"site": f"site-{self.state.size}"})

    def recover(self, retired: Sequence[int] = ()) -> Entry:
        """Append the `log.recovered` that ends a recovery."""
        body: dict[str, Json] = {
            "upto": self.state.size - 1,
            "fork_sha256": "",
            "retired": list(retired),
            "second": {"id": "second", "org": "site-01", "role": "administrator"},
        }
        return self.add("log.recovered", body, "administrator")

    def restored(self, size: int) -> "TrialLog":
        """Return the log of a backup that was made at this size."""
        older = TrialLog(self.origin)
        for data in self.entries[:size]:
            older.keep(read_entry(data))
        return older


@dataclass(frozen=True, slots=True)
class ListInHand:
    """A generated list, in clear and sealed."""

    generated: GeneratedList
    sealed: SealedList

    @property
    def number(self) -> int:
        return self.sealed.list

    @property
    def wrap_sha256(self) -> str:
        return hashlib.sha256(self.sealed.wrap).hexdigest()

    @property
    def blobs(self) -> list[bytes]:
        data = self.sealed.blobs
        return [data[at : at + BLOB_BYTES] for at in range(0, len(data), BLOB_BYTES)]

    @property
    def leaves(self) -> list[bytes]:
        data = self.sealed.leaves
        return [data[at : at + LEAF_BYTES] for at in range(0, len(data), LEAF_BYTES)]

    def index(self, stratum: int, slot: int) -> int:
        return leaf_index(tuple(self.sealed.slots), stratum, slot)

    def proof(self, stratum: int, slot: int) -> tuple[bytes, ...]:
        leaves = self.leaves
        nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
        nodes |= {(level, at): node for level, at, node in merkle.inner_nodes(leaves)}
        index = self.index(stratum, slot)
        path = merkle.inclusion_proof(index, len(leaves), lambda at: {p: nodes[p] for p in at})
        return tuple(path)

    def slot(self, stratum: int, slot: int) -> SlotToOpen:
        """Return what the database holds of a slot."""
        blob = self.blobs[self.index(stratum, slot)]
        return SlotToOpen(blob, self.sealed.wrap, self.proof(stratum, slot))

    def body(self) -> dict[str, Json]:
        """Return the fields of its `list.sealed`."""
        return {
            "list": self.number,
            "sealing": 1,
            "design_sha256": self.sealed.design_sha256,
            "root": self.sealed.root,
            "slots": list(self.sealed.slots),
            "kid": self.sealed.kid,
            "wrap_sha256": self.wrap_sha256,
        }


def seal_small_list(
    keys: ServerKeys, origin: str = ORIGIN, number: int = 1, slots: Sequence[int] = (4, 3)
) -> ListInHand:
    """Generate and seal a list of a few slots."""
    design = Design(
        trial=origin.split("/", 1)[1].removesuffix("/audit"),
        list=number,
        arms=(Arm("EXPERIMENTAL", 1), Arm("CONTROL", 1)),
        blocks=(BlockSize(2, 1), BlockSize(4, 1)),
        strata=tuple(Stratum(f"stratum-{at}", count) for at, count in enumerate(slots)),
    )
    generated = generate(design, Seed.fresh())
    return ListInHand(generated, seal_list(generated, keys.public_key, origin))


def seal_again(hand: ListInHand, public_key: bytes, origin: str = ORIGIN) -> ListInHand:
    """Seal the same list under a fresh tranche key."""
    return ListInHand(hand.generated, seal_list(hand.generated, public_key, origin))


class SealedTrial:
    """One trial, its log in the database and its sealer."""

    def __init__(
        self, keys: ServerKeys, anchors: Path, hand: ListInHand, origin: str = ORIGIN
    ) -> None:
        self.keys = keys
        self.anchors = anchors
        self.hand = hand
        self.origin = origin
        self.log = TrialLog(origin)
        self.reach: Reach = reach_at_once
        self.sealer = self.another_sealer()

    @property
    def stem(self) -> str:
        return hashlib.sha256(self.origin.encode()).hexdigest()

    @property
    def anchor_path(self) -> Path:
        return self.anchors / f"{self.stem}.anchor"

    @property
    def anchored(self) -> list[bytes]:
        """Return the lines of the anchor file that have an end."""
        return self.anchor_path.read_bytes().split(b"\n")[:-1]

    @property
    def status(self) -> Status:
        return self.sealer.status(self.origin)

    def another_sealer(self) -> LocalSealer:
        """Return a sealer as another process, or a restarted one, would make it."""
        return self.reach(LocalSealer(self.keys, self.anchors, HOST))

    def reach_by(self, reach: Reach) -> None:
        """Reach the sealer, and each restarted one, in another way."""
        self.reach = reach
        self.restart()

    def copy_to(self, anchors: Path) -> "SealedTrial":
        """Return this trial with a copy of its anchors, read by a sealer of its own."""
        shutil.copytree(self.anchors, anchors)
        twin = SealedTrial(self.keys, anchors, self.hand, self.origin)
        twin.log = self.log.restored(len(self.log.entries))
        twin.follow()
        return twin

    def restart(self) -> None:
        self.sealer = self.another_sealer()

    def follow(self, log: TrialLog | None = None) -> str:
        """Do what the service does after a commit: ask for the size, read back, follow."""
        since = self.status.size
        entries = (log or self.log).entries[max(0, since - 1) :]
        return self.sealer.follow(self.origin, since, entries)

    def begin(self) -> None:
        self.log.create()
        self.follow()

    def seal(self, hand: ListInHand | None = None) -> None:
        """Freeze the design, seal and approve the list, and follow that."""
        hand = hand or self.hand
        frozen: dict[str, Json] = {
            "list": hand.number,
            "design_sha256": hand.sealed.design_sha256,
        }
        self.log.add("design.frozen", frozen)
        self.log.add("list.sealed", hand.body(), "statistician")
        approved: dict[str, Json] = {
            "list": hand.number,
            "root": hand.sealed.root,
            "root_checked": True,
        }
        self.log.add("list.approved", approved, "second-statistician")
        self.follow()

    def accept(self, hand: ListInHand | None = None) -> Acceptance:
        hand = hand or self.hand
        sealed = hand.sealed
        return self.sealer.accept(
            self.origin, hand.number, sealed.wrap, sealed.leaves, iter(hand.blobs)
        )

    def acceptance(self, hand: ListInHand | None = None, sealing: int = 1) -> Acceptance:
        """Return what accepting a list would write down."""
        hand = hand or self.hand
        return Acceptance(hand.number, sealing, hand.sealed.root, hand.wrap_sha256)

    def another_sealer_follows(self) -> str:
        """Return the checkpoint of what the anchor holds, as a restarted sealer signs it."""
        other = self.another_sealer()
        size = other.status(self.origin).size
        return other.follow(self.origin, size, self.log.entries[size - 1 : size])

    def activate(self, hand: ListInHand | None = None) -> Entry:
        """Log the activation, without following it."""
        return self.log.add("list.activated", {"list": (hand or self.hand).number})

    def assign(self, stratum: int = 0, hand: ListInHand | None = None) -> Entry:
        """Assign the stratum's next slot to a new enrolment, without following it."""
        entry = self.write_assignment(stratum, hand or self.hand)
        self.log.keep(entry)
        return entry

    def write_assignment(self, stratum: int, hand: ListInHand, **other: Json) -> Entry:
        slot = self.log.state.lists[hand.number].next_slot[stratum]
        body: dict[str, Json] = {
            "list": hand.number,
            "stratum": stratum,
            "slot": slot,
            "leaf": hand.leaves[hand.index(stratum, slot)].hex(),
            "enrolment": str(uuid.uuid4()),
            "enrolment_sha256": hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
        }
        return self.log.write("slot.assigned", {**body, **other})

    def open(
        self, assigned: Entry, seq: int | None = None, slot: SlotToOpen | None = None
    ) -> Opened:
        """Open what an entry assigned, by itself or by another entry that covers it."""
        body = assigned.body
        slot = slot or self.hand.slot(body["stratum"], body["slot"])
        asked = assigned.seq if seq is None else seq
        return self.sealer.open(self.origin, asked, body["enrolment"], slot)

    def arm(self, assigned: Entry, hand: ListInHand | None = None) -> str:
        """Return the arm that the list holds for an assignment."""
        body = assigned.body
        return (hand or self.hand).generated.arms[body["stratum"]][body["slot"]]


def assigned_and_followed(trial: SealedTrial, stratum: int = 0) -> Entry:
    """Assign the stratum's next slot to a new enrolment, and follow that."""
    entry = trial.assign(stratum)
    trial.follow()
    return entry


def rewrap(trial: SealedTrial, kid: str, wrap: bytes, sealing: int = 1) -> None:
    """Log another wrap of a sealing of list 1, and follow that."""
    body: dict[str, Json] = {
        "list": 1,
        "sealing": sealing,
        "kid": kid,
        "wrap_sha256": hashlib.sha256(wrap).hexdigest(),
    }
    trial.log.add("key.rewrapped", body, "administrator")
    trial.follow()
