"""The tables of outside evidence: seed ceremonies, witnesses, and what the witnesses signed.

What happened is in the log; here is what the log names by its hash alone, or needs for the next
step: documents that are public, and files that nobody here can open.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from alloc_service.storage.base import Base, hex32
from alloc_service.storage.columns import CanonicalJson


class FrozenDesign(Base):
    """A design whose hash was logged before its list was made; sealed, like a list's."""

    __tablename__ = "frozen_design"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "list_number"),
        CheckConstraint("list_number BETWEEN 1 AND 9999", name="frozen_list_is_1_to_9999"),
        hex32("design_sha256", "frozen_design_sha256_is_hex32"),
    )

    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    list_number: Mapped[int]
    design_sha256: Mapped[str]
    design_sealed: Mapped[bytes]


class CeremonyRecord(Base):
    """A seed ceremony: to whom its shares are encrypted, and its public document."""

    __tablename__ = "ceremony"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "ceremony"),
        ForeignKeyConstraint(
            ["trial_id", "list_number"],
            ["frozen_design.trial_id", "frozen_design.list_number"],
        ),
        CheckConstraint("length(ceremony) BETWEEN 1 AND 64", name="ceremony_has_1_to_64_letters"),
    )

    trial_id: Mapped[str]
    ceremony: Mapped[str]
    list_number: Mapped[int]
    recipient: Mapped[str]  # age recipient that reveals are encrypted to
    custodians: Mapped[dict[str, str]] = mapped_column(CanonicalJson)  # name: age recipient
    document: Mapped[bytes | None]  # canonical JSON, once announced
    beacon_proof: Mapped[str | None]  # what the beacon published beside its value, as typed
    opened_at: Mapped[datetime]


class CeremonyFile(Base):
    """A party's deposit or reveal: ciphertext, removed once the ceremony is over."""

    __tablename__ = "ceremony_file"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "ceremony", "name"),
        ForeignKeyConstraint(["trial_id", "ceremony"], ["ceremony.trial_id", "ceremony.ceremony"]),
    )

    trial_id: Mapped[str]
    ceremony: Mapped[str]
    name: Mapped[str]
    party: Mapped[str]
    ciphertext: Mapped[bytes]
    received_at: Mapped[datetime]


class WitnessAddress(Base):
    """Where a trial's witness answers; which witnesses count is in the log."""

    __tablename__ = "witness_address"
    __table_args__ = (PrimaryKeyConstraint("trial_id", "name"),)

    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    name: Mapped[str]  # of the witness's key
    url: Mapped[str]  # empty for one that is reached by file alone


class Cosignature(Base):
    """A witness's signature line over the checkpoint of one size."""

    __tablename__ = "cosignature"
    __table_args__ = (
        PrimaryKeyConstraint("trial_id", "size", "name"),
        CheckConstraint("size > 0", name="cosignature_covers_an_entry"),
    )

    trial_id: Mapped[str]
    size: Mapped[int]
    name: Mapped[str]
    line: Mapped[str]
