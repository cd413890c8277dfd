"""A second factor: a code of six digits that changes every 30 seconds (RFC 6238), or a spare one.

Its secret is encrypted by a key that no backup of the database holds. A code is taken once, and
so is a recovery code, of which only hashes are stored. Whoever has a second factor is asked for
it; statisticians must have one, and administrators, before a trial that is no test.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alloc_service.core.design import TEST_PREFIX
from alloc_service.errors import SelfGrantError, WrongCodeError
from alloc_service.permissions import Role
from alloc_service.services import accounts, audit, rights
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.people import RecoveryCode, SecondFactor
from alloc_service.storage.transactions import Reading

ASKED_OF = frozenset({Role.STATISTICIAN, Role.SECOND_STATISTICIAN, Role.ADMINISTRATOR})
CODES = 10
STEP = 30
_ISSUER = "Allocation service"
_NONCE = 12
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_SPARE = re.compile(r"[0-9a-f]{20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewFactor:
    """A secret for its owner's device, until it is confirmed; in no repr.

    Attributes:
        secret: Base32, for whoever types it.
        uri: `otpauth://…`, for a QR code.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def is_asked(deps: Deps, person: Person) -> bool:
    """Tell whether somebody has a second factor, which is then asked of them."""
    with deps.database.read() as session:
        factor = queries.find_factor(session, person.account)
    return factor is not None and factor.confirmed_at is not None


def is_missing(deps: Deps, person: Person) -> bool:
    """Tell whether somebody must have a second factor, and has none."""
    with deps.database.read() as session:
        factor = queries.find_factor(session, person.account)
        if factor is not None and factor.confirmed_at is not None:
            return False
        return _must_have(session, person)


def count_codes(deps: Deps, person: Person) -> int:
    """Return how many recovery codes somebody has left."""
    with deps.database.read() as session:
        return queries.count_codes(session, person.account)


def begin(deps: Deps, person: Person, username: str) -> NewFactor:
    """Make a secret for somebody's device; it counts once a code of it was shown.

    Until then it is made anew each time. One that is confirmed stays, and this raises.

    Raises:
        WrongCodeError: There is a confirmed one.
    """
    secret = pyotp.random_base32()
    with deps.database.write() as tx:
        found = queries.lock_factor(tx, person.account)
        if found is not None and found.confirmed_at is not None:
            raise WrongCodeError
        queries.remove_factor(tx, person.account)
        tx.expunge_all()
        tx.add(
            SecondFactor(
                account_id=person.account,
                secret=_encrypt(deps, person, secret),
                confirmed_at=None,
                last_step=0,
            )
        )
    uri = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=f"{_ISSUER} {deps.host}")
    return NewFactor(secret, uri)


def confirm(deps: Deps, person: Person, code: str) -> tuple[str, ...]:
    """Take the first code of a new secret; return the recovery codes, which are shown once.

    Raises:
        WrongCodeError: It does not fit, or there is no secret that waits for it.
    """
    spares = tuple(secrets.token_hex(10) for _ in range(CODES))
    with deps.database.write() as tx:
        factor = queries.lock_factor(tx, person.account)
        if factor is None or factor.confirmed_at is not None:
            raise WrongCodeError
        factor.last_step = _require_step(deps, person, factor, code)
        factor.confirmed_at = deps.clock()
        tx.add_all(
            RecoveryCode(account_id=person.account, code_sha256=_hash(spare), used_at=None)
            for spare in spares
        )
    return tuple("-".join(spare[at : at + 5] for at in range(0, 20, 5)) for spare in spares)


def check(deps: Deps, person: Person, typed: str) -> None:
    """Take a code of somebody's device, or a recovery code; each is taken once.

    Raises:
        WrongCodeError: It does not fit, or was taken before.
    """
    code = typed.replace("-", "").replace(" ", "").lower()
    with deps.database.write() as tx:
        factor = queries.lock_factor(tx, person.account)
        if factor is None or factor.confirmed_at is None:
            raise WrongCodeError
        if not _SPARE.fullmatch(code):
            factor.last_step = _require_step(deps, person, factor, code)
        elif not queries.use_code(tx, person.account, _hash(code), deps.clock()):
            raise WrongCodeError


def remove(deps: Deps, administrator: Person, username: str) -> None:
    """Take somebody's second factor away, whose device and codes are lost, and log it.

    Raises:
        NotAllowedError: The actor is no administrator.
        SelfGrantError: It is the administrator's own.
        AccountError: There is no such account, or it is disabled.
    """
    with deps.database.read() as session:
        rights.require_administrator(session, administrator)
        trials = accounts.trials_of(session, rights.find_enabled(session, username))
    with audit.writing(deps, *trials) as tx:
        rights.require_administrator(tx, administrator)
        account = rights.find_enabled(tx, username)
        if account.person_id == administrator.id:
            raise SelfGrantError
        queries.remove_factor(tx, account.id)
        queries.end_sessions(tx, account.id, deps.clock())
        for trial_id in trials:
            accounts.log_change(deps, tx, administrator, trial_id, account.person_id)


def _must_have(session: Reading, person: Person) -> bool:
    trials = [trial.id for trial in queries.list_trials(session)]
    real = [trial for trial in trials if not trial.startswith(TEST_PREFIX)]
    held = {grant.role for trial in real for grant in rights.grants_now(session, person, trial)}
    return bool(held & ASKED_OF)


def _require_step(deps: Deps, person: Person, factor: SecondFactor, code: str) -> int:
    """Return the step of a code, which is this one or a neighbour, and later than the last."""
    now = int(deps.clock().timestamp()) // STEP
    totp = pyotp.TOTP(_decrypt(deps, person, factor.secret))
    if _CODE.fullmatch(code):
        for step in (now, now - 1, now + 1):
            fits = secrets.compare_digest(totp.generate_otp(step), code)
            if fits and step > factor.last_step:
                return step
    raise WrongCodeError


def _encrypt(deps: Deps, person: Person, secret: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    key = AESGCM(deps.key_for("second-factor"))
    return nonce + key.encrypt(nonce, secret.encode(), person.account.bytes)


def _decrypt(deps: Deps, person: Person, sealed: bytes) -> str:
    key = AESGCM(deps.key_for("second-factor"))
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], person.account.bytes).decode()
    except InvalidTag:  # of another account, or of keys that are lost: an administrator removes it
        raise WrongCodeError from None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
