"""The file of a backup, `rac-backup/1`: a ZIP archive that says what it holds.

Its members are stored, not compressed, and dated 1980-01-01:

    trial-0001.ndjson, account-0001.ndjson, …     every table, in the order of `rows.ORDER`
    MANIFEST.json                                 the last one

A table's rows are lines of canonical JSON (`alloc_service.storage.rows`), each ended by LF, in an
order in which the append-only guards take them back. A long table goes on in -0002, -0003, …: a
member ends with the row with which it reaches 16 MiB. An empty table has one empty member. The
manifest is canonical JSON:

    {"format":"rac-backup/1","members":[{"name":"trial-0001.ndjson","rows":n,"sha256":HEX32,
     "size":bytes,"table":"trial"},… in the order of the archive],"schema":"0001"}

Nothing in it depends on the kind of database or on the hour: the same state gives the same bytes.
SHA-256 of the manifest names a backup with every byte of its rows.

A reader takes nothing on trust: no member is compressed, missing, doubled or not named, none is
larger than 32 MiB, all of them together are no larger than the file, and each has its hash. So no
file, however made, needs more memory than a member does.
"""

import errno
import hashlib
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from alloc_service.core.archive import BROKEN_ZIP
from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.errors import BackupError, BackupFileError, BackupVersionError, CanonError
from alloc_service.sealing.files import sync_directory
from alloc_service.storage import rows, schema

FORMAT = "rac-backup/1"
MANIFEST = "MANIFEST.json"

# A member ends with the row with which it reaches this, so it can be larger by one row.
MEMBER_BYTES = 16 * 2**20
_LARGEST_MEMBER = MEMBER_BYTES + rows.LONGEST_LINE
_END, _END_BYTES = b"PK\x05\x06", 22  # the last record of an archive without a comment
_LARGEST_MANIFEST = 4 * 2**20  # names members of hundreds of gigabytes
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a backup, as its manifest names it.

    Attributes:
        name: In the archive.
        table: Whose rows it holds.
        rows: How many.
        size: Bytes.
        sha256: Of those bytes, HEX32.
    """

    name: str
    table: str
    rows: int
    size: int
    sha256: str

    def to_json(self) -> Mapping[str, Json]:
        """Return its object in the manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds.

    Attributes:
        path: Where it is.
        schema: Version of the tables.
        members: In the order of the archive; the manifest is not among them.
        sha256: Of the manifest, HEX32: it names this backup, with every byte of its rows.
    """

    path: Path
    schema: str
    members: tuple[Member, ...]
    sha256: str

    @property
    def rows(self) -> int:
        """Return the number of rows of all tables together."""
        return sum(member.rows for member in self.members)

    @property
    def tables(self) -> Mapping[str, int]:
        """Return the number of rows of each table, in the order of the archive."""
        counted = dict.fromkeys((member.table for member in self.members), 0)
        for member in self.members:
            counted[member.table] += member.rows
        return counted


class BackupWriter:
    """Writes the members of a new backup, each of which is in memory once."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._members: list[Member] = []

    def add(self, table: str, number: int, lines: Sequence[bytes]) -> None:
        """Add a member of a table: its rows' lines, each ended by LF.

        Args:
            table: Tables come in the order of `rows.ORDER`.
            number: Counts the table's members from 1.
            lines: None in the one member of an empty table.
        """
        data = b"".join(lines)
        digest = hashlib.sha256(data).hexdigest()
        member = Member(_name(table, number), table, len(lines), len(data), digest)
        self._members.append(member)
        self._archive.writestr(_entry(member.name), data)

    def finish(self) -> BackupReport:
        """Add the manifest, after which nothing more is added."""
        named: list[Json] = [member.to_json() for member in self._members]
        version = schema.expected()
        manifest = canon({"format": FORMAT, "members": named, "schema": version})
        self._archive.writestr(_entry(MANIFEST), manifest)
        digest = hashlib.sha256(manifest).hexdigest()
        return BackupReport(self._path, version, tuple(self._members), digest)


@contextmanager
def new_backup(path: Path) -> Iterator[BackupWriter]:
    """Begin a backup that appears under its name when all of it is on disk, or not at all.

    Raises:
        BackupFileError: The path is taken or cannot be written; nothing is left there.
    """
    try:
        with _new_file(path) as file, zipfile.ZipFile(file, "w") as archive:
            yield BackupWriter(path, archive)
    except OSError as error:
        raise _file_error(path, error) from None


class BackupReader:
    """An open backup, of which nothing is believed before `check` has returned.

    Raises:
        BackupError: It is no ZIP archive.
        BackupFileError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._refusing("the file"):
            self._archive = zipfile.ZipFile(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._archive.close()

    def check(self) -> BackupReport:
        """Check every name, size and hash; return what the backup holds.

        Raises:
            BackupError: Something is wrong, or is not there; the text names the member.
            BackupVersionError: It is of another schema version than this program.
            BackupFileError: The file cannot be read.
        """
        *entries, last = self._archive.infolist() or [zipfile.ZipInfo()]
        if last.filename != MANIFEST:
            raise self._refusal(MANIFEST, "it is not the last member")
        self._require_nothing_around(min(entry.header_offset for entry in (*entries, last)))
        report = self._read_manifest(self._read(last, _LARGEST_MANIFEST))
        self._require_members([entry.filename for entry in entries], report)
        for member in report.members:
            self.lines(member)
        return report

    def lines(self, member: Member) -> list[bytes]:
        """Return the lines of a member without their LF, after size and hash were compared.

        Raises:
            BackupError: It is not what the manifest says.
            BackupFileError: The file cannot be read.
        """
        data = self._read(self._archive.getinfo(member.name), member.size)
        if (len(data), hashlib.sha256(data).hexdigest()) != (member.size, member.sha256):
            raise self._refusal(member.name, "its bytes are not those that the manifest names")
        *lines, rest = data.split(b"\n")
        if rest or len(lines) != member.rows:
            raise self._refusal(member.name, "it has not as many lines as the manifest says")
        return lines

    def _read(self, entry: zipfile.ZipInfo, most: int) -> bytes:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise self._refusal(entry.filename, "it is compressed")
        if entry.file_size > most:
            raise self._refusal(entry.filename, "it is larger than it can be")
        with self._refusing(entry.filename):
            return self._archive.read(entry)

    def _require_nothing_around(self, first: int) -> None:
        """Check that the archive begins and ends with the file; the library overlooks the rest."""
        if first > 0:
            raise self._refusal("the file", f"its first member begins at byte {first}, not at 0")
        with self._refusing("the file"), self._path.open("rb") as file:
            file.seek(-_END_BYTES, os.SEEK_END)
            end = file.read(_END_BYTES)
        if not end.startswith(_END) or not end.endswith(b"\0\0"):
            raise self._refusal("the file", "bytes follow the archive's end")

    def _read_manifest(self, data: bytes) -> BackupReport:
        try:
            document = parse_object(data, MANIFEST)
        except CanonError:
            raise self._refusal(MANIFEST, "it is not canonical JSON") from None
        if document.get("format") != FORMAT:
            raise self._refusal(MANIFEST, f"its format is not {FORMAT}")
        version = schema.expected()
        if document.get("schema") != version:
            found = repr(document.get("schema"))[:80]
            raise BackupVersionError(path=self._path, found=found, needed=version)
        named = document.get("members")
        if document.keys() != {"format", "members", "schema"} or not isinstance(named, list):
            raise self._refusal(MANIFEST, "a key is unknown or missing")
        members = tuple(self._read_named(item) for item in named)
        self._require_order(members)
        return BackupReport(self._path, version, members, hashlib.sha256(data).hexdigest())

    def _read_named(self, item: Json) -> Member:
        match item:
            case {
                "name": str(name),
                "rows": int(count),
                "sha256": str(sha256),
                "size": int(size),
                "table": str(table),
                **rest,
            } if not rest and 0 <= size <= _LARGEST_MEMBER:
                return Member(name, table, count, size, sha256)
        raise self._refusal(MANIFEST, "it names a member wrongly")

    def _require_order(self, members: Sequence[Member]) -> None:
        """Check that the members are those of every table, in their order, counted from 1."""
        parts = [(table, list(of)) for table, of in groupby(members, lambda member: member.table)]
        names = [_name(table, at) for table, of in parts for at, _ in enumerate(of, 1)]
        same = names == [member.name for member in members]
        if not same or [table for table, _ in parts] != list(rows.ORDER):
            raise self._refusal(MANIFEST, "it does not name every table's members in their order")

    def _require_members(self, found: Sequence[str], report: BackupReport) -> None:
        """Check that the archive has the named members alone, each once, in their order."""
        counted = Counter(found)
        named = [member.name for member in report.members]
        for name in named:
            if counted[name] != 1:
                rule = "it is there twice" if counted[name] else "it is missing"
                raise self._refusal(name, rule)
        for name in counted.keys() - set(named):
            raise self._refusal(name, "the manifest does not name it")
        if list(found) != named:
            raise self._refusal("the file", "its members are not in their order")
        if sum(member.size for member in report.members) > self._path.stat().st_size:
            raise self._refusal("the file", "its members are larger than it is")

    @contextmanager
    def _refusing(self, where: str) -> Iterator[None]:
        """Turn what the library or the disk says of the archive into a refusal."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EINVAL:  # which is a seek to before the file's start
                raise _file_error(self._path, error) from None
        except BROKEN_ZIP:
            pass
        else:
            return
        raise self._refusal(where, "it is damaged, or is no part of a backup")

    def _refusal(self, where: str, rule: str) -> BackupError:
        # A name in an archive may be anything; a terminal shows it all the same.
        shown = where[:80] if where.isprintable() else "a member"
        return BackupError(path=self._path, where=shown, rule=rule)


def _name(table: str, number: int) -> str:
    return f"{table}-{number:04}.ndjson"


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # Unix, on every system
    entry.external_attr = 0o100600 << 16
    return entry


def _file_error(path: Path, error: OSError) -> BackupFileError:
    return BackupFileError(path=path, reason=error.strerror or "an error")


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write, which gets its name at the end, durably, or is removed."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "there is a file of this name")
    number, name = tempfile.mkstemp(prefix=".backup-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Taken first, and only if it is free: a rename alone would put another file away.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
