"""Real evidence of a small trial, without a service around it: log, lists, notes, bundles.

Nothing here stands in for the package: lists are generated, entries folded, notes signed.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.core.canon import Json, canon
from alloc_service.core.ceremony_hashes import hash_share, hash_shares
from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, generate, leaf_index
from alloc_service.core.merkle import leaf_hash, root_of
from alloc_service.core.seed import Seed
from alloc_service.log import bundle_form
from alloc_service.log.bundle import BundledList, BundleParts, write_bundle
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.bundle_seed import OpenedSeed
from alloc_service.log.note import Checkpoint, Signer, Witness, sign_checkpoint
from alloc_service.log.policy import write_policy
from tests.support.chain import (
    ADMINISTRATOR,
    ORIGIN,
    PHYSICIAN,
    SECOND,
    STATISTICIAN,
    Chain,
    as_body,
    hex32,
)

TRIAL = "EXAMPLE-02"
CODES = ("mild", "severe; <20")
COSIGNED_AT = 1_767_344_400


def private(label: str) -> Ed25519PrivateKey:
    """Return a private key that belongs to a label."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(label.encode()).digest())


LOG = Signer(ORIGIN, private("log"))
OTHER_LOG = Signer(ORIGIN, private("another log"))
WITNESSES = tuple(Witness(f"witness.example/{name}", private(name)) for name in ("a", "b", "c"))


def design_of(number: int, slots: Sequence[int] = (8, 6)) -> Design:
    """Return the design of a list."""
    return Design(
        trial=TRIAL,
        list=number,
        arms=(Arm("SUN", 1), Arm("MOON", 1)),
        blocks=(BlockSize(2, 1), BlockSize(4, 2)),
        strata=tuple(Stratum(code, n) for code, n in zip(CODES, slots, strict=True)),
        salt=hex32(f"salt {number}"),
    )


@dataclass
class MadeList:
    """A list with everything that it was made of."""

    design: Design
    opened: OpenedSeed
    ceremony: bytes | None = None

    @cached_property
    def generated(self) -> GeneratedList:
        return generate(self.design, self.opened.seed)

    def leaf(self, stratum: int, slot: int) -> str:
        at = 32 * leaf_index([one.slots for one in self.design.strata], stratum, slot)
        return self.generated.leaves[at : at + 32].hex()

    def index(self, stratum: int, slot: int) -> int:
        return leaf_index([one.slots for one in self.design.strata], stratum, slot)


@dataclass
class Evidence:
    """A trial's log as it grows, its lists, and bundles of them.

    Attributes:
        chain: The log.
        lists: By number.
        signers: Who signs a checkpoint now, one or, at a change of the key, two.
        cosigners: Who cosigns.
        notes: Earlier checkpoints by size.
    """

    chain: Chain = field(default_factory=lambda: Chain().create(cap=500))
    lists: dict[int, MadeList] = field(default_factory=dict)
    signers: tuple[Signer, ...] = (LOG,)
    cosigners: tuple[Witness, ...] = ()
    notes: dict[int, str] = field(default_factory=dict)

    def add_list(self, number: int = 1, slots: Sequence[int] = (8, 6)) -> "Evidence":
        """Freeze, seal, approve and activate a list whose seed is of no ceremony."""
        made = MadeList(design_of(number, slots), OpenedSeed(Seed(hex32(f"seed {number}"))))
        self.freeze(made)
        return self.seal(made)

    def freeze(self, made: MadeList) -> None:
        self.chain.add(
            "design.frozen",
            by=STATISTICIAN,
            list=made.design.list,
            design_sha256=made.design.sha256,
        )

    def seal(self, made: MadeList) -> "Evidence":
        number, root = made.design.list, made.generated.root
        self.lists[number] = made
        self.chain.add(
            "list.sealed",
            by=STATISTICIAN,
            **self.chain.sealed(
                number,
                design_sha256=made.design.sha256,
                root=root,
                slots=[one.slots for one in made.design.strata],
            ),
        )
        self.chain.add("list.approved", by=SECOND, list=number, root=root, root_checked=True)
        self.chain.add("list.activated", list=number)
        return self

    def hold_ceremony(
        self, number: int = 1, beacon: Mapping[str, Json] | None = None, value: str | None = None
    ) -> "Evidence":
        """Hold a seed ceremony of three parties, and seal the list that it gives."""
        design, name = design_of(number), f"c-{number}"
        self.chain.add("design.frozen", by=STATISTICIAN, list=number, design_sha256=design.sha256)
        reveals = {party: hex32(f"{party} reveals") for party in ("dmc", "sponsor", "stat")}
        commitments = {
            party: hash_share(design.sha256, name, party, reveal)
            for party, reveal in reveals.items()
        }
        people = {party: (f"p-{party}", "XA01", "statistician") for party in commitments}
        for party, commitment in commitments.items():
            self.chain.add(
                "seed.committed",
                by=people[party],
                ceremony=name,
                list=number,
                party=party,
                commitment=commitment,
            )
        for party, person in people.items():
            self.chain.add("seed.deposited", by=person, ceremony=name, party=party)
        document = canon(
            {
                "alg": "rac-seed/1",
                "beacon": beacon,
                "ceremony": name,
                "design_sha256": design.sha256,
                "parties": [
                    {"commitment": commitment, "id": party}
                    for party, commitment in sorted(commitments.items())
                ],
            }
        )
        hashed = hashlib.sha256(document).hexdigest()
        self.chain.add("seed.announced", ceremony=name, list=number, doc_sha256=hashed)
        if value is not None:
            self.chain.add("seed.beacon", ceremony=name, value=value)
        given = tuple(reveals.values())
        seed = Seed(hash_shares(hashed, given, value))
        return self.seal(MadeList(design, OpenedSeed(seed, given, value), document))

    def assign(self, *strata: int, number: int = 1) -> "Evidence":
        """Spend the next slot of each stratum named."""
        for stratum in strata:
            slot = self.chain.state.lists[number].next_slot[stratum]
            enrolment = f"enrolment {len(self.chain.entries)}"
            body = self.chain.slot(enrolment, stratum, slot, number)
            body["leaf"] = self.lists[number].leaf(stratum, slot)
            self.chain.add("slot.assigned", by=PHYSICIAN, **body)
        return self

    def witnessed(self, mode: str = "gate", quorum: int = 2) -> "Evidence":
        """Have the log name the witnesses, and have them cosign from now on."""
        keys: list[Json] = [one.verifier.vkey for one in WITNESSES] if mode != "off" else []
        self.chain.add(
            "witness.policy",
            by=ADMINISTRATOR,
            mode=mode,
            quorum=quorum,
            witnesses=keys,
            second=as_body(SECOND),
        )
        self.cosigners = WITNESSES[:quorum]
        return self

    def close(self) -> "Evidence":
        self.chain.add("trial.closed", code="end", reason_sha256="")
        return self

    @property
    def rows(self) -> list[bytes]:
        return [entry.data for entry in self.chain.entries]

    def sign(self, rows: Sequence[bytes] | None = None) -> str:
        """Return a checkpoint over rows, or over the whole log, signed and cosigned."""
        rows = self.rows if rows is None else rows
        root = root_of([leaf_hash(row) for row in rows])
        checkpoint = Checkpoint(ORIGIN, len(rows), root)
        notes = [sign_checkpoint(checkpoint, signer) for signer in self.signers]
        lines = "".join(note.partition("\n\n")[2] for note in notes[1:])
        cosigned = "".join(one.cosign(checkpoint.text, COSIGNED_AT) for one in self.cosigners)
        return notes[0] + lines + cosigned

    def keep_note(self) -> "Evidence":
        """Keep a checkpoint of the log as it is now."""
        self.notes[len(self.chain.entries)] = self.sign()
        return self

    @property
    def policy(self) -> str:
        """Return the policy that somebody takes away now."""
        return write_policy(self.signers[-1].verifier, self.chain.state.policy)

    def parts(
        self, *, unblinded: bool = False, designs: bool = True, rows: Sequence[bytes] | None = None
    ) -> BundleParts:
        rows = self.rows if rows is None else rows
        return BundleParts(
            origin=ORIGIN,
            entries=tuple(rows),
            checkpoint=self.sign(rows),
            checkpoints=self.notes,
            policy=self.policy,
            lists={
                number: self.bundled(number, unblinded=unblinded, designs=designs)
                for number in self.lists
            },
            unblinded=unblinded,
        )

    def bundled(self, number: int, *, unblinded: bool, designs: bool) -> BundledList:
        made = self.lists[number]
        blinded = BundledList(made.generated.leaves, made.ceremony)
        if not unblinded:
            return blinded
        spent = [one for one in self.chain.state.assigned.values() if one.list == number]
        closed = self.chain.state.trial == "closed"
        return replace(
            blinded,
            design=made.design.to_bytes() if designs else None,
            openings={
                made.index(one.stratum, one.slot): made.generated.opening(one.stratum, one.slot)
                for one in spent
            },
            seed=made.opened if designs and closed else None,
        )

    def bundle(self, *, unblinded: bool = False, designs: bool = True) -> bytes:
        return write_bundle(self.parts(unblinded=unblinded, designs=designs))


def small_evidence() -> Evidence:
    """Return a trial with one list, some spent slots and two earlier checkpoints."""
    evidence = Evidence().add_list()
    evidence.assign(0, 1, 0).keep_note().assign(0, 0, 1).keep_note()
    evidence.chain.add("arms.read", purpose="meeting-1", upto=len(evidence.chain.entries) - 1)
    return evidence


def full_evidence() -> Evidence:
    """Return a trial that ended: witnesses, a ceremony with a beacon, two lists, a new key."""
    source = "the closing price of 2 January"
    value = hashlib.sha256(source.encode()).hexdigest()
    evidence = Evidence().witnessed()
    evidence.hold_ceremony(1, {"kind": "public-string", "source": source}, value)
    evidence.assign(0, 1, 0, 1).keep_note().add_list(2, (5, 4))
    evidence.assign(*[0] * 6).assign(*[1] * 4).assign(0, 1, 0, number=2).keep_note()
    return evidence.close()


def members_of(evidence: bytes) -> dict[str, bytes]:
    """Return the members of a bundle, to change them."""
    return read_members(evidence)


def resealed(members: Mapping[str, bytes]) -> bytes:
    """Return the bundle of changed members with a manifest that fits them."""
    document = bundle_form._read_manifest(members[bundle_form.MANIFEST])[0]
    others = {name: data for name, data in members.items() if name != bundle_form.MANIFEST}
    return zipped({**others, bundle_form.MANIFEST: document.to_bytes(others)}.items())


def zipped(members: Iterable[tuple[str, bytes]], *, sort: bool = True, ends: bool = True) -> bytes:
    """Spell an archive from members, a doubled or climbing name among them if so given."""
    local, central = bytearray(), bytearray()
    given = sorted(members) if sort else list(members)
    for name, data in given:
        sizes = struct.pack("<IIIHH", zlib.crc32(data), len(data), len(data), len(name), 0)
        offset = struct.pack("<I", len(local))
        local += bytes.fromhex("504b0304 1400 0000 0000 00002100") + sizes + name.encode() + data
        central += bytes.fromhex("504b0102 1403 1400 0000 0000 00002100") + sizes
        central += bytes.fromhex("0000 0000 0000 0000a481") + offset + name.encode()
    if not ends:
        return bytes(local)
    counts = struct.pack("<HHII", len(given), len(given), len(central), len(local))
    return bytes(local + central) + bytes.fromhex("504b0506 0000 0000") + counts + bytes(2)
