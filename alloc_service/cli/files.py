"""Files that are handed in, and files that are written: never over another one."""

import codecs
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from alloc_service.errors import InputFileError, OutputFileError, RefusalError

LARGEST_INPUT = 1_048_576
PRIVATE = 0o600

_MARK = codecs.BOM_UTF8


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
        InputFileError: It cannot be read, or is no text in UTF-8; the text names the first byte
            that is wrong, from 0, and never what stands there.
    """
    data = read_file(path, most)
    if data.startswith(_MARK):
        rule = "at byte 0 it begins with a byte order mark: save it as UTF-8 without one"
        raise InputFileError(path=path, rule=rule)
    at = -1
    try:
        text = data.decode("utf-8")
        at = len(text.partition("\0")[0].encode()) if "\0" in text else -1
    except UnicodeDecodeError as error:
        at = error.start
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        rule = f"it must be text in UTF-8, and byte {at}, in line {line}, is none"
        raise InputFileError(path=path, rule=rule)
    return text


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add a file's name to a refusal of what it holds, where the refusal does not say it."""
    try:
        yield
    except RefusalError as error:
        if path.name not in str(error):
            error.add_note(f"It is in {path}.")
        raise


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
