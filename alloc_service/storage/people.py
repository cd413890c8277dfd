"""The tables of people: accounts, roles, who is signed in, what is asked beside a password."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from alloc_service.storage.base import Base, hex32


class Account(Base):
    """A person's account; never removed, so that its name can never be given to another."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("username", name="username_is_used_once"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str]
    person_id: Mapped[str] = mapped_column(index=True)  # one person may have several accounts
    display_name: Mapped[str]
    organization: Mapped[str]
    password_hash: Mapped[str]
    must_change: Mapped[bool]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class RoleGrant(Base):
    """A role of an account, in one trial or, without one, in the whole installation."""

    __tablename__ = "role_grant"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    trial_id: Mapped[str | None] = mapped_column(ForeignKey("trial.id"), index=True)
    role: Mapped[str]
    site: Mapped[str | None]
    granted_at: Mapped[datetime]
    # Nobody, for the first administrator alone.
    granted_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    ended_at: Mapped[datetime | None]


class WebSession(Base):
    """Somebody signed in with a browser; its token is known to that browser alone."""

    __tablename__ = "web_session"
    __table_args__ = (
        CheckConstraint("length(token_sha256) = 32", name="session_token_hash_has_32_bytes"),
    )

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    address: Mapped[str]  # where it was begun
    browser: Mapped[str]  # in the browser's own words, cut short
    proved: Mapped[bool]  # whether a second factor was shown, where the account has one
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]  # the last request, to the minute
    ended_at: Mapped[datetime | None]


class SecondFactor(Base):
    """What an account proves beside its password: a secret that its owner's device shares."""

    __tablename__ = "second_factor"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    secret: Mapped[bytes]  # encrypted by a key that is not in the database
    confirmed_at: Mapped[datetime | None]  # none until its owner has shown that it works
    last_step: Mapped[int]  # of the last code that was taken; none is taken twice


class RecoveryCode(Base):
    """A code that opens once where the device is lost."""

    __tablename__ = "recovery_code"
    __table_args__ = (
        PrimaryKeyConstraint("account_id", "code_sha256"),
        hex32("code_sha256", "code_sha256_is_hex32"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    code_sha256: Mapped[str]
    used_at: Mapped[datetime | None]


class SignInTry(Base):
    """Tries at one user name from one address that have not succeeded yet."""

    __tablename__ = "sign_in_try"
    __table_args__ = (
        PrimaryKeyConstraint("name_sha256", "address"),
        CheckConstraint("tries > 0", name="tries_count_from_one"),
        hex32("name_sha256", "name_sha256_is_hex32"),
    )

    # A hash, for whoever mistakes the field may type a password as a name.
    name_sha256: Mapped[str]
    address: Mapped[str]
    tries: Mapped[int]
    began_at: Mapped[datetime]
