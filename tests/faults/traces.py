"""What a life leaves behind, and what must be nowhere in it, however it is spelled."""

import base64
import importlib
import importlib.util
import json
import logging
import re
import subprocess
import traceback
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from alloc_service.core.design import Design
from alloc_service.core.generate import derive_key, generate
from alloc_service.core.seed import Seed
from alloc_service.errors import RefusalError
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.wrap import unwrap_tranche_key
from alloc_service.services.deps import Deps
from alloc_service.storage import queries
from alloc_service.storage.tables import METADATA
from tests.faults.evidence import read_tables
from tests.faults.life import ROLES, Home, Life, password_of

_BASE64_AT_LEAST = 12  # a shorter word stands in random base64 by chance
_DOCUMENTS = {"data", "record", "draft", "definition"}
_MASKS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"[0-9a-f]{64}"), "<hex32>"),
    (re.compile(r"[0-9a-f]{16}"), "<kid>"),
    (re.compile(r"\$argon2id\$\S+"), "<argon2>"),
    (re.compile(r"[A-Za-z0-9+/]{40,}={0,2}"), "<base64>"),
)


def spell(secret: bytes) -> set[bytes]:
    """Return a secret in every spelling in which it could stand in a file or a log."""
    words = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    words.add(repr(secret)[2:-1].encode())
    if secret.isascii():
        words.add(secret.decode().encode("utf-16-le"))
    for shift, lost in enumerate((0, 2, 3)):  # base64 of something that it stands inside of
        word = base64.b64encode(bytes(shift) + secret)[lost:-4]
        if len(word) >= _BASE64_AT_LEAST:
            words.add(word)
    return words


def find(haystack: bytes, secrets: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Return the names of the secrets that are in a haystack, in whatever spelling."""
    return [
        name
        for name, values in secrets.items()
        if any(word in haystack for value in values for word in spell(value))
    ]


def secrets_of(life: Life) -> dict[str, list[bytes]]:
    """Return what nobody may find of an installation, its people and the shape of its lists."""
    return {
        "an opening": [b"rac-slot/1|"],
        "a design": [b'"blocks":', b'"weight":', b"weight = "],
        "a password": [password_of(name).encode() for name in ("admin", *ROLES)],
        "a server key": _server_keys(life.home),
    }


def secrets_of_list(life: Life, deps: Deps, design: Design, digits: str) -> dict[str, list[bytes]]:
    """Return what nobody may find of one list, from its design and its seed."""
    seed = Seed.typed(digits, design)
    nonces = [one.nonce for one in generate(design, seed).openings()]
    return {
        "its seed": [digits.encode(), bytes.fromhex(digits)],
        "its keys": [derive_key(design, seed, name).encode() for name in ("list", "nonce")],
        "a nonce": [word for one in nonces for word in (one.encode(), bytes.fromhex(one))],
        "its salt": [design.salt.encode(), bytes.fromhex(design.salt)],
        # With the word behind it: a size alone is also a checkpoint's, or a backup member's.
        "a block size": [
            text.encode()
            for block in design.blocks
            for text in (f'"size":{block.size},"weight"', f"size = {block.size},")
        ],
        "its tranche key": [_tranche_key(life, deps, design)],
    }


def files_of(life: Life) -> dict[str, bytes]:
    """Return everything on disk beside the keys: the SQLite files, the sealer's folder."""
    folder = life.home.folder / "var"
    return {
        str(path.relative_to(folder)).replace(life.anchor.stem, "NAME"): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def dump(url: str, program: Path) -> bytes:
    """Return a PostgreSQL dump; where there is no such program, a copy of every table."""
    if program.exists():
        command = [str(program), "--dbname", url]
        return subprocess.run(command, check=True, capture_output=True).stdout
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        parts = []
        for table in METADATA.sorted_tables:
            with cursor.copy(f"COPY {table.name} TO STDOUT") as copy:
                parts += [bytes(part) for part in copy]
    return b"".join(parts)


def back_up(deps: Deps, path: Path) -> bytes:
    """Return a backup and all that is packed in it; nothing where there is no such service yet."""
    if importlib.util.find_spec("alloc_service.services.backup") is None:
        return b""
    service: Any = importlib.import_module("alloc_service.services.backup")
    service.write_backup(deps, path)
    with zipfile.ZipFile(path) as packed:
        return path.read_bytes() + b"".join(packed.read(name) for name in packed.namelist())


@contextmanager
def logging_everything() -> Iterator[StringIO]:
    """Collect what every logger says, down to the statements and rows of SQLAlchemy."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(name) for name in ("", "sqlalchemy", "alembic", "alloc_service")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        yield text
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def texts_of(refusal: RefusalError) -> str:
    """Return all that a refusal says, to a person, a terminal, a log file or a debugger."""
    notes = getattr(refusal, "__notes__", [])
    parts = [str(refusal), repr(refusal), repr(refusal.facts), repr(vars(refusal)), *notes]
    return "\n".join([*parts, *traceback.format_exception(refusal)])


def report_crash(refusal: RefusalError) -> str:
    """Return a crash report as some tools make them: the traceback with every local variable."""
    report = traceback.TracebackException.from_exception(refusal, capture_locals=True)
    return "".join(report.format())


def shape_of(deps: Deps) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row, with all that must look random named by its kind and its length.

    What is left is what somebody with the database learns beyond ciphertext, hashes and ids:
    every number, every time, every text. Two lists of one design must leave the same.
    """
    rows = read_tables(deps)
    return {
        table.name: sorted(
            (
                tuple(
                    _mask(column.name, value)
                    for column, value in zip(table.columns, row, strict=True)
                )
                for row in rows[table.name]
            ),
            key=repr,
        )
        for table in METADATA.sorted_tables
    }


def _mask(column: str, value: object) -> object:
    if isinstance(value, UUID):
        return "<uuid>"
    if isinstance(value, bytes) and column == "ciphertext":
        return "<age file>"  # the library adds random stanzas of random length
    if isinstance(value, bytes) and column not in _DOCUMENTS:
        return f"<{len(value)} bytes>"
    text = value.decode() if isinstance(value, bytes) else value
    if isinstance(text, str):
        for pattern, name in _MASKS:
            text = pattern.sub(name, text)
    return json.dumps(text) if isinstance(text, list) else text


def _server_keys(home: Home) -> list[bytes]:
    found = []
    for path in home.settings.keys.glob("*.key"):
        key: Any = load_pem_private_key(path.read_bytes(), None)
        found.append(key.private_bytes_raw())
    return found


def _tranche_key(life: Life, deps: Deps, design: Design) -> bytes:
    with deps.database.read() as session:
        root = queries.read_list(session, life.trial, design.list).root
        sealing = queries.read_latest_sealing(session, life.trial, design.list)
    keys = load_keys(life.home.settings.keys)
    private, kid = keys.unwrap_key(sealing.kid), sealing.kid
    key = unwrap_tranche_key(private, sealing.wrap, life.origin, design.sha256, root, kid)
    return bytes(key.expose())
