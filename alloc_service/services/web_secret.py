"""The secret of the pages: what their cookies and second factors are kept with.

It is a file of its own, 64 hexadecimal digits and a line end, of mode 0600 and of the user that
serves the pages, so that this user needs no key of the sealer. An installation that was made
before there was such a file derives it from the signing key, as long as both are in one process;
`make` writes that same secret down, so that nobody is signed out and no second factor is lost
when the sealer moves to a process of its own or its signing key is changed.
"""

import os
import re
import secrets
import stat
from pathlib import Path

from alloc_service.errors import WebSecretError
from alloc_service.sealing.files import (
    DIRECTORY_MODE,
    open_file,
    refusing_disk_errors,
    replace_file,
)
from alloc_service.sealing.folder import command
from alloc_service.sealing.keys import ServerKeys

_LABEL = "rac-web/1"
_SPELLING = re.compile(rb"([0-9a-f]{64})\n")
_MAKES = "alloc web-secret"


def find(path: Path, keys: ServerKeys) -> bytes:
    """Return the secret of the file, or where there is none the one that the keys give.

    Raises:
        WebSecretError: The file is open to others, or holds no secret.
    """
    return read(path) if os.path.lexists(path) else keys.derive(_LABEL)


def read(path: Path) -> bytes:
    """Return the secret of the file.

    Raises:
        WebSecretError: It is missing, open to others, another user's, or holds no secret.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except OSError as error:
        rule = f"it cannot be read ({error.strerror})"
        raise WebSecretError(path=path, rule=rule, command=_MAKES) from None
    try:
        _require_private(path, os.fstat(descriptor))
        data = os.read(descriptor, 100)
    finally:
        os.close(descriptor)
    match = _SPELLING.fullmatch(data)
    if match is None:
        rule = "it does not hold 64 hexadecimal digits and a line end"
        raise WebSecretError(path=path, rule=rule, command=command("ls", "-l", path))
    return bytes.fromhex(match[1].decode())


def make(path: Path, keys: ServerKeys | None = None) -> bool:
    """Write the secret down, durably, where it is not written yet; tell whether it was not.

    Args:
        path: The file; its folder is made, 0700, if it is not there.
        keys: What it was derived from up to now; none for a fresh one.

    Raises:
        AnchorWriteError: The disk refused it.
        WebSecretError: Something else lies there.
    """
    if os.path.lexists(path):
        read(path)
        return False
    secret = secrets.token_bytes(32) if keys is None else keys.derive(_LABEL)
    with refusing_disk_errors(path):
        path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
        replace_file(path, f"{secret.hex()}\n".encode())
    return True


def _require_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise WebSecretError(path=path, rule="it is no file", command=command("ls", "-l", path))
    if found.st_uid != os.geteuid():
        mend = command("chown", os.geteuid(), path)
        raise WebSecretError(path=path, rule="it belongs to another user", command=mend)
    if found.st_mode & 0o077:
        mend = command("chmod", "0600", path)
        raise WebSecretError(path=path, rule="others may read or write it", command=mend)
