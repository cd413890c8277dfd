"""The register: every origin that was ever followed here, and the keys it was followed with.

It is made once, with the keys, beside no anchors, and is fsynced before any anchor is made. It
only grows. A missing register beside existing keys stops the start, for then nobody could tell
an anchor that was removed from a trial that never had one.
"""

import contextlib
from pathlib import Path

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import CanonError, RegisterError
from alloc_service.sealing.files import (
    FileLock,
    append_line,
    make_private_directory,
    read_file,
    refusing_disk_errors,
    replace_file,
    require_private_directory,
)

FORMAT = "rac-anchor/1"


class Register:
    """The origins that were ever followed here, and the sealing keys they were followed with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / "register"
        self._lock = FileLock(directory / "register.lock")

    @classmethod
    def create(cls, directory: Path, kid: str) -> "Register":
        """Make an empty register beside no anchors, when the keys are made.

        Raises:
            RegisterError: There is a register already, or anchors without one.
            AnchorsExposedError: The directory is there, and others can reach it.
            AnchorWriteError: The disk refused it.
        """
        make_private_directory(directory)
        register = cls(directory)
        with refusing_disk_errors(register._path), register._lock.held():
            if read_file(register._path) is not None:
                raise RegisterError(path=register._path, rule="there is one already; keep it")
            if any(directory.glob("*.anchor")):
                raise RegisterError(path=register._path, rule="it is missing beside anchors")
            replace_file(register._path, canon({"format": FORMAT, "kid": kid}) + b"\n")
        return register

    def check(self, *kids: str) -> None:
        """Check at start that this register belongs to these keys, the current one and older.

        Raises:
            RegisterError: It is missing, damaged, or of other keys.
            AnchorsExposedError: Others can reach its directory.
        """
        if not {row.get("kid") for row in self._rows()}.intersection(kids):
            raise RegisterError(
                path=self._path, rule=f"the sealing key {', '.join(kids)} is not in it"
            )
        require_private_directory(self.directory)

    def add_kid(self, kid: str) -> None:
        """Add a sealing key when keys are rotated; nothing where it is there already.

        Raises:
            AnchorWriteError: The disk refused it.
        """
        with refusing_disk_errors(self._path), self._lock.held():
            if kid not in {row.get("kid") for row in self._rows()}:
                append_line(self._path, canon({"kid": kid}))

    def origins(self) -> list[str]:
        """Return every registered origin, in the order of registration."""
        return [str(row["origin"]) for row in self._rows() if "origin" in row]

    def add_origin(self, origin: str) -> None:
        """Register an origin, durably, before its anchor is made.

        Raises:
            RegisterError: It is registered already.
            AnchorWriteError: The disk refused it, and it is not registered.
        """
        with refusing_disk_errors(self._path), self._lock.held():
            if origin in self.origins():
                raise RegisterError(path=self._path, rule=f"{origin} is registered already")
            before = read_file(self._path) or b""
            try:
                append_line(self._path, canon({"origin": origin}))
            except OSError:
                # Renamed, but not known to be durable: without an anchor it would freeze a
                # trial that has not begun.
                with contextlib.suppress(OSError):
                    replace_file(self._path, before)
                raise

    def _rows(self) -> list[dict[str, Json]]:
        try:
            data = read_file(self._path)
        except OSError as error:
            raise RegisterError(
                path=self._path, rule=f"it cannot be read ({error.strerror})"
            ) from None
        if not data:
            raise RegisterError(path=self._path, rule="it is missing beside existing keys")
        try:
            rows = [parse_object(line, "register") for line in data[:-1].split(b"\n")]
        except CanonError as error:
            raise RegisterError(path=self._path, rule=str(error)) from None
        if rows[0].get("format") != FORMAT or not data.endswith(b"\n"):
            raise RegisterError(path=self._path, rule=f"it is not whole, or not {FORMAT}")
        return rows
