"""Each type of log entry in a plain sentence. No entry holds an arm, and neither does any of these.

A field that a reader may not see is left out of the sentence.
"""

from collections.abc import Callable, Mapping

from alloc_service.core.canon import Json

_HIDDEN = "…"

SENTENCES: Mapping[str, str] = {
    "trial.created": "began the log {origin}, for at most {cap} participants",
    "design.frozen": "froze the design of list {list} (hash {design_sha256})",
    "seed.committed": "took {party}'s commitment to a share of the seed of list {list}",
    "seed.deposited": "deposited {party}'s share of the seed with the escrow",
    "seed.announced": "announced the seed ceremony {ceremony} of list {list}",
    "seed.beacon": "took the public random value of the ceremony {ceremony}",
    "seed.revealed": "handed in {party}'s share for the ceremony {ceremony}, encrypted",
    "seed.aborted": "broke off the seed ceremony {ceremony} ({code})",
    "list.sealed": "sealed list {list} (root {root})",
    "list.approved": "approved list {list} (root regenerated and compared: {root_checked})",
    "list.activated": "activated list {list}",
    "list.resealed": "sealed list {list} anew (sealing {sealing})",
    "site.activated": "activated site {site}",
    "site.paused": "paused site {site}",
    "trial.paused": "paused the trial ({code})",
    "trial.resumed": "resumed the trial ({code})",
    "trial.closed": "closed the trial ({code})",
    "cap.changed": "changed the number of participants to at most {cap}",
    "slot.assigned": "assigned a slot to enrolment {enrolment}",
    "slot.reread": "looked again at the allocation of enrolment {enrolment}",
    "arms.read": "looked at the arms of all participants up to entry {upto} ({purpose})",
    "enrolment.restored": "entered enrolment {enrolment} again after a recovery",
    "allocation.refused": "was refused the allocation of enrolment {enrolment} ({code})",
    "design.read": "read the restricted design of list {list}",
    "log.exported": "exported the log up to entry {upto}",
    "list.regenerated": "regenerated list {list} (root equal: {root_equal})",
    "user.changed": "changed the account of {subject}",
    "grant.added": "gave {subject} the role {role} {site}",
    "grant.ended": "ended the role {role} {site} of {subject}",
    "key.created": "made a key",
    "key.rotated": "changed a key",
    "key.rewrapped": "wrapped the key of list {list} anew (sealing {sealing})",
    "clock.corrected": "set the log's time back from {from} to {to}",
    "log.recovered": "recovered the log up to entry {upto}; retired lists: {retired}",
    "rollback.detected": "noted a rollback: {expected} entries expected, {found} found",
    "witness.policy": "set the witnesses' part to {mode}; cosignatures needed: {quorum}",
    "gate.suspended": "let allocations go on without a witness until {until} ({code})",
    "gate.resumed": "ended the time without a witness",
    "drill.done": (
        "held a drill of the escrow of list {list} (root equal: {root_equal}, "
        "sealed slot opened: {blob_opened}, log verified: {log_verified})"
    ),
}


class _Fields(dict[str, object]):
    """The fields of a body; one that is not there reads as hidden."""

    def __missing__(self, key: str) -> str:
        return _HIDDEN


def describe(entry: Mapping[str, Json], say: Callable[[str], str] = str) -> str:
    """Return what an entry says, without who and when.

    Args:
        entry: As `alloc_service.services.reports.read_log` gives it.
        say: Translates a sentence before it is filled.
    """
    type_, body = str(entry["type"]), _body_of(entry)
    sentence = SENTENCES.get(type_)
    if sentence is None:
        return type_
    fields = {name: _word(value) for name, value in body.items()}
    return " ".join(say(sentence).format_map(_Fields(fields)).split())


def name_actor(entry: Mapping[str, Json]) -> str:
    """Return who made an entry: person, role, and a second person where there was one."""
    body = _body_of(entry)
    people = [body.get("actor"), body.get("second")]
    return " with ".join(
        f"{person['id']} ({person['role']}, {person['org']})"
        for person in people
        if isinstance(person, Mapping)
    )


def _body_of(entry: Mapping[str, Json]) -> Mapping[str, Json]:
    body = entry["body"]
    return body if isinstance(body, Mapping) else {}


def _word(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
