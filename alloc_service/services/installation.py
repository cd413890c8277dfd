"""An installation: set up once, its tables brought up to date, and how it stands.

Setting up makes the key files, the sealer's register, the secret of the pages, the tables and
the first administrator, in this order. A run that was interrupted is run again and finishes: it
keeps what is there. The account comes last and marks an installation as set up. Beside accounts,
and beside anchors whose database is lost, nothing is ever made anew: a second register would
forget every log that the first one knew, and a new database would stand in the way of the backup.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alloc_service.config import Settings
from alloc_service.errors import (
    DatabaseLostError,
    InstalledAlreadyError,
    KeysExistError,
    RefusalError,
    RegisterError,
)
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys, create_keys, load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.sealer import Status
from alloc_service.services import accounts, audit, web_secret
from alloc_service.services.accounts import NewAccount
from alloc_service.services.backup import Progress, restore_backup
from alloc_service.services.backup_file import BackupReport
from alloc_service.services.deps import Clock, Deps, system_clock
from alloc_service.services.passwords import Passwords
from alloc_service.services.witness_standing import Standing, Watch, describe
from alloc_service.storage import queries
from alloc_service.storage.engine import Database

ANCHORS = "*.anchor"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where a new installation keeps what.

    Attributes:
        host: First part of every log's origin.
        database: Where, without user and password.
        keys: Folder of the key files.
        anchors: Folder of the sealer's anchors.
        web_secret: File with the secret of the pages.
        kid: Id of the sealing key.
        sealing_key: HEX of its public half, 32 bytes; a list made offline is sealed to it.
        administrator: User name of the first administrator.
    """

    host: str
    database: str
    keys: Path
    anchors: Path
    web_secret: Path
    kid: str
    sealing_key: str
    administrator: str


@dataclass(frozen=True, slots=True)
class TrialStatus:
    """How one trial's log and its sealer stand; nothing of its participants.

    Attributes:
        trial: Trial id; "" where the database has no trial of this origin.
        origin: The log's name.
        state: open, paused or closed; "unknown" where the stored log does not fold.
        lists: For each list its number, and the furthest that it came.
        entries: Size of the stored log.
        sealer: The sealer's own word.
        vkey: The log's public key, `name+id+base64`.
        trouble: Why nothing can be appended or opened, or "".
        witnesses: How its witnesses stand; none where the stored log does not fold.
    """

    trial: str
    origin: str
    state: str
    lists: tuple[tuple[int, str], ...]
    entries: int
    sealer: Status
    vkey: str
    trouble: str
    witnesses: Standing | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How an installation stands.

    Attributes:
        host: First part of every log's origin.
        database: Where, without user and password.
        schema: Version of the tables.
        kid: Id of the sealing key.
        sealing_key: HEX of its public half, 32 bytes.
        trials: By id; an origin that only the sealer knows comes last.
    """

    host: str
    database: str
    schema: str
    kid: str
    sealing_key: str
    trials: tuple[TrialStatus, ...]

    @property
    def is_well(self) -> bool:
        """Tell whether every trial's log can grow and its slots can open."""
        return not any(trial.trouble for trial in self.trials)


def initialize(
    settings: Settings,
    administrator: NewAccount,
    password: str,
    clock: Clock = system_clock,
    passphrase: str | None = None,
) -> Installation:
    """Make keys, register, tables and the first administrator; finish an interrupted run.

    Args:
        settings: Where everything goes.
        administrator: The first account, which adds all others.
        password: Its password, chosen at once.
        clock: For the account's time.
        passphrase: Protects the key files; none leaves them plain.

    Raises:
        InstalledAlreadyError: There are accounts; nothing was changed.
        DatabaseLostError: There are anchors, and no account; nothing was changed.
        PasswordRuleError: The password breaks a rule; nothing was changed.
        AccountNameError: A name breaks a rule; run it again with another one.
        OperationError: Keys, register or database cannot be made.
    """
    passwords = Passwords()
    passwords.hash(password)  # a refused one must not leave an installation half made
    with _opened(settings) as database:
        if _has_accounts(database):
            raise InstalledAlreadyError(location=database.location)
        if any(settings.anchors.glob(ANCHORS)):
            raise DatabaseLostError(anchors=settings.anchors, location=database.location)
        keys = _make_or_load_keys(settings.keys, passphrase)
        _make_or_check_register(settings.anchors, keys.kid)
        web_secret.make(settings.web_secret)
        database.upgrade()
        sealer = LocalSealer(keys, settings.anchors, settings.host)
        deps = Deps(database, sealer, clock, settings.host, passwords)
        accounts.create_first_administrator(deps, administrator, password)
    return Installation(
        host=settings.host,
        database=database.location,
        keys=settings.keys,
        anchors=settings.anchors,
        web_secret=settings.web_secret,
        kid=keys.kid,
        sealing_key=keys.public_key.hex(),
        administrator=administrator.username,
    )


def upgrade_database(settings: Settings) -> tuple[str | None, str]:
    """Bring the tables to this program's version; make a SQLite file that is not there.

    Returns:
        The version before, none where there were no tables, and the version now.

    Raises:
        SchemaVersionError: The tables are newer than this program; nothing was changed.
        DatabaseError: Nothing was changed; the class says why.
    """
    with _opened(settings) as database:
        database.create()
        before = database.schema_version()
        database.upgrade()
        return before, str(database.schema_version())


def restore_database(
    settings: Settings, path: Path, progress: Progress | None = None
) -> BackupReport:
    """Fill the database that the settings name from a backup; make its tables where none are.

    Args:
        settings: Whose database; it holds nothing yet.
        path: The backup.
        progress: Told, now and then, how many more rows are added.

    Raises:
        BackupError: It is no backup, or not whole.
        DatabaseNotEmptyError: The database holds something already.
        DatabaseError: The database refused; nothing was restored.
    """
    with _opened(settings) as database:
        database.upgrade()
        return restore_backup(database, path, progress)


def service_status(deps: Deps) -> ServiceStatus:
    """Return how the installation stands; show every log to the sealer first (`health.start`)."""
    with deps.database.read() as session:
        trials = [(trial.id, trial.origin) for trial in queries.list_trials(session)]
    known = {origin for _, origin in trials}
    lost = [("", origin) for origin in deps.sealer.origins() if origin not in known]
    return ServiceStatus(
        host=deps.host,
        database=deps.database.location,
        schema=str(deps.database.schema_version()),
        kid=deps.sealer.kid,
        sealing_key=deps.sealer.public_key.hex(),
        trials=tuple(_trial_status(deps, trial, origin) for trial, origin in (*trials, *lost)),
    )


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    """Open the database that the settings name, which may not be there yet, and let it go."""
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.dispose()


def _has_accounts(database: Database) -> bool:
    if database.path is not None and not database.path.exists():
        return False
    if database.schema_version() is None:
        return False
    with database.read() as session:
        return bool(queries.list_accounts(session))


def _make_or_load_keys(folder: Path, passphrase: str | None) -> ServerKeys:
    try:
        return create_keys(folder, passphrase)
    except KeysExistError:  # made by a run that was interrupted later
        return load_keys(folder, passphrase)


def _make_or_check_register(folder: Path, kid: str) -> None:
    try:
        Register.create(folder, kid)
    except RegisterError:  # made by a run that was interrupted later, or of other keys
        Register(folder).check(kid)


def _trial_status(deps: Deps, trial_id: str, origin: str) -> TrialStatus:
    sealer = deps.sealer.status(origin)
    trouble = sealer.frozen or sealer.blocked or sealer.unwritable
    entries, state, watch, standing = 0, None, Watch(), None
    if trial_id:
        with deps.database.read() as session:
            entries = queries.read_log_head(session, trial_id).size
            try:
                state = audit.read_state(session, trial_id, watch)
                standing = describe(deps, session, trial_id, state, watch)
            except RefusalError as error:
                trouble = trouble or str(error)
    else:
        trouble = trouble or "the sealer followed this log, and the database has no such trial"
    lists = state.lists if state else {}
    return TrialStatus(
        trial=trial_id,
        origin=origin,
        state=state.trial if state else "unknown",
        lists=tuple((number, known.step) for number, known in sorted(lists.items())),
        entries=entries,
        sealer=sealer,
        vkey=deps.sealer.log_key(origin).vkey,
        trouble=trouble,
        witnesses=standing,
    )
