"""Second factors of accounts, and the codes that open once where a device is lost."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from alloc_service.storage.people import RecoveryCode, SecondFactor
from alloc_service.storage.transactions import Transaction


def find_factor(session: Session, account_id: UUID) -> SecondFactor | None:
    """Return an account's second factor, confirmed or not, or None."""
    return session.get(SecondFactor, account_id)


def lock_factor(tx: Transaction, account_id: UUID) -> SecondFactor | None:
    """Return an account's second factor, locked, or None."""
    return tx.get(SecondFactor, account_id, with_for_update=True)


def remove_factor(tx: Transaction, account_id: UUID) -> None:
    """Remove an account's second factor and its recovery codes."""
    tx.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    tx.execute(delete(SecondFactor).where(SecondFactor.account_id == account_id))


def use_code(tx: Transaction, account_id: UUID, code_sha256: str, now: datetime) -> bool:
    """Use a recovery code up; return whether there was one that nobody had used."""
    chosen = update(RecoveryCode).where(
        RecoveryCode.account_id == account_id,
        RecoveryCode.code_sha256 == code_sha256,
        RecoveryCode.used_at.is_(None),
    )
    result = tx.execute(chosen.values(used_at=now))
    return isinstance(result, CursorResult) and result.rowcount == 1


def count_codes(session: Session, account_id: UUID) -> int:
    """Return how many recovery codes nobody has used yet."""
    chosen = select(func.count()).where(
        RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
    )
    return session.scalar(chosen) or 0
