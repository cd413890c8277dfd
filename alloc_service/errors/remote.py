"""Refusals of a sealer that runs as a process of its own: its socket, its lock, its host."""

from alloc_service.errors.base import OperationError, StateError


class SealerUnreachableError(OperationError):
    """Nobody answers on the sealer's socket, or the answer broke off."""

    code = "sealer-unreachable"
    text = (
        "The sealer does not answer at {path}: {reason}. Nothing was shown. Start it on its host "
        "(`systemctl restart alloc-sealer`), then try again: the same enrolment gets the same slot."
    )


class SealerLockedError(OperationError):
    """The sealer runs, and has not been given the passphrase of its keys."""

    code = "sealer-locked"
    text = (
        "The sealer is locked: it waits for the passphrase of its keys. Nothing is appended and "
        "nothing is opened until whoever keeps it runs `alloc sealer unlock` on its host."
    )


class SealerBusyError(OperationError):
    """As many as the sealer serves at once are being served."""

    code = "sealer-busy"
    text = (
        "The sealer is serving {most} requests already, and takes no more at once. Nothing was "
        "shown. Try again in a moment: the same enrolment gets the same slot."
    )


class SealerAnswerError(OperationError):
    """What answered on the socket does not speak as the sealer of this version does."""

    code = "sealer-answer"
    text = (
        "What answers at {path} is not the sealer of this version: {rule}. Nothing was shown. "
        "Install the same version on both sides and restart both."
    )


class SealerFaultError(OperationError):
    """The sealer's program failed; what it was at is told nowhere."""

    code = "sealer-fault"
    text = (
        "The sealer failed at this (reference {reference}). Nothing was shown. Try again: the "
        "same enrolment gets the same slot. Its own log names the place for whoever mends it."
    )


class SealerPeerError(OperationError):
    """A user whom the sealer does not serve has connected."""

    code = "sealer-peer"
    text = (
        "This sealer serves the user id {allowed} alone, and was asked by {uid}. Run this as that "
        "user, or start the sealer with `--for-user`."
    )


class SealerHostError(StateError):
    """Something that is done on the sealer's host alone, never over its socket."""

    code = "sealer-host-only"
    text = (
        "The sealer runs as a process of its own, and this is done on its host alone. Whoever "
        "keeps it runs `{command}` there, as the sealer's user."
    )


class DesignAtHostError(SealerHostError):
    """A frozen design that the sealer opens on its host, so that its ceremony can be finished."""

    code = "design-at-host"
    text = (
        "Every share fits, and your look at the design is logged. The sealer runs as a process of "
        "its own and opens a design on its host alone: whoever keeps it runs `{command}` there, as "
        "the sealer's user, and gives you what it writes. Then finish the ceremony once more, "
        "with that file as its design."
    )


class SealerSocketError(OperationError):
    """The socket, or the folder that it lies in, is not as it must be."""

    code = "sealer-socket"
    text = "The sealer's socket {path}: {rule}. {remedy}."


class WebSecretError(OperationError):
    """The file with the secret of the pages is missing, open to others, or is no secret."""

    code = "web-secret"
    text = "The secret of the pages, {path}: {rule}. Run `{command}`."
