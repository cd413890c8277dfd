"""The tables. What may be in a row is a named rule of the schema, not only of the program.

No arm, block size or seed has a column anywhere: of a slot there is its leaf hash and its
sealed blob. Log entries, assignments and sealed slots are append-only by trigger
(`alloc_service.storage.triggers`).

The log, the assignments and the forks point to no other table. A recovery gives the log back
to a database that may have lost, in the same restore, the very rows the log speaks of; a
foreign key would refuse the evidence for lack of its subject.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from alloc_service.storage.base import Base, hex32
from alloc_service.storage.columns import CanonicalJson

# A blob is 1 byte of version, 12 of nonce, 256 of padded opening and 16 of tag.
BLOB_BYTES = 285


class Trial(Base):
    """A trial and its definition; its origin names its log."""

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("origin", name="origin_names_one_log"),
        CheckConstraint("length(id) BETWEEN 1 AND 64", name="trial_id_has_1_to_64_letters"),
        hex32("definition_sha256", "definition_sha256_is_hex32"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str]
    definition: Mapped[bytes]  # canonical JSON
    definition_sha256: Mapped[str]
    created_at: Mapped[datetime]


class LogHead(Base):
    """The size and last leaf of a trial's log; the row that whoever appends locks."""

    __tablename__ = "log_head"
    __table_args__ = (
        CheckConstraint("size >= 0", name="log_size_counts_from_zero"),
        CheckConstraint("(size = 0) = (last_leaf = '')", name="only_an_empty_log_has_no_leaf"),
        hex32("last_leaf", "last_leaf_is_hex32", or_empty=True),
    )

    trial_id: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    last_leaf: Mapped[str]  # HEX32, or empty


class LogEntry(Base):
    """The exact bytes of one entry: written once, never changed, never removed."""

    __tablename__ = "log_entry"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "seq"),
        UniqueConstraint("trial_id", "leaf", name="leaf_is_logged_once"),
        CheckConstraint("seq >= 0", name="seq_counts_from_zero"),
        CheckConstraint("(seq = 0) = (prev = '')", name="only_the_first_entry_has_no_prev"),
        hex32("prev", "prev_is_hex32", or_empty=True),
        hex32("leaf", "leaf_is_hex32"),
        CheckConstraint("length(data) < 65536", name="entry_is_under_64_kib"),
        # A row id would be a second key, through which REPLACE removes rows unseen.
        {"sqlite_with_rowid": False},
    )

    trial_id: Mapped[str]
    seq: Mapped[int]
    prev: Mapped[str]  # HEX32 leaf hash of the entry before, or empty
    leaf: Mapped[str]  # HEX32
    data: Mapped[bytes]


class LogNode(Base):
    """The Merkle hash of a complete subtree of 2^level entries; level 0 is in `log_entry`."""

    __tablename__ = "log_node"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "level", "position"),
        CheckConstraint("level BETWEEN 1 AND 62 AND position >= 0", name="log_node_has_a_place"),
        CheckConstraint("length(hash) = 32", name="log_node_has_32_bytes"),
        {"sqlite_with_rowid": False},
    )

    trial_id: Mapped[str]
    level: Mapped[int]
    position: Mapped[int]  # 0-based within its level
    hash: Mapped[bytes]


class Checkpoint(Base):
    """A signed note over the log at one size."""

    __tablename__ = "checkpoint"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "size"),
        CheckConstraint("size > 0", name="checkpoint_covers_an_entry"),
        {"sqlite_with_rowid": False},
    )

    trial_id: Mapped[str]
    size: Mapped[int]
    note: Mapped[str]


class RandomizationList(Base):
    """A sealed list: its public shape and root; the design is there sealed only."""

    __tablename__ = "randomization_list"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "number"),
        CheckConstraint("number BETWEEN 1 AND 9999", name="list_number_is_1_to_9999"),
        hex32("design_sha256", "design_sha256_is_hex32"),
        hex32("root", "root_is_hex32"),
    )

    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    number: Mapped[int]
    design_sha256: Mapped[str]
    design_sealed: Mapped[bytes]
    root: Mapped[str]
    slots: Mapped[list[int]] = mapped_column(CanonicalJson)  # one integer a stratum
    strata: Mapped[list[str]] = mapped_column(CanonicalJson)  # codes, in the design's order
    created_at: Mapped[datetime]


class ListSealing(Base):
    """One sealing of a list: the wrapped tranche key that opens its blobs."""

    __tablename__ = "list_sealing"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number", "sealing"),
        ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
        ),
        CheckConstraint("sealing >= 0", name="sealing_counts_from_zero"),
        hex32("wrap_sha256", "wrap_sha256_is_hex32"),
    )

    trial_id: Mapped[str]
    list_number: Mapped[int]
    sealing: Mapped[int]
    kid: Mapped[str]
    wrap: Mapped[bytes]
    wrap_sha256: Mapped[str]


class ListNode(Base):
    """The Merkle hash of a complete subtree of 2^level slots; level 0 is in `sealed_slot`."""

    __tablename__ = "list_node"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number", "level", "position"),
        ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
        ),
        CheckConstraint("level BETWEEN 1 AND 62 AND position >= 0", name="list_node_has_a_place"),
        CheckConstraint("length(hash) = 32", name="list_node_has_32_bytes"),
        {"sqlite_with_rowid": False},
    )

    trial_id: Mapped[str]
    list_number: Mapped[int]
    level: Mapped[int]
    position: Mapped[int]  # 0-based within its level
    hash: Mapped[bytes]


class SealedSlot(Base):
    """A slot's public leaf and its ciphertext, every one of the same length."""

    __tablename__ = "sealed_slot"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number", "sealing", "stratum", "slot"),
        ForeignKeyConstraint(
            ["trial_id", "list_number", "sealing"],
            ["list_sealing.trial_id", "list_sealing.list_number", "list_sealing.sealing"],
        ),
        CheckConstraint("stratum >= 0 AND slot >= 0", name="sealed_slot_counts_from_zero"),
        CheckConstraint("length(leaf) = 32", name="sealed_slot_has_a_leaf_of_32_bytes"),
        CheckConstraint(f"length(blob) = {BLOB_BYTES}", name="every_blob_has_the_same_length"),
        {"sqlite_with_rowid": False},
    )

    trial_id: Mapped[str]
    list_number: Mapped[int]
    sealing: Mapped[int]
    stratum: Mapped[int]  # index into the list's strata
    slot: Mapped[int]  # 0-based within the stratum
    leaf: Mapped[bytes]
    blob: Mapped[bytes]


class EscrowFile(Base):
    """The escrow's ciphertext, kept until two custodians confirmed that they could open it."""

    __tablename__ = "escrow_file"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number", "name"),
        ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
        ),
    )

    trial_id: Mapped[str]
    list_number: Mapped[int]
    name: Mapped[str]
    ciphertext: Mapped[bytes]


class EscrowConfirmation(Base):
    """Somebody's word that they could open the escrow, together with another custodian."""

    __tablename__ = "escrow_confirmation"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number", "person_id"),
        ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["randomization_list.trial_id", "randomization_list.number"],
        ),
    )

    trial_id: Mapped[str]
    list_number: Mapped[int]
    person_id: Mapped[str]
    confirmed_at: Mapped[datetime]


class Enrolment(Base):
    """A participant's record; what was signed is in `record`, byte for byte."""

    __tablename__ = "enrolment"
    __table_args__ = (
        UniqueConstraint("trial_id", "site", "participant", name="participant_is_enrolled_once"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    site: Mapped[str]
    participant: Mapped[str]
    record: Mapped[bytes | None]  # canonical JSON, signed
    draft: Mapped[bytes]  # canonical JSON of what was typed so far
    created_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[datetime]


class Assignment(Base):
    """The slot that an enrolment spent: written once, never changed, never removed."""

    __tablename__ = "assignment"
    __table_args__ = (
        PrimaryKeyConstraint("enrolment_id"),
        UniqueConstraint("trial_id", "list_number", "stratum", "slot", name="slot_is_spent_once"),
        UniqueConstraint("trial_id", "entry_seq", name="entry_assigns_one_slot"),
        CheckConstraint("stratum >= 0 AND slot >= 0", name="slot_counts_from_zero"),
        hex32("leaf", "assigned_leaf_is_hex32"),
        {"sqlite_with_rowid": False},
    )

    enrolment_id: Mapped[UUID]
    trial_id: Mapped[str]
    list_number: Mapped[int]
    stratum: Mapped[int]  # index into the list's strata
    slot: Mapped[int]  # 0-based, order of allocation within the stratum
    leaf: Mapped[str]  # HEX32 commitment to the slot
    entry_seq: Mapped[int]  # the log entry that assigned it
    assigned_at: Mapped[datetime]


class Reason(Base):
    """The free text behind a reason whose salted hash is in the log; it can be erased."""

    __tablename__ = "reason"
    __table_args__ = (PrimaryKeyConstraint("trial_id", "entry_seq"),)

    trial_id: Mapped[str]
    entry_seq: Mapped[int]
    salt: Mapped[str]
    text: Mapped[str]


class Fork(Base):
    """A history that a recovery replaced, kept as evidence."""

    __tablename__ = "fork"
    __table_args__ = (PrimaryKeyConstraint("trial_id", "fork"),)

    trial_id: Mapped[str]
    fork: Mapped[int]
    at: Mapped[datetime]
    fork_sha256: Mapped[str]  # HEX32, or empty where the fork has no entry


class ForkEntry(Base):
    """A log entry of a replaced history; its hashes may be anything, for it is evidence."""

    __tablename__ = "fork_entry"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "fork", "seq"),
        ForeignKeyConstraint(["trial_id", "fork"], ["fork.trial_id", "fork.fork"]),
    )

    trial_id: Mapped[str]
    fork: Mapped[int]
    seq: Mapped[int]
    data: Mapped[bytes]


class ForkAssignment(Base):
    """An assignment of a replaced history."""

    __tablename__ = "fork_assignment"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "fork", "enrolment_id"),
        ForeignKeyConstraint(["trial_id", "fork"], ["fork.trial_id", "fork.fork"]),
    )

    trial_id: Mapped[str]
    fork: Mapped[int]
    enrolment_id: Mapped[UUID]
    list_number: Mapped[int]
    stratum: Mapped[int]
    slot: Mapped[int]
    entry_seq: Mapped[int]
