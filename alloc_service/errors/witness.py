"""Refusals around witnesses: what they answer, what is wrong in their folder, the gate."""

from alloc_service.errors.base import (
    AccessError,
    InputError,
    IntegrityError,
    OperationError,
    StateError,
)


class WitnessRequestError(InputError):
    """A request to a witness is not spelled as `add-checkpoint`."""

    code = "witness-request"
    text = "The witness did not understand the request: {rule}."


class WitnessOriginError(InputError):
    """A witness was asked about a log that it does not follow."""

    code = "witness-origin"
    text = (
        "This witness does not follow the log {origin}. Whoever keeps the witness adds its key "
        "with `alloc witness add-log`."
    )


class WitnessSignatureError(AccessError):
    """A checkpoint that a witness was shown is not signed by its log."""

    code = "witness-signature"
    text = "The witness signed nothing: {rule}."


class WitnessConflictError(StateError):
    """A witness was asked from another size than the one that it has seen."""

    code = "witness-conflict"
    text = (
        "The witness signed nothing: it has seen {size} entries of this log, with a root of its "
        "own, and was asked from another size or for another root."
    )


class WitnessProofError(IntegrityError):
    """The proof that a log only grew does not hold."""

    code = "witness-proof"
    text = (
        "The witness signed nothing: {rule}. The log that it is shown does not continue the one "
        "that it has seen."
    )


class WitnessFolderError(OperationError):
    """The folder of a witness cannot be used as it is."""

    code = "witness-folder"
    text = "{path}: {rule}. The witness signed nothing. {remedy}."


class WitnessSilentError(OperationError):
    """A witness gave no answer that can be used."""

    code = "witness-silent"
    text = "The witness at {url} gave no answer that can be used: {rule}."


class WitnessPlaceError(InputError):
    """A witness's public key or address is not spelled as one."""

    code = "witness-place"
    text = "The witness {name} was refused: {rule}."


class WitnessNoteError(InputError):
    """A witness's response is not of this trial's witnesses, or not of this log."""

    code = "witness-response"
    text = "The response of the witness was refused: {rule}."


class NoWitnessError(StateError):
    """The trial has no such witness, or none at all."""

    code = "no-witness"
    text = "Trial {trial}: {rule}."


class GateClosedError(OperationError):
    """Nothing opens before the trial's witnesses have cosigned the log."""

    code = "gate-closed"
    text = (
        "This waits for the trial's witness: {rule}. Nothing is lost: what was assigned is logged "
        "and stays. Ask again in a few minutes; the same slot is opened, never another. If it "
        "lasts, call the data monitoring committee or the trial manager: with a second person "
        "they can let allocations go on without a witness for a time."
    )


class WitnessAheadError(StateError):
    """A witness has seen more of the log than a recovery would give back."""

    code = "witness-ahead"
    text = (
        "Nothing was recovered: the witness {witness} has seen {seen} entries of this log, and "
        "what would be given back is not that log. Bring the sealer's newest anchor to this host "
        "and recover from that. Where it is lost for ever this log cannot go on: keep everything "
        "as evidence, and ask the data monitoring committee."
    )


class WitnessUnheardError(OperationError):
    """Too few witnesses said what they have seen, so a recovery could go below it."""

    code = "witness-unheard"
    text = (
        "Nothing was recovered: what {unheard} has seen of this log is not known, and at least "
        "{needed} of its witnesses must say it. Mend the connection, or take a witness's last "
        "note to this host as a file: `alloc sealer recover --seen FILE`."
    )
