"""All logs of an installation at once: shown to the sealer at each start, and how they stand."""

from collections.abc import Iterable

from alloc_service.errors import ConfigError, RefusalError
from alloc_service.services import audit, witnessed
from alloc_service.services.deps import Deps
from alloc_service.storage import queries


def start(deps: Deps) -> dict[str, RefusalError]:
    """Show the sealer every log as a whole, as at each start; return what it refused, by trial.

    A log is shown twice: whole, against the anchor's beginning, and from the anchor's end on,
    which alone tells a shorter log from an older read. Then the sealer is shown the last note of
    each witness of the trial that answers: this whole machine may have been put back to an older
    state, which nothing on it can tell.

    Raises:
        ConfigError: The logs are of another host than the settings name.
    """
    with deps.database.read() as session:
        stored = {trial.id: trial.origin for trial in queries.list_trials(session)}
    _require_host(deps, stored.values())
    trials = list(stored)
    refused: dict[str, RefusalError] = {}
    for trial_id in trials:
        try:
            if deps.sealer.status(audit.origin_of(deps.host, trial_id)).size:
                audit.show_log(deps, trial_id, 1, 0)
            audit.follow(deps, trial_id)
            witnessed.show_held(deps, trial_id)
        except RefusalError as error:
            refused[trial_id] = error
    return refused


def _require_host(deps: Deps, origins: Iterable[str]) -> None:
    for host in {origin.partition("/")[0] for origin in origins} - {deps.host}:
        rule = f"the logs in this database are of {host}, and the name of a log never changes"
        raise ConfigError(variable="ALLOC_HOST", rule=rule, example=host)


def check(deps: Deps) -> dict[str, str]:
    """Return, by trial, the code of what keeps it from growing now; empty where all are well.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with deps.database.read() as session:
        trials = [trial.id for trial in queries.list_trials(session)]
    problems = {}
    for trial_id in trials:
        # The status first: a log that grew meanwhile is only longer than the anchor.
        status = deps.sealer.status(audit.origin_of(deps.host, trial_id))
        try:
            with deps.database.read() as session:
                head = queries.read_log_head(session, trial_id)
                audit.require_well(session, trial_id, head, status)
        except RefusalError as error:
            problems[trial_id] = error.code
    return problems
