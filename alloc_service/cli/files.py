"""Files that are handed in, and files that are written: never over another one."""

import os
from pathlib import Path

from alloc_service.errors import InputFileError, OutputFileError

LARGEST_INPUT = 1_048_576
PRIVATE = 0o600


def read_file(path: Path, most: int = LARGEST_INPUT) -> bytes:
    """Return the bytes of a file that was handed in.

    Raises:
        InputFileError: It cannot be read, or is larger than anything that is meant.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputFileError(path=path, rule=_reason(error, "read")) from None
    if len(data) > most:
        raise InputFileError(path=path, rule=f"it is larger than {most:,} bytes")
    return data


def read_text(path: Path, most: int = LARGEST_INPUT) -> str:
    """Return the text of a file that was handed in.

    Raises:
        InputFileError: It cannot be read, or is no text in UTF-8.
    """
    try:
        return read_file(path, most).decode("utf-8")
    except UnicodeDecodeError:
        raise InputFileError(path=path, rule="it must be text in UTF-8") from None


def require_free(path: Path) -> None:
    """Refuse a path where something lies, before what would be written there is made.

    Raises:
        OutputFileError: It is taken, or its folder is not there.
    """
    if os.path.lexists(path):
        raise OutputFileError(path=path, reason="a file of this name is there")
    if not path.absolute().parent.is_dir():
        raise OutputFileError(path=path, reason="there is no such folder")


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, durably, that its owner alone can read.

    Raises:
        OutputFileError: The path is taken or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, PRIVATE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputFileError(path=path, reason=_reason(error, "written")) from None


def make_folder(path: Path) -> None:
    """Make a folder that its owner alone can enter; leave one that is there.

    Raises:
        OutputFileError: It cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputFileError(path=path, reason=_reason(error, "made")) from None


def _reason(error: OSError, verb: str) -> str:
    return (error.strerror or f"it cannot be {verb}").lower()
