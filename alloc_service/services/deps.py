"""What every use-case is given: the database, the sealer, the clock, the logs' folded states."""

import hmac
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from alloc_service.config import Settings
from alloc_service.core.merkle import Frontier
from alloc_service.errors import KeysPassphraseError
from alloc_service.log.state import LogState
from alloc_service.sealing.keys import ServerKeys, load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.remote import RemoteSealer
from alloc_service.sealing.sealer import Sealer
from alloc_service.services import web_secret
from alloc_service.services.passwords import Passwords
from alloc_service.storage.engine import Database

_LONGEST_PASSPHRASE = 4_096

Clock: TypeAlias = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the time of this machine, aware and in UTC."""
    return datetime.now(UTC)  # noqa: TID251  the one place where time enters


class SignedCheckpoint(NamedTuple):
    """A checkpoint of a trial's log: its size, the signed note, and the root in it (32 bytes)."""

    size: int
    note: str
    root: bytes


class FoldedLog:
    """One trial's log as this process has folded it, behind a lock of its own.

    It is only ever a shortcut: under the log's lock in the database it is compared with the
    head, grown from the stored entries, and dropped where they do not agree.

    Attributes:
        state: What the entries mean.
        tree: The tree over them.
        kept: What was read once of rows that never change while this log goes on.
        storing: Held by the thread that stores checkpoints.
        cosigning: Held by the thread that asks the trial's witnesses.
        checkpoint: The last checkpoint that was signed and is not stored yet.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.storing = threading.Lock()
        self.cosigning = threading.Lock()
        self.checkpoint: SignedCheckpoint | None = None
        self.drop()

    def stored(self, checkpoint: SignedCheckpoint) -> None:
        """Forget a checkpoint that is stored, unless a newer one was signed meanwhile."""
        if self.checkpoint == checkpoint:
            self.checkpoint = None

    def forget(self) -> None:
        """Forget everything folded, once nobody is at it."""
        with self.lock:
            self.drop()

    def drop(self) -> None:
        """Forget everything folded; the next use reads the log from its beginning.

        Only for whoever holds the lock.
        """
        self.state = LogState()
        self.tree = Frontier()
        self.kept: dict[object, Any] = {}


class FoldedLogs:
    """The folded logs of this process; a child after a fork begins with none."""

    def __init__(self) -> None:
        self._logs: dict[str, FoldedLog] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def of(self, trial_id: str) -> FoldedLog:
        """Return the folded log of a trial, an empty one at first."""
        if self._pid != os.getpid():
            self._logs, self._lock, self._pid = {}, threading.Lock(), os.getpid()
        with self._lock:
            if trial_id not in self._logs:
                self._logs[trial_id] = FoldedLog()
            return self._logs[trial_id]


@dataclass(frozen=True)
class Deps:
    """Everything that a use-case needs from outside.

    Attributes:
        database: SQLite or PostgreSQL.
        sealer: What follows the logs and opens slots; in this process, or behind a socket.
        clock: Gives aware UTC moments; the only time there is.
        host: First part of every log's origin.
        passwords: Argon2id.
        secret: What the keys of the pages come from; none where there are no pages.
        logs: The folded logs of this process.
        receipts: Folder that gets each allocation's receipt; none where nobody wants them.
    """

    database: Database
    sealer: Sealer
    clock: Clock
    host: str
    passwords: Passwords = field(default_factory=Passwords)
    secret: bytes = field(default=b"", repr=False)
    logs: FoldedLogs = field(default_factory=FoldedLogs)
    receipts: Path | None = None

    def key_for(self, label: str) -> bytes:
        """Return 32 secret bytes for one use of the pages, each label's its own."""
        return hmac.digest(self.secret, label.encode(), "sha256")


def open_deps(settings: Settings, clock: Clock = system_clock) -> Deps:
    """Open what the settings name, and refuse to start where anything is unsafe.

    Where they name the socket of a sealer, this process holds no key: the sealer is asked, and
    the secret of the pages comes from a file of its own.

    Raises:
        OperationError: Keys, register, database or schema are missing, loose or of others.
    """
    if settings.sealer_socket is not None:
        secret = web_secret.read(settings.web_secret)
        return _over_database(settings, RemoteSealer(settings.sealer_socket), clock, secret)
    return open_with_keys(settings, load_keys(settings.keys, read_passphrase(settings)), clock)


def open_with_keys(
    settings: Settings,
    keys: ServerKeys,
    clock: Clock = system_clock,
    *,
    reads_alone: bool = False,
) -> Deps:
    """Open what the settings name with the sealer in this process, whatever socket they name.

    Args:
        settings: Where everything is.
        keys: The keys, opened.
        clock: The only time there is.
        reads_alone: Whether the database is only read, by a role that may do no more.

    Raises:
        OperationError: As `open_deps`.
    """
    sealer = LocalSealer(keys, settings.anchors, settings.host)
    secret = web_secret.find(settings.web_secret, keys)
    return _over_database(settings, sealer, clock, secret, reads_alone=reads_alone)


def read_passphrase(settings: Settings) -> str | None:
    """Return the passphrase of the key files from the file that the settings name, if any.

    Raises:
        KeysPassphraseError: It cannot be read, or holds no line.
    """
    path = settings.passphrase_file
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_PASSPHRASE + 1).decode("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text.isprintable() or not 0 < len(text.encode()) < _LONGEST_PASSPHRASE:
        rule = "no passphrase can be read here, which is one line of printable characters in UTF-8"
        remedy = "Name another ALLOC_PASSPHRASE_FILE"
        raise KeysPassphraseError(path=path, rule=rule, remedy=remedy)
    return text


def open_from_environment(environ: Mapping[str, str]) -> Deps:
    """Open what the environment names; as `open_deps`."""
    return open_deps(Settings.from_environment(environ))


def _over_database(
    settings: Settings, sealer: Sealer, clock: Clock, secret: bytes, *, reads_alone: bool = False
) -> Deps:
    database = Database(settings.database_url)
    try:
        database.check(reads_alone=reads_alone)
    except BaseException:
        database.dispose()
        raise
    receipts = settings.receipts
    return Deps(database, sealer, clock, settings.host, secret=secret, receipts=receipts)
