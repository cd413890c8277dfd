"""`rac-unlock/1`: the passphrase for a locked sealer, over a socket of its own.

It lies beside the sealer's socket, with `.unlock` after the name, has mode 0600, and answers the
sealer's own user and root alone. Frames are those of `rac-sealer/1`:

    {"passphrase":TEXT,"v":"rac-unlock/1"}          →  {"answer":{},"v":"rac-sealer/1"}
"""

import socket
import time
from pathlib import Path

from alloc_service.core.canon import canon, parse_object
from alloc_service.errors import CanonError, SealerUnreachableError
from alloc_service.sealing import doors, wire
from alloc_service.sealing.wire import FrameError

VERSION = "rac-unlock/1"
PATIENCE = 60.0  # scrypt is meant to take long, once for each key


def unlock_path(path: Path) -> Path:
    """Return where the passphrase is taken, of a sealer whose socket is at a path."""
    return path.with_name(path.name + ".unlock")


def read_unlock(data: bytes) -> str:
    """Return the passphrase of a message.

    Raises:
        FrameError: It is no such message; what it holds is not repeated.
    """
    try:
        document = parse_object(data, "the message")
    except CanonError:
        document = {}
    passphrase = document.get("passphrase")
    if not isinstance(passphrase, str) or document != {"passphrase": passphrase, "v": VERSION}:
        raise FrameError(f"it is not spelled as {VERSION}")
    return passphrase


def unlock(path: Path, passphrase: str) -> None:
    """Give the sealer whose socket is at a path its passphrase.

    Raises:
        KeysPassphraseError: It does not open the keys; the sealer stays locked.
        SealerUnreachableError: No sealer of this user takes a passphrase there.
        SealerSocketError: The folder is open to others.
    """
    door = unlock_path(path)
    owner = doors.require_folder(door)
    deadline = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(door))
            if doors.peer_of(connection) != owner:
                raise SealerUnreachableError(path=door, reason="another user listens there")
            data = canon({"passphrase": passphrase, "v": VERSION})
            wire.read_done(doors.exchange(connection, data, deadline))
        except (OSError, FrameError) as error:
            raise SealerUnreachableError(path=door, reason=error) from None
