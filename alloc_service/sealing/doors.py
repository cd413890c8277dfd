"""The two ends of the sealer's Unix socket: where it may lie, who is there, and whole frames.

The folder of the socket is of the user who listens, and nobody else can write in it: so nobody
can put another socket in its place, and whoever connects can tell by the folder's owner that it
is the sealer who answers. Who connects is told by the system (SO_PEERCRED), not by them.

A frame is received within a deadline, however slowly its bytes come, and is refused by its
length before any of it is kept.
"""

import contextlib
import os
import socket
import stat
import struct
import time
from pathlib import Path

from alloc_service.errors import SealerSocketError
from alloc_service.sealing.folder import command
from alloc_service.sealing.wire import LARGEST_FRAME, FrameError

LONGEST_PATH = 107  # the system's own limit for the name of a Unix socket
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")
_WAITING = 64


def listen(path: Path, mode: int) -> socket.socket:
    """Return a socket that listens at a path; one that an ended sealer left is taken away.

    Args:
        path: Where; its folder is of this user, and of nobody else to write in.
        mode: Of the socket.

    Raises:
        SealerSocketError: The folder is not so, something else lies there, or somebody listens.
    """
    require_folder(path, os.geteuid())
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise _refuse(path, f"the system refused it ({error.strerror})") from None
    return listener


def require_folder(path: Path, owner: int | None = None) -> int:
    """Check that nobody but its owner can put a socket at a path; return the owner's user id.

    Args:
        path: The socket's.
        owner: Who must own the folder; anybody, if none is given.

    Raises:
        SealerSocketError: The folder is a link, another's, or open for others to write in, or the
            path is too long.
    """
    folder = path.parent
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise _refuse(path, f"a path of a socket has at most {LONGEST_PATH} bytes")
    try:
        found = folder.lstat()
    except OSError as error:
        raise _refuse(path, f"its folder cannot be looked at ({error.strerror})") from None
    if not stat.S_ISDIR(found.st_mode):
        raise _refuse(path, "its folder is a symbolic link or no folder")
    if owner is not None and found.st_uid != owner:
        rule = f"its folder belongs to user id {found.st_uid}, and the sealer runs as {owner}"
        raise _refuse(path, rule, command("chown", owner, folder))
    if found.st_mode & 0o022:
        rule = "others can write in its folder, and put another socket there"
        raise _refuse(path, rule, command("chmod", "go-w", folder))
    return found.st_uid


def peer_of(connection: socket.socket) -> int:
    """Return the user id of whoever is at the other end."""
    size = _CREDENTIALS.size
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(_CREDENTIALS.unpack(found)[1])


def send(connection: socket.socket, data: bytes, deadline: float) -> None:
    """Send one frame.

    Raises:
        OSError: The other end has gone.
        TimeoutError: It does not read; the deadline is over.
    """
    _set_deadline(connection, deadline)
    connection.sendall(_LENGTH.pack(len(data)) + data)


def exchange(connection: socket.socket, data: bytes, deadline: float) -> bytes:
    """Send one frame and return the one that answers it.

    Raises:
        FrameError, OSError, TimeoutError: As `send` and `receive`.
    """
    with contextlib.suppress(ConnectionError):  # why it hung up may be there to read
        send(connection, data, deadline)
    return receive(connection, deadline)


def receive(connection: socket.socket, deadline: float) -> bytes:
    """Receive one frame.

    Args:
        connection: From whom.
        deadline: On the monotonic clock; for the frame as a whole.

    Raises:
        FrameError: It is longer than a frame may be, or broke off.
        OSError: The other end has gone.
        TimeoutError: The deadline is over.
    """
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, deadline))
    if length > LARGEST_FRAME:
        raise FrameError(f"a frame of {length} bytes, and the largest has {LARGEST_FRAME}")
    return _receive(connection, length, deadline)


def _receive(connection: socket.socket, wanted: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < wanted:
        _set_deadline(connection, deadline)
        part = connection.recv(min(wanted - len(data), 65_536))
        if not part:
            raise FrameError("the frame broke off")
        data += part
    return bytes(data)


def _set_deadline(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _clear(path: Path) -> None:
    """Take away a socket at which nobody listens any more."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _refuse(path, "something else lies there", command("ls", "-l", path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
            try:
                tried.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        rule, look = "a sealer listens there already", "systemctl status alloc-sealer"
        raise _refuse(path, rule, look)


def _refuse(path: Path, rule: str, mend: str = "") -> SealerSocketError:
    remedy = f"Run `{mend}`" if mend else "Name another place in ALLOC_SEALER_SOCKET"
    return SealerSocketError(path=path, rule=rule, remedy=remedy)
