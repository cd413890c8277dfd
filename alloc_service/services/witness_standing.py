"""How a trial's witnesses stand: who they are, how far they have seen, what waits for them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from alloc_service.log.entry import Entry, format_time
from alloc_service.log.note import Verifier
from alloc_service.log.state import LogState, WitnessPolicy
from alloc_service.log.words import name_actor
from alloc_service.permissions import Action
from alloc_service.services import accounts, audit, reports
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.transactions import Reading


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """One witness.

    Attributes:
        key: Its public key.
        url: Where it answers, or "".
        size: Entries of the largest checkpoint of which its cosignature is stored, or 0.
    """

    key: Verifier
    url: str
    size: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a trial's witnesses stand.

    Attributes:
        mode: off, follow or gate.
        quorum: How many must cosign.
        witnesses: In the order of the policy.
        entries: Of the log.
        cosigned: Entries that a quorum has confirmed.
        suspended_until: Until when nothing waits for them, as the log writes it, or "".
        suspended_by: Who let it go on without them: two people, or "".
        suspended_code: Their reason code, or "".
    """

    mode: str
    quorum: int
    witnesses: tuple[WitnessStanding, ...]
    entries: int
    cosigned: int
    suspended_until: str = ""
    suspended_by: str = ""
    suspended_code: str = ""

    @property
    def behind(self) -> int:
        """Return how many entries of the log no quorum has confirmed yet."""
        return self.entries - self.cosigned


class Watch:
    """Sees the entries of a log as they are folded, and keeps who suspended the gate last."""

    def __init__(self) -> None:
        self.suspension: Entry | None = None

    def __call__(self, entry: Entry) -> None:
        """Look at one entry."""
        if entry.type == "gate.suspended":
            self.suspension = entry


def read_standing(deps: Deps, person: Person, trial_id: str) -> Standing:
    """Return how a trial's witnesses stand.

    Raises:
        NotAllowedError: The person has no role for it.
        LogDamagedError: The stored log does not fold.
    """
    with deps.database.read() as session:
        accounts.require(session, person, Action.CHANGE_WITNESSES, trial_id)
        watch = Watch()
        return describe(deps, session, trial_id, audit.read_state(session, trial_id, watch), watch)


def glance(deps: Deps, person: Person, trial_id: str) -> Standing | None:
    """Return how a trial's witnesses stand for a reader of its whole log; none for others.

    Without any witness the log is not read for it.

    Raises:
        LogDamagedError: The stored log does not fold.
    """
    with deps.database.read() as session:
        if not accounts.may(session, person, Action.READ_LOG, trial_id):
            return None
        if not queries.list_witness_addresses(session, trial_id):
            entries = queries.read_log_head(session, trial_id).size
            return Standing("off", 0, (), entries, 0)
        watch = Watch()
        return describe(deps, session, trial_id, audit.read_state(session, trial_id, watch), watch)


def describe(
    deps: Deps, session: Reading, trial_id: str, state: LogState, watch: Watch
) -> Standing:
    """Return how the witnesses of a trial stand whose log means this."""
    policy, urls = state.policy, queries.list_witness_addresses(session, trial_id)
    sizes = queries.list_cosigned_sizes(session, trial_id)
    suspended, until = "", state.gate_suspended_until
    if watch.suspension is not None and format_time(deps.clock()) < until:
        suspended = name_actor(reports.show_entry(watch.suspension))
    return Standing(
        mode=policy.mode,
        quorum=policy.quorum,
        witnesses=tuple(
            WitnessStanding(key, urls.get(key.name, ""), sizes.get(key.name, 0))
            for key in policy.witnesses
        ),
        entries=state.size,
        cosigned=_find_cosigned(session, trial_id, policy, sizes),
        suspended_until=until if suspended else "",
        suspended_by=suspended,
        suspended_code=watch.suspension.body["code"] if suspended and watch.suspension else "",
    )


def _find_cosigned(
    session: Reading, trial_id: str, policy: WitnessPolicy, sizes: Mapping[str, int]
) -> int:
    """Return the largest size whose checkpoint a quorum has cosigned."""
    names = {key.name for key in policy.witnesses}
    if not policy.quorum or sum(name in sizes for name in names) < policy.quorum:
        return 0
    rows = queries.list_cosignatures(session, trial_id)
    counts = Counter(row.size for row in rows if row.name in names)
    return max((size for size, count in counts.items() if count >= policy.quorum), default=0)
