"""Drills: two custodians find out on a spare machine that the list could be had again.

They open the escrow together and regenerate the list. Its root is compared with that of the log
in a bundle, which is verified by a policy from elsewhere; a sealed slot of the backup, taken at
random, is opened with the restored keys and compared with the regenerated one. Nothing of an
allocation is told, only what was well and what was not. What came out is logged afterwards, by two
people; pages remind after 90 days.

A drill's report is `rac-drill/1`, canonical JSON of the attributes of `Drill` and `alg`.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.generate import GeneratedList, slot_at
from alloc_service.core.generate import generate as generate_list
from alloc_service.errors import (
    BackupError,
    CanonError,
    DrillError,
    RefusalError,
)
from alloc_service.log.bundle_archive import read_members
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.bundle_form import ENTRIES
from alloc_service.log.entry import Entry, parse_time
from alloc_service.log.policy import parse_policy
from alloc_service.log.state import ListState
from alloc_service.log.verify import VerifiedLog, read_ndjson, verify_log
from alloc_service.permissions import Action
from alloc_service.sealing.envelope import HEX32, SlotPlace, open_slot
from alloc_service.sealing.escrow import EscrowedList
from alloc_service.sealing.keys import ServerKeys
from alloc_service.sealing.wrap import unwrap_tranche_key
from alloc_service.services import accounts, audit
from alloc_service.services.backup_file import BackupReader
from alloc_service.services.deps import Deps
from alloc_service.services.recovery import TwoPeople
from alloc_service.services.verification import Check
from alloc_service.storage import rows

ALGORITHM: Final = "rac-drill/1"
EVERY: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Drill:
    """What came out of a drill.

    Attributes:
        origin: Of the log.
        list: List number.
        root: HEX32 root of the regenerated list.
        size: Entries of the verified log; 0 where it was not verified.
        log_verified: Whether the log was found whole.
        root_equal: Whether the regenerated root is the logged one.
        blob_opened: Whether a sealed slot of the backup opened to what was regenerated.
    """

    origin: str
    list: int
    root: str
    size: int
    log_verified: bool
    root_equal: bool
    blob_opened: bool

    @property
    def is_well(self) -> bool:
        """Tell whether everything was as it must be."""
        return self.log_verified and self.root_equal and self.blob_opened

    def to_bytes(self) -> bytes:
        """Return the report's one spelling."""
        return canon({"alg": ALGORITHM, **asdict(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Drill":
        """Read a report strictly.

        Raises:
            DrillError: It is spelled otherwise.
        """
        try:
            document = parse_object(data, "report")
        except CanonError as error:
            rule = f"its report is not canonical JSON: {error.facts['rule']}"
            raise DrillError(rule=rule) from None
        match document:
            case {
                "origin": str(origin), "list": int(number), "root": str(root), "size": int(size),
                "log_verified": bool(verified), "root_equal": bool(equal),
                "blob_opened": bool(opened),
            } if bool not in {type(number), type(size)} and HEX32.fullmatch(root):  # fmt: skip
                drill = cls(origin, number, root, size, verified, equal, opened)
                if drill.to_bytes() == data:
                    return drill
        raise DrillError(rule=f"its report is not spelled as {ALGORITHM} demands")


def hold(
    escrowed: EscrowedList,
    verify: Callable[[], VerifiedLog],
    backup: Path,
    keys: Callable[[], ServerKeys],
) -> tuple[Drill, tuple[Check, ...]]:
    """Hold a drill, on a machine that needs neither database nor network.

    Args:
        escrowed: What two custodians have opened.
        verify: Verifies the bundle that was taken away, and returns its log.
        backup: A backup's file.
        keys: Opens the restored keys of the server.

    Returns:
        The report, and each check with what was found; no check stops another one.
    """
    generated = generate_list(escrowed.design, escrowed.seed)
    number, checks = escrowed.design.list, []
    checks.append(Check("escrow", True, f"it opened, and gave list {number} again"))
    log, found = _verify(verify)
    checks.append(found)
    known = None if log is None else log.state.lists.get(number)
    root_equal = known is not None and known.root == generated.root
    told = "the log's" if root_equal else "not the log's: this is another list, or another design"
    checks.append(Check("root", root_equal, f"the regenerated root is {told}"))
    if log is None or known is None or not root_equal:
        opened = Check("sealed slot", False, "it was not tried: there is no root to open it under")
    else:
        opened = _try_slot(generated, log, known, backup, keys)
    checks.append(opened)
    origin, size = ("", 0) if log is None else (log.origin, log.size)
    drill = Drill(origin, number, generated.root, size, log is not None, root_equal, opened.ok)
    return drill, tuple(checks)


def verify_evidence(bundle: bytes, policy: str) -> VerifiedLog:
    """Verify a bundle as everybody else does, and return the log that is in it.

    Args:
        bundle: The file.
        policy: From a source other than the bundle.

    Raises:
        PolicyError: It is no policy, or does not know this log.
        IntegrityError: The bundle is not good; the text names the first thing that is wrong.
    """
    known = parse_policy(policy)
    origin = verify_bundle(bundle, known).origin
    rows = read_ndjson(read_members(bundle)[ENTRIES])
    return verify_log(rows, (), known.key_of(origin))


def log_drill(deps: Deps, people: TwoPeople, trial_id: str, drill: Drill) -> Entry:
    """Log what came out of a drill, whichever it is.

    Raises:
        DrillError: The report is of another log, or says of a root that it is the logged one.
        NotAllowedError: One of the two has no role for it.
        RuleError: There is no such sealed list.
    """
    if drill.origin != audit.origin_of(deps.host, trial_id):
        raise DrillError(rule=f"its report is not of the log of {trial_id}")
    with audit.writing(deps, trial_id) as tx:
        log = audit.open_log(deps, tx, trial_id)
        actor = accounts.require(tx, people.first, Action.LOG_DRILL, trial_id)
        second = accounts.require(tx, people.second, Action.LOG_DRILL, trial_id)
        known = log.state.lists.get(drill.list)
        if drill.root_equal and known is not None and known.root != drill.root:
            raise DrillError(rule="its report says that a root is equal which is not")
        body: dict[str, Json] = {
            "list": drill.list,
            "root_equal": drill.root_equal,
            "blob_opened": drill.blob_opened,
            "log_verified": drill.log_verified,
            "second": second.to_body(),
        }
        return log.append("drill.done", actor, body)


def is_due(known: ListState, now: datetime) -> bool:
    """Tell whether a list in use had no good drill within the last 90 days."""
    if not known.active or known.retired:
        return False
    return not known.drilled_at or parse_time(known.drilled_at) + EVERY < now


def _verify(verify: Callable[[], VerifiedLog]) -> tuple[VerifiedLog | None, Check]:
    try:
        log = verify()
    except RefusalError as error:
        return None, Check("bundle", False, str(error))
    return log, Check("bundle", True, f"it is good, {log.size} entries, each in its place")


def _try_slot(
    generated: GeneratedList,
    log: VerifiedLog,
    known: ListState,
    backup: Path,
    keys: Callable[[], ServerKeys],
) -> Check:
    try:
        _open_a_slot(generated, log, known, backup, keys())
    except RefusalError as error:
        return Check("sealed slot", False, str(error))
    told = "one of the backup's, taken at random, opens to what was regenerated"
    return Check("sealed slot", True, told)


def _open_a_slot(
    generated: GeneratedList, log: VerifiedLog, known: ListState, backup: Path, keys: ServerKeys
) -> None:
    """Open a slot of the newest logged sealing, and compare it with the regenerated one.

    Raises:
        BackupError: The backup is not whole, or has no such row.
        KeyFileError: There is no key that opens it.
        IntegrityError: The slot does not open, or to another opening.
    """
    design = generated.design
    sealing, logged = max(known.wraps.items())
    index = secrets.randbelow(sum(known.slots))
    of = {"trial_id": design.trial, "list_number": design.list, "sealing": sealing}
    with BackupReader(backup) as reader:
        wrap = _find(reader, backup, "list_sealing", of)["wrap"]
        stratum, slot = slot_at(known.slots, index)
        place = {**of, "stratum": stratum, "slot": slot}
        blob = _find(reader, backup, "sealed_slot", place)["blob"]
    if hashlib.sha256(wrap).hexdigest() != logged.wrap_sha256:
        raise BackupError(path=backup, where="list_sealing", rule="its key is not the logged one")
    key = unwrap_tranche_key(
        keys.unwrap_key(logged.kid), wrap, log.origin, known.design_sha256, known.root, logged.kid
    )
    try:
        wanted = generated.opening(stratum, slot)
        where = SlotPlace(known.design_sha256, known.root, stratum, slot)
        open_slot(key, where, blob, wanted.leaf)
    finally:
        key.wipe()


def _find(
    reader: BackupReader, path: Path, table: str, wanted: Mapping[str, object]
) -> rows.Values:
    """Return the row of a table that has these values.

    Raises:
        BackupError: There is none, or the backup is not whole.
    """
    for row in _rows(reader, table):
        if all(row[name] == value for name, value in wanted.items()):
            return row
    raise BackupError(path=path, where=table, rule="it holds no row of this list's newest sealing")


def _rows(reader: BackupReader, table: str) -> Iterator[rows.Values]:
    for member in reader.check().members:
        if member.table == table:
            for line in reader.lines(member):
                yield rows.parse_row(table, line)
