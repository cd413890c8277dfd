"""What a sealer is shown in the place of the true log, or after it."""

from alloc_service.core.canon import Json, canon, parse_object
from tests.support.sealed_trial import ORIGIN, SealedTrial, TrialLog


def altered(data: bytes, **changes: Json) -> bytes:
    """Return the canonical bytes of an entry with other values in its frame."""
    return canon({**parse_object(data), **changes})


def rewritten(trial: SealedTrial, size: int, new: int) -> TrialLog:
    """Return the log of a restored backup that has grown again by other entries."""
    log = trial.log.restored(size)
    for number in range(new):
        log.add("site.activated", {"site": f"after-the-restore-{number}"})
    return log


def show(trial: SealedTrial, *more: bytes) -> str:
    """Follow the log with something after it that the service's own fold would refuse."""
    since = trial.status.size
    return trial.sealer.follow(ORIGIN, since, [*trial.log.entries[since - 1 :], *more])


def refused_by_the_rules(trial: SealedTrial) -> bytes:
    """Return a next entry that pauses a site that is not active."""
    return trial.log.write("site.paused", {"site": "never-activated"}).data
