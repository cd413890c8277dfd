"""`alloc status`: how the installation stands, in a few lines."""

from alloc_service.cli import screen
from alloc_service.cli.command import as_json, command, refuse
from alloc_service.cli.log_witnesses import describe_standing, standing_to_json
from alloc_service.cli.opening import open_service
from alloc_service.core.canon import Json
from alloc_service.services.installation import ServiceStatus, TrialStatus, service_status


@command("status", "alloc status\nalloc status --json")
@as_json
def status_command(as_json: bool) -> None:
    """Show how this installation stands: keys, database, and each trial's log and sealer.

    Nothing of any participant is shown, so nobody is asked who they are. The exit code is 1
    where a trial cannot go on.
    """
    status = service_status(open_service())
    if as_json:
        screen.emit(to_json(status))
    else:
        _show(status)
    if not status.is_well:
        refuse()


def to_json(status: ServiceStatus) -> Json:
    """Return a status as JSON."""
    return {
        "database": status.database,
        "host": status.host,
        "kid": status.kid,
        "schema": status.schema,
        "sealing_key": status.sealing_key,
        "trials": [trial_to_json(trial) for trial in status.trials],
        "well": status.is_well,
    }


def trial_to_json(trial: TrialStatus) -> Json:
    """Return one trial's part of it."""
    return {
        "blocked": trial.sealer.blocked,
        "entries": trial.entries,
        "followed": trial.sealer.size,
        "frozen": trial.sealer.frozen,
        "lists": [{"list": number, "state": state} for number, state in trial.lists],
        "origin": trial.origin,
        "state": trial.state,
        "trial": trial.trial,
        "trouble": trial.trouble,
        "unwritable": trial.sealer.unwritable,
        "vkey": trial.vkey,
        "witnesses": None if trial.witnesses is None else standing_to_json(trial.witnesses),
    }


def _show(status: ServiceStatus) -> None:
    screen.facts(
        (
            ("Host", status.host),
            ("Database", status.database),
            ("Schema", status.schema),
            ("Sealing key", status.sealing_key),
        )
    )
    screen.title("Trials" if status.trials else "No trial yet: `alloc trial create`.")
    rows = [
        (
            trial.trial or "(not in the database)",
            trial.state,
            ", ".join(f"{number} {state}" for number, state in trial.lists) or "none",
            str(trial.entries),
            str(trial.sealer.size),
            "well" if not trial.trouble else "STANDS STILL",
        )
        for trial in status.trials
    ]
    if rows:
        screen.table(("Trial", "State", "Lists", "Log", "Followed", "Sealer"), rows)
    for trial in status.trials:
        if trial.witnesses is not None and trial.witnesses.mode != "off":
            screen.say(f"{trial.trial}: {describe_standing(trial.witnesses)}")
        if trial.trouble:
            screen.warn(f"{trial.trial or trial.origin}: {trial.trouble}")
