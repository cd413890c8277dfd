"""A witness at work: it reads what it saw, judges, keeps the new note, and only then answers.

What was seen last is the last note that was cosigned, in one file: size, root and both signatures
are kept or not kept together. It is read, compared and replaced under a lock that shuts out other
threads and processes, and it is on the disk before the answer leaves: whoever dies in between has
signed what nobody got, and signs nothing that contradicts it.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from alloc_service.errors import (
    NoteError,
    RefusalError,
    WitnessFolderError,
    WitnessOriginError,
)
from alloc_service.log.note import Checkpoint, Verifier, Witness, open_cosigned
from alloc_service.log.witness import (
    NOTHING_SEEN,
    PLAIN,
    AddCheckpoint,
    Answer,
    Seen,
    answer_refusal,
    judge,
    keep_cosigned,
)
from alloc_service.sealing.files import FileLock, read_file, replace_file
from alloc_service.sealing.witness_folder import (
    NOTHING_YET,
    note_path,
    open_key,
    read_logs,
    read_public,
)

_BROKEN = (
    "Never put an older copy in its place: the witness would sign a second history. Make a new "
    "witness in an empty folder, under a new name"
)
_DISK = "Free the disk or mend the file's rights, then ask again"


class WitnessedLog(NamedTuple):
    """A log as its witness knows it: its key, and the last note, "" before the first."""

    log: Verifier
    note: str
    checkpoint: Checkpoint | None


class WitnessDesk:
    """A witness with its key opened, ready to cosign.

    Args:
        folder: The witness's own.
        passphrase: What protects its key, or none.

    Raises:
        WitnessFolderError: There is no witness here.
        KeyFileError: The folder or its key is not as it must be.
    """

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        self._folder = folder
        self._witness: Witness = open_key(folder, passphrase)
        self._locks: dict[str, FileLock] = {}

    @property
    def verifier(self) -> Verifier:
        """Return the witness's public key."""
        return self._witness.verifier

    def answer(self, data: bytes, clock: Callable[[], int]) -> Answer:
        """Answer one `add-checkpoint`; what is cosigned is on the disk before this returns.

        Args:
            data: The request's body.
            clock: Gives seconds since 1970.
        """
        try:
            return Answer(200, PLAIN, self._cosign(AddCheckpoint.parse(data), clock))
        except RefusalError as error:
            return answer_refusal(error)

    def find_note(self, origin: str) -> str:
        """Return the last note that was cosigned of a log; "" where there is none.

        Raises:
            WitnessFolderError: What was seen is lost or damaged.
        """
        keys = read_logs(self._folder).get(origin)
        return "" if keys is None else _read_seen(self._folder, self.verifier, keys).note

    def origins(self) -> list[str]:
        """Return the logs that this witness follows."""
        return sorted(read_logs(self._folder))

    def _cosign(self, request: AddCheckpoint, clock: Callable[[], int]) -> str:
        origin = request.checkpoint.origin
        keys = read_logs(self._folder).get(origin)
        if keys is None:  # no file is made for what anybody may name
            raise WitnessOriginError(origin=origin)
        path = note_path(self._folder, origin)
        lock = self._locks.setdefault(origin, FileLock(path.with_suffix(".lock")))
        try:
            with lock.held():
                seen = _seen_in(self._folder, self.verifier, keys)
                checkpoint = judge(request, keys[-1], seen)
                line = self._witness.cosign(checkpoint.text, clock())
                replace_file(path, keep_cosigned(request.note, keys[-1], line).encode())
        except OSError as error:
            rule = f"the disk refused what must be kept: {error.strerror or 'an error'}"
            raise WitnessFolderError(path=path, rule=rule, remedy=_DISK) from None
        return line


def list_witnessed(folder: Path) -> list[WitnessedLog]:
    """Return what the witness of a folder has seen, by origin; its key stays closed.

    Raises:
        WitnessFolderError: There is no witness here, or what was seen is lost or damaged.
    """
    public = read_public(folder)
    return [_read_seen(folder, public, keys) for _, keys in sorted(read_logs(folder).items())]


def _seen_in(folder: Path, witness: Verifier, keys: tuple[Verifier, ...]) -> Seen:
    checkpoint = _read_seen(folder, witness, keys).checkpoint
    return NOTHING_SEEN if checkpoint is None else Seen(checkpoint.size, checkpoint.root)


def _read_seen(folder: Path, witness: Verifier, keys: tuple[Verifier, ...]) -> WitnessedLog:
    log = keys[-1]
    path = note_path(folder, log.name)
    try:
        data = read_file(path)
    except OSError as error:
        rule = f"what was seen of {log.name} cannot be read: {error.strerror or 'an error'}"
        raise WitnessFolderError(path=path, rule=rule, remedy=_DISK) from None
    if data is None:
        rule = f"what was seen of {log.name} is lost"
        raise WitnessFolderError(path=path, rule=rule, remedy=_BROKEN)
    if data == NOTHING_YET:
        return WitnessedLog(log, "", None)
    checkpoint = _open_seen(data, witness, keys)
    if checkpoint is None:
        rule = f"what was seen of {log.name} is damaged"
        raise WitnessFolderError(path=path, rule=rule, remedy=_BROKEN)
    return WitnessedLog(log, data.decode(), checkpoint)


def _open_seen(data: bytes, witness: Verifier, keys: tuple[Verifier, ...]) -> Checkpoint | None:
    """Return what was cosigned under one of a log's keys, or none where it is no such note."""
    for log in reversed(keys):
        with contextlib.suppress(UnicodeDecodeError, NoteError):
            checkpoint, cosigners = open_cosigned(data.decode("utf-8"), log, [witness])
            if witness.name in cosigners:
                return checkpoint
    return None
