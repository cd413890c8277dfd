#!/usr/bin/env python3
"""Checks a bundle of a trial's randomization log (rac-bundle/1), or a receipt, by itself.

    python3 verify_bundle.py BUNDLE --policy POLICY [--json]
    python3 verify_bundle.py --receipt FILE --policy POLICY [--leaf HEX] [--json]

It needs Python 3.9 or newer and nothing else. POLICY is a file that you had before: it says whose
log this is, and who its witnesses are. Exit codes: 0 all that is there is good, 1 refused (the
first thing that is wrong is named), 2 wrong use.

This file is built from the modules that the service itself runs; each part names its module.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import io
import json
import re
import secrets
import struct
import sys
import unicodedata
import zlib
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from enum import Enum
from functools import cached_property
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any
from typing import ClassVar
from typing import Final
from typing import Literal
from typing import NamedTuple
from typing import NoReturn
from typing import Protocol
from typing import SupportsIndex
from typing import TYPE_CHECKING
from typing import cast

if TYPE_CHECKING:
    from typing import Self, TypeAlias


class StrEnum(str, Enum):
    """An enum of texts, as newer interpreters bring it."""

    def __str__(self) -> str:
        return str(self.value)

    __format__ = str.__format__


# ------------------------------------------------------------------------------
# alloc_service.errors.base
#
# The base of every refusal, and its branches.


class RefusalError(Exception):
    """Something was refused; nothing was half done.

    Attributes:
        code: Stable, lower-case, for logs and scripts.
        label: What the text begins with where it names a field, with the colon after it.
        facts: What the text was filled with.
    """

    code: ClassVar[str] = "refused"
    text: ClassVar[str] = "Refused: {rule}."
    label: ClassVar[str] = ""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.text.format_map(facts))

    @property
    def unlabelled(self) -> str:
        """Return the text for a place that names the field already."""
        return str(self).removeprefix(self.label.format_map(self.facts))


class InputError(RefusalError):
    """What was typed or handed in breaks a rule."""


class AccessError(RefusalError):
    """This person may not do this."""


class IntegrityError(RefusalError):
    """Bytes are not what a hash, a signature or a rule says they must be."""


# ------------------------------------------------------------------------------
# alloc_service.errors.core
#
# Refusals of canonical JSON, designs, seeds, lists and trees, and of permissions.


class DisjointRolesError(AccessError):
    """A person held a role that excludes the new one."""

    code = "disjoint-roles"
    text = (
        "The role {added} cannot be given to somebody who holds or ever held {held} in this "
        "trial: whoever may know the list never enrols, and an administrator has no part in "
        "the trial. Give it to another person."
    )


class CanonError(InputError):
    """A value has no canonical spelling, or bytes are not spelled canonically."""

    code = "not-canonical"
    text = "{where}: {rule}. Canonical JSON (formats.md, section 1) has one spelling; write it so."


class DesignError(InputError):
    """A design document breaks a rule of rac-gen/1."""

    code = "bad-design"
    text = "Design, {path}: {rule}."


class BlockSizeError(DesignError):
    """A block's size is no positive multiple of the sum of the ratios."""

    code = "bad-block-size"
    text = (
        "A block of {size} cannot hold the arms in their ratio: its size must be a positive "
        "multiple of {unit}, the sum of the ratios."
    )


class SeedError(InputError):
    """A seed is not 64 lower-case hexadecimal digits from a random source."""

    code = "bad-seed"
    text = (
        "The seed was refused: {rule}. Use 64 lower-case hexadecimal digits from a random "
        "source, for example `openssl rand -hex 32`."
    )


class TypedSeedError(AccessError):
    """A typed seed for a trial that is not a test."""

    code = "typed-seed"
    text = (
        "A typed seed was refused for trial {trial}: only a trial whose id starts with TEST- "
        "may be generated with a seed that somebody chose. Leave the seed out."
    )


class ListFileError(InputError):
    """A list file is not the one this design and seed give."""

    code = "bad-list-file"
    text = "{where}: {rule}."


class TreeError(IntegrityError):
    """A proof does not lead to the root, or asks for what the tree does not have."""

    code = "bad-proof"
    text = "The Merkle proof was refused: {rule}."


# ------------------------------------------------------------------------------
# alloc_service.errors.log
#
# Refusals of the audit log: entries, rules, notes, verification.


class EntryError(IntegrityError):
    """Bytes are no entry of rac-log/1."""

    code = "bad-entry"
    text = "The log's {where}: {rule}."


class EntryTypeError(EntryError):
    """An entry of a type that this version does not know."""

    code = "unknown-entry-type"
    text = (
        "The log's {where} is of type {type}, which this version does not know. It was written "
        "by a newer version or by something else: upgrade, or compare with the sealer's anchor."
    )


class VersionError(EntryError):
    """An entry of another version of the log's format."""

    code = "unknown-log-version"
    text = (
        "The log's entry {where} is written in version {version}, which this version does not "
        "know. Upgrade before going on."
    )


class RuleError(IntegrityError):
    """An entry may not follow the ones before it."""

    code = "log-rule"
    text = (
        "Entry {seq} ({type}) may not stand here: {rule}. `alloc log show` tells what came before."
    )


class NoteError(IntegrityError):
    """A signed note, a checkpoint or a receipt is not what it must be."""

    code = "bad-note"
    text = "The signed note was refused: {rule}."


class UnknownSignerError(NoteError):
    """No key that is known has signed a note."""

    code = "unknown-signer"


class LogFaultError(IntegrityError):
    """A log is not whole; facts `seq` to `last` are where the first bad entry is."""

    code = "log-fault"
    text = (
        "The log is not whole, from entry {seq}: {rule}. Keep this copy as evidence, append "
        "nothing to it, and compare it with the sealer's anchor (alloc sealer status)."
    )


class SplitViewError(LogFaultError):
    """The log's key has signed two histories."""

    code = "split-view"
    text = (
        "Two histories of this log were signed, and they part at entry {seq} or after: {rule}. "
        "Keep both checkpoints as evidence, and ask the witnesses which one they saw."
    )


class LogFileError(IntegrityError):
    """An exported log is not one entry a line, each line ended by LF."""

    code = "bad-log-file"
    text = (
        "The exported log, line {line}: {rule}. Its bytes are what is hashed; fetch the file "
        "again, as binary, without an editor or a mail program in between."
    )


class PolicyError(InputError):
    """A policy file is not spelled as one, or is of other logs."""

    code = "bad-policy"
    text = "The policy{line}: {rule}. `alloc log policy` writes one for a trial's log."


class BundleError(IntegrityError):
    """A bundle is not what its log, its policy or its format says it must be."""

    code = "bad-bundle"
    text = "The bundle was refused: {where}: {rule}."


# ------------------------------------------------------------------------------
# alloc_service.core.canon
#
# Canonical JSON: the one spelling of everything that is hashed, signed or sealed.
#
# RFC 8785 (JCS), limited to objects with ASCII keys, arrays, NFC strings without lone
# surrogates, integers of at most 2^53-1 in size, true, false and null. Floats and duplicate keys
# are refused: a lab value or a score is a string, as typed. What is hashed is the stored bytes;
# a reader checks that writing what it read gives the same bytes again.


Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | bool | None"


LARGEST_INTEGER = 2**53 - 1
DEEPEST_NESTING = 32


def canon(value: Json) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises:
        CanonError: The value has no canonical spelling; the text names the place and the rule.

    Source: RFC 8785, sections 3.2.2 and 3.2.3; for ASCII keys its order is plain byte order.
    """
    if not _is_plain(value, 0):
        _canon_check(value, "$", 0)
    return _canon_write(value, "$")


def parse_canonical(data: bytes, where: str = "document") -> Json:
    """Read canonical bytes strictly: any other spelling of the same value is refused.

    Args:
        data: The bytes, as stored or received.
        where: What the bytes are, for the text of a refusal.

    Raises:
        CanonError: The bytes are not the canonical spelling of a value.
    """
    value = _canon_read(data, where)
    # Duplicate keys, white space, escapes and key order all show as a difference here; floats
    # and long integers are stopped while reading. Only what lies outside ASCII needs a walk,
    # and what could be nested too deep: how deep Python itself reads depends on its version.
    if not data.isascii() or data.count(b"[") + data.count(b"{") > DEEPEST_NESTING:
        _canon_check(value, where, 0)
    if (wanted := _canon_write(value, where)) != data:
        at = f"at byte {_first_difference(wanted, data)}"
        raise CanonError(where=where, rule=f"{at} it leaves the canonical spelling", at=at)
    return value


def parse_object(data: bytes, where: str = "document") -> dict[str, Json]:
    """Read canonical bytes that hold an object, as `parse_canonical` does."""
    value = parse_canonical(data, where)
    if not isinstance(value, dict):
        raise CanonError(where=where, rule="an object is expected")
    return value


def _no_float(_text: str) -> Json:
    raise ValueError("a number with a fraction or an exponent; write it as a string")


def _bounded(text: str) -> int:
    number = int(text) if len(text) <= 17 else LARGEST_INTEGER + 1
    if not -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
        raise ValueError("an integer beyond 2^53-1")
    return number


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_int=_bounded, parse_constant=_no_float)
_ENCODER = json.JSONEncoder(
    # `dict` spells a Mapping that is none, such as a frozen view; `_check` has seen its type.
    ensure_ascii=False,
    allow_nan=False,
    sort_keys=True,
    separators=(",", ":"),
    default=dict,
)


def _canon_read(data: bytes, where: str) -> Json:
    try:
        return cast("Json", _DECODER.decode(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        at = f"at byte {error.start}"
        raise CanonError(where=where, rule=f"{at} it is no text in UTF-8", at=at) from None
    except json.JSONDecodeError as error:
        at = f"at byte {len(error.doc[: error.pos].encode())}"
        raise CanonError(where=where, rule=f"{at} it is no JSON: {error.msg}", at=at) from None
    except (ValueError, RecursionError) as error:
        reason = str(error) or "nested too deep"
        raise CanonError(where=where, rule=f"not readable as JSON: {reason}") from None


def _first_difference(wanted: bytes, data: bytes) -> int:
    pairs = enumerate(zip(wanted, data))
    return next((at for at, (one, other) in pairs if one != other), min(len(wanted), len(data)))


def _canon_write(value: Json, where: str) -> bytes:
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise CanonError(where=where, rule="a lone surrogate") from None


def _is_plain(value: Any, depth: int) -> bool:
    """Tell at once of most values that they are fine; of the others, `_check` names the place."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(item, depth + 1):
                return False
        return depth < DEEPEST_NESTING
    if kind is int:
        return bool(-LARGEST_INTEGER <= value <= LARGEST_INTEGER)
    return value is None or kind is bool


def _canon_check(value: object, path: str, depth: int) -> None:
    if depth > DEEPEST_NESTING:
        raise CanonError(where=path, rule=f"nested deeper than {DEEPEST_NESTING} levels")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise CanonError(where=path, rule="an integer beyond 2^53-1")
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise CanonError(where=path, rule="a key that is not ASCII text")
            _canon_check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _canon_check(item, f"{path}[{index}]", depth + 1)
    else:
        raise CanonError(where=path, rule=f"a value of type {type(value).__name__}")


def _check_text(text: str, path: str) -> None:
    if text.isascii():
        return
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise CanonError(where=path, rule="a lone surrogate")
    if not unicodedata.is_normalized("NFC", text):
        raise CanonError(where=path, rule="text that is not in Unicode NFC")


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_archive
#
# The members of a bundle's ZIP, read from the one spelling that `core.archive` gives them.
#
# Nothing of the file is taken on trust: the members are read from its first byte on, their
# directory is spelled again from them, and what the file holds after the members must be that
# directory, to its last byte. So there is no second reading of the same bytes: no member that one
# program sees and another does not, nothing before, between or after.


_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_FIRST, _SECOND, _LAST = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _UNIX, _DATE, _MODE = 20, 0x0314, 0x0021, 0o100644 << 16
# What stands there is not repeated: where bytes have moved it could be an opening.
_ODD_NAME = "a member is named otherwise than by A-Z a-z 0-9 . _ - and / between them"
_bundle_archive_NAME = re.compile(rb"[A-Za-z0-9._/-]{1,255}")
_PLACE = "archive"


def read_members(data: bytes) -> dict[str, bytes]:
    """Return name and bytes of each member, in order.

    Raises:
        BundleError: A member is doubled, out of order, compressed, encrypted, cut, or named out
            of its folder; or the file holds a byte that such an archive does not.
    """
    members: dict[str, bytes] = {}
    at = 0
    while data.startswith(_FIRST, at):
        at = _read_member(data, at, members)
    _bundle_archive_require(bool(members), _PLACE, "it is no ZIP archive that begins with a member")
    directory = _spell_directory(members)
    if data[at:] != directory:
        trailing = data.startswith(directory, at)
        rule = (
            "bytes follow its end"
            if trailing
            else "its directory is not that of the members before it, or it is cut"
        )
        raise BundleError(where=_PLACE, rule=rule)
    return members


def _read_member(data: bytes, at: int, members: dict[str, bytes]) -> int:
    """Read the member at an offset; return where the next one begins."""
    _bundle_archive_require(len(data) - at >= _LOCAL.size, _PLACE, "it is cut")
    head = _LOCAL.unpack_from(data, at)
    _, version, flags, method, time, date, crc, packed, size, length, extra = head
    start: int = at + _LOCAL.size + length + extra
    raw = data[at + _LOCAL.size : at + _LOCAL.size + length]
    _bundle_archive_require(bool(_bundle_archive_NAME.fullmatch(raw)), _PLACE, _ODD_NAME)
    name = raw.decode("ascii")
    _bundle_archive_require(not flags & 1, name, "it is encrypted")
    _bundle_archive_require(method == 0, name, "it is compressed")
    climbs = name.startswith("/") or {"", ".", ".."} & set(name.split("/"))
    _bundle_archive_require(not climbs, name, "its name leads out of the bundle's folder")
    _bundle_archive_require(name not in members, name, "it is there twice")
    sorted_ = not members or name > next(reversed(members))
    _bundle_archive_require(sorted_, name, "the members are not sorted by name")
    spelled = (version, flags, time, date, extra) == (_VERSION, 0, 0, _DATE, 0)
    _bundle_archive_require(spelled and packed == size, name, "its header is not spelled as a bundle's is")
    content = data[start : start + size]
    _bundle_archive_require(len(content) == size, name, "it is cut")
    _bundle_archive_require(zlib.crc32(content) == crc, name, "its bytes are not those of its CRC-32")
    members[name] = content
    return start + len(content)


def _spell_directory(members: Mapping[str, bytes]) -> bytes:
    records, offset = [], 0
    for name, content in members.items():
        size = len(content)
        head = (_SECOND, _UNIX, _VERSION, 0, 0, 0, _DATE, zlib.crc32(content), size, size)
        records.append(_CENTRAL.pack(*head, len(name), 0, 0, 0, 0, _MODE, offset) + name.encode())
        offset += _LOCAL.size + len(name) + size
    directory = b"".join(records)
    count = len(members)
    _bundle_archive_require(count < 0xFFFF and offset < 2**31, _PLACE, "it is larger than any bundle can be")
    return directory + _END.pack(_LAST, 0, 0, count, count, len(directory), offset, 0)


def _bundle_archive_require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_form
#
# The form of a bundle `rac-bundle/1`: which members it has, and its manifest.
#
# MANIFEST.json             canonical JSON, SHA-256 and size of every other member
# README.txt                how to check it, by program and by hand
# audit/checkpoint          the signed note over all of the entries, with its cosignatures
# audit/checkpoints/<size>  earlier ones
# audit/entries.ndjson      the exact bytes of each entry, a line each
# lists/<n>/ceremony.json   the document of the ceremony that gave the list's seed
# lists/<n>/design.json     unblinded: the design
# lists/<n>/leaves.bin      the commitments, 32 bytes a slot
# lists/<n>/openings.txt    unblinded: the openings of the slots that were spent
# lists/<n>/seed.json       unblinded, after the end: the seed and what it came from
# policy.txt                whom the trial's log and witnesses are, to compare
# verify_bundle.py          the verifier; take yours from elsewhere


FORMAT = "rac-bundle/1"
BLINDED, UNBLINDED = "blinded", "unblinded"
MANIFEST, README, POLICY = "MANIFEST.json", "README.txt", "policy.txt"
ENTRIES, CHECKPOINT, VERIFIER = "audit/entries.ndjson", "audit/checkpoint", "verify_bundle.py"
NEEDED = (CHECKPOINT, ENTRIES, MANIFEST, POLICY, README, VERIFIER)


_CHECKPOINTS = re.compile(r"audit/checkpoints/([1-9][0-9]{0,15})", re.ASCII)
_OF_LIST = re.compile(
    r"lists/([1-9][0-9]{0,3})/(ceremony\.json|design\.json|leaves\.bin|openings\.txt|seed\.json)",
    re.ASCII,
)
_SECRET = frozenset({"design.json", "openings.txt", "seed.json"})
_ORIGIN = re.compile(r"[A-Za-z0-9.:-]{1,128}/[A-Za-z0-9._/-]{1,64}/audit", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """What a manifest says beside hashes.

    Attributes:
        origin: The log's name.
        size: Entries.
        build: `blinded` or `unblinded`.
    """

    origin: str
    size: int
    build: str

    def to_bytes(self, members: Mapping[str, bytes]) -> bytes:
        """Return the canonical bytes of the manifest of these members."""
        files: dict[str, Json] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
            if name != MANIFEST
        }
        return canon(
            {
                "build": self.build,
                "files": files,
                "origin": self.origin,
                "size": self.size,
                "v": FORMAT,
            }
        )


def read_checkpoint_size(name: str) -> int | None:
    """Return the size that a member's name says, or None where it is no earlier checkpoint."""
    match = _CHECKPOINTS.fullmatch(name)
    return None if match is None else int(match[1])


def list_of_member(name: str) -> tuple[int, str] | None:
    """Return list number and file of a list's member, or None where it is no list's."""
    match = _OF_LIST.fullmatch(name)
    return None if match is None else (int(match[1]), match[2])


def check_form(members: Mapping[str, bytes]) -> Manifest:
    """Check that a bundle has the members that it must have and may have, and their hashes.

    Raises:
        BundleError: The first that is wrong.
    """
    for name in NEEDED:
        _bundle_form_require(name in members, name, "it is missing")
    manifest, files = _read_manifest(members[MANIFEST])
    others = members.keys() - {MANIFEST}
    for name in sorted(others - files.keys()):
        raise BundleError(where=name, rule="the manifest does not name it")
    for name in sorted(files.keys() - others):
        raise BundleError(where=name, rule="it is missing, and the manifest names it")
    for name in sorted(others):
        _check_name(name, manifest.build)
        data = members[name]
        hashed = hashlib.sha256(data).hexdigest()
        same = files[name] == {"sha256": hashed, "size": len(data)}
        _bundle_form_require(same, name, "its hash or size is not the one in the manifest")
    return manifest


def _read_manifest(data: bytes) -> tuple[Manifest, Mapping[str, Json]]:
    try:
        document = parse_object(data, MANIFEST)
    except CanonError:
        raise BundleError(where=MANIFEST, rule="it is not canonical JSON") from None
    spelled = document.keys() == {"build", "files", "origin", "size", "v"}
    _bundle_form_require(spelled and document["v"] == FORMAT, MANIFEST, f"it is not spelled as {FORMAT}")
    build, files = document["build"], document["files"]
    origin, size = document["origin"], document["size"]
    named = isinstance(origin, str) and _ORIGIN.fullmatch(origin) is not None
    counted = isinstance(size, int) and not isinstance(size, bool) and size > 0
    _bundle_form_require(named and counted, MANIFEST, "its origin or size is none")
    # A tuple: what stands there may have no hash, such as a list.
    _bundle_form_require(build in (BLINDED, UNBLINDED), MANIFEST, "its build is neither blinded nor unblinded")
    if not isinstance(files, dict):
        raise BundleError(where=MANIFEST, rule="its files are no object")
    return Manifest(str(origin), int(str(size)), str(build)), files


def _check_name(name: str, build: str) -> None:
    of_list = list_of_member(name)
    known = name in NEEDED or of_list is not None or read_checkpoint_size(name) is not None
    _bundle_form_require(known, name, f"{FORMAT} has no member of this name")
    secret = of_list is not None and of_list[1] in _SECRET
    _bundle_form_require(build == UNBLINDED or not secret, name, "a blinded bundle must not hold it")


def lists_of(members: Collection[str]) -> list[int]:
    """Return the numbers of the lists that have a member here, sorted."""
    found = {of_list[0] for name in members if (of_list := list_of_member(name)) is not None}
    return sorted(found)


def _bundle_form_require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)


# ------------------------------------------------------------------------------
# alloc_service.core.design
#
# The design document of a list: arms, block types, strata; the half of the secret with a shape.
#
# A design is confidential, for it holds the block sizes. Its hash D is public; the random salt
# keeps D from confirming a guess of the sizes. Whoever holds design and seed holds the list.
#
# Rules (`rac-gen/1`): 2-16 arms, codes unique, ratio 1-16; 1-16 block types, sizes unique, each a
# multiple of the sum of the ratios and at most 256, weight 1-1000; 1-1,000 strata, codes unique;
# 1-1,000,000 slots a stratum, 2,000,000 a list; list 1-9,999. The order of arms, blocks and
# strata is significant.


ALGORITHM = "rac-gen/1"
TEST_PREFIX = "TEST-"


_ID = re.compile(r"[A-Za-z0-9._/-]{1,64}", re.ASCII)
_ARM = re.compile(r"[A-Za-z0-9._+-]{1,32}", re.ASCII)
_design_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Arm:
    """An arm's code and its integer share of every block."""

    code: str
    ratio: int


@dataclass(frozen=True, repr=False)
class BlockSize:
    """A block type: participants in the block, and its weight in the draw of types."""

    size: int
    weight: int

    def __repr__(self) -> str:
        return "BlockSize(…)"


@dataclass(frozen=True)
class Stratum:
    """A stratum's code and the length of its list in slots."""

    code: str
    slots: int


@dataclass(frozen=True)
class Design:
    """A design that keeps every rule of rac-gen/1; building a bad one raises `DesignError`.

    Args:
        trial: Trial id; one that starts with `TEST-` is a trial for testing.
        list: List number, 1-9,999; an extension is a new number with a seed of its own.
        arms: 2-16, in an order that matters.
        blocks: 1-16 block types; confidential, hence not in the repr.
        strata: 1-1,000, in an order that matters.
        salt: HEX32, random; confidential, hence not in the repr.
    """

    trial: str
    list: int
    arms: tuple[Arm, ...]
    blocks: tuple[BlockSize, ...] = field(repr=False)
    strata: tuple[Stratum, ...]
    salt: str = field(repr=False, default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        _design_require(_is_spelled(self.trial, _ID), "trial", "1-64 of A-Z a-z 0-9 . _ / -")
        _design_require(_between(self.list, 1, 9_999), "list", "an integer from 1 to 9,999")
        _design_require(_is_spelled(self.salt, _design_HEX32), "salt", "64 lower-case hexadecimal digits")
        _check_arms(self.arms)
        _check_blocks(self.blocks, self.ratio_sum)
        _check_strata(self.strata)

    @property
    def ratio_sum(self) -> int:
        """Return the smallest possible block: the sum of the arms' ratios."""
        return sum(arm.ratio for arm in self.arms)

    @property
    def slots(self) -> int:
        """Return the slots of all strata together."""
        return sum(stratum.slots for stratum in self.strata)

    @property
    def is_test(self) -> bool:
        """Tell whether this is a trial for testing, which its files and pages must say."""
        return self.trial.startswith(TEST_PREFIX)

    def to_bytes(self) -> bytes:
        """Return the canonical document: confidential, it holds the block sizes."""
        return canon(
            {
                "alg": ALGORITHM,
                "arms": [{"code": arm.code, "ratio": arm.ratio} for arm in self.arms],
                "blocks": [{"size": block.size, "weight": block.weight} for block in self.blocks],
                "list": self.list,
                "salt": self.salt,
                "strata": [{"code": item.code, "slots": item.slots} for item in self.strata],
                "trial": self.trial,
            }
        )

    @cached_property
    def sha256(self) -> str:
        """Return D, the SHA-256 of the document in hexadecimal; public."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Design":
        """Read a design document.

        Raises:
            CanonError: The bytes are not canonical JSON.
            DesignError: A key is unknown or missing, or a value breaks a rule.
        """
        document = parse_object(data, "design")
        names = {"alg", "arms", "blocks", "list", "salt", "strata", "trial"}
        _check_keys(document, names, "document")
        _design_require(document["alg"] == ALGORITHM, "alg", f"exactly {ALGORITHM}")
        return cls(
            trial=_text(document["trial"], "trial"),
            list=_integer(document["list"], "list"),
            arms=tuple(
                Arm(_text(row["code"], f"{path}.code"), _integer(row["ratio"], f"{path}.ratio"))
                for path, row in _rows(document["arms"], "arms", {"code", "ratio"})
            ),
            blocks=tuple(
                BlockSize(
                    _integer(row["size"], f"{path}.size"),
                    _integer(row["weight"], f"{path}.weight"),
                )
                for path, row in _rows(document["blocks"], "blocks", {"size", "weight"})
            ),
            strata=tuple(
                Stratum(_text(row["code"], f"{path}.code"), _integer(row["slots"], f"{path}.slots"))
                for path, row in _rows(document["strata"], "strata", {"code", "slots"})
            ),
            salt=_text(document["salt"], "salt"),
        )


def _check_arms(arms: Sequence[Arm]) -> None:
    _design_require(2 <= len(arms) <= 16, "arms", "2 to 16 arms")
    for index, arm in enumerate(arms):
        _design_require(_is_spelled(arm.code, _ARM), f"arms[{index}].code", "1-32 of A-Z a-z 0-9 . _ + -")
        _design_require(_between(arm.ratio, 1, 16), f"arms[{index}].ratio", "an integer from 1 to 16")
    _design_require(len({arm.code for arm in arms}) == len(arms), "arms", "arms of different codes")


def _check_blocks(blocks: Sequence[BlockSize], unit: int) -> None:
    _design_require(1 <= len(blocks) <= 16, "blocks", "1 to 16 block types")
    for index, block in enumerate(blocks):
        path = f"blocks[{index}]"
        fits = _between(block.size, 1, 256) and block.size % unit == 0
        _design_require(fits, f"{path}.size", f"a multiple of {unit}, the sum of the ratios, up to 256")
        _design_require(_between(block.weight, 1, 1_000), f"{path}.weight", "an integer from 1 to 1,000")
    _design_require(len({block.size for block in blocks}) == len(blocks), "blocks", "different sizes")


def _check_strata(strata: Sequence[Stratum]) -> None:
    _design_require(1 <= len(strata) <= 1_000, "strata", "1 to 1,000 strata")
    for index, stratum in enumerate(strata):
        path = f"strata[{index}]"
        _design_require(
            is_stratum_code(stratum.code),
            f"{path}.code",
            "1-200 characters in Unicode NFC, no control character",
        )
        _design_require(
            _between(stratum.slots, 1, 1_000_000), f"{path}.slots", "an integer from 1 to 1,000,000"
        )
    _design_require(
        len({item.code for item in strata}) == len(strata), "strata", "strata of different codes"
    )
    total = sum(item.slots for item in strata)
    _design_require(total <= 2_000_000, "strata", "at most 2,000,000 slots in all")


def is_stratum_code(text: object) -> bool:
    """Tell whether a text may be a stratum's code: 1-200 NFC characters, none a control one."""
    if not isinstance(text, str) or not 1 <= len(text) <= 200:
        return False
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        return False
    return unicodedata.is_normalized("NFC", text)


def _is_spelled(text: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _between(number: object, low: int, high: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and low <= number <= high


def _design_require(holds: bool, path: str, rule: str) -> None:
    if not holds:
        raise DesignError(path=path, rule=f"must be {rule}")


def _check_keys(row: Mapping[str, Json], names: set[str], path: str) -> None:
    if missing := sorted(names - set(row)):
        raise DesignError(path=path, rule=f"the key {missing[0]!r} is missing")
    if unknown := sorted(set(row) - names):
        raise DesignError(path=path, rule=f"the key {unknown[0]!r} is unknown")


def _rows(value: Json, path: str, names: set[str]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    if not isinstance(value, list):
        raise DesignError(path=path, rule="must be an array")
    for index, row in enumerate(value):
        place = f"{path}[{index}]"
        if not isinstance(row, Mapping):
            raise DesignError(path=place, rule="must be an object")
        _check_keys(row, names, place)
        yield place, row


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise DesignError(path=path, rule="must be a string")
    return value


def _integer(value: Json, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DesignError(path=path, rule="must be an integer")
    return value


# ------------------------------------------------------------------------------
# alloc_service.core.draw
#
# Seeded words and what is drawn from them: the only randomness that a list has.
#
# A word is a uniform integer of 32 bits. A block reads its words from a stream of its own,
# HMAC-SHA256 under the list key, so that no block depends on how many words another one used.
# A draw below m rejects the words past the last multiple of m, so that it is exactly uniform.
# The words are an argument everywhere: a test injects its own.


Words: TypeAlias = Iterator[int]


WORD_RANGE = 2**32
# The rejection limit of every bound that a shuffle of a block can need; more are computed.
_LIMITS = (0, *(WORD_RANGE - WORD_RANGE % bound for bound in range(1, 257)))


class Mac(Protocol):
    """A keyed HMAC-SHA256 that is copied for each message, which spares the key schedule."""

    def copy(self) -> Self:
        """Return an independent copy."""
        ...

    def update(self, data: bytes, /) -> None:
        """Add message bytes."""
        ...

    def digest(self) -> bytes:
        """Return the 32 bytes of the code."""
        ...

    def hexdigest(self) -> str:
        """Return the code as 64 hexadecimal digits."""
        ...


def keyed_mac(key: str) -> Mac:
    """Return HMAC-SHA256 under the 64 ASCII characters of a key.

    The characters, not the bytes they stand for, are the key: `openssl dgst -sha256 -hmac`
    then repeats every step by hand.
    """
    return hmac.new(key.encode("ascii"), digestmod="sha256")


def seeded_words(list_key: Mac, stratum: int, block: int) -> Words:
    """Yield the 32-bit words of one block, eight from each code, big-endian, first to last."""
    counter = 0
    while True:
        mac = list_key.copy()
        mac.update(b"rac-gen/1|block|%d|%d|%d" % (stratum, block, counter))
        yield from struct.unpack(">8I", mac.digest())
        counter += 1


def below(bound: int, words: Words) -> int:
    """Return a uniform integer from 0 to bound-1; a bound of 1 reads no word.

    Raises:
        ValueError: `bound` is below 1 or above 2^32; no word would ever be taken.

    Source: rejection sampling; the words past the last multiple of `bound` are thrown away.
    """
    if bound == 1:
        return 0
    if not 1 < bound <= WORD_RANGE:
        raise ValueError("a bound is from 1 to 2^32")
    limit = _LIMITS[bound] if bound < len(_LIMITS) else WORD_RANGE - WORD_RANGE % bound
    word = next(words)
    while word >= limit:
        word = next(words)
    return word % bound


def draw_block_size(blocks: Sequence[BlockSize], words: Words) -> int:
    """Return the size of the next block, each type with its weight."""
    rest = below(sum(block.weight for block in blocks), words)
    at = 0
    while rest >= blocks[at].weight:
        rest -= blocks[at].weight
        at += 1
    return blocks[at].size


def permuted_block(arms: Sequence[Arm], size: int, words: Words) -> list[str]:
    """Return the arm codes of one block, every order equally likely.

    Args:
        arms: At least two arms, each weighted by its integer ratio.
        size: Participants in the block; a multiple of the sum of the ratios.
        words: Uniform 32-bit words; rejection sampling makes the draw unbiased.

    Raises:
        BlockSizeError: `size` is no positive multiple of that sum.

    Source: Durstenfeld 1964, CACM 7(7):420 (shuffle); ICH E9 2.3.2 (blocks).
    """
    unit = sum(arm.ratio for arm in arms)
    if size <= 0 or size % unit:
        raise BlockSizeError(size=size, unit=unit)
    block = [arm.code for arm in arms for _ in range(arm.ratio * size // unit)]
    for last in range(size - 1, 0, -1):
        pick = below(last + 1, words)
        block[last], block[pick] = block[pick], block[last]
    return block


# ------------------------------------------------------------------------------
# alloc_service.core.merkle
#
# The RFC 6962 tree over anything ordered: the openings of a list, the entries of a log.
#
# Leaf = SHA-256(0x00 ‖ data), node = SHA-256(0x01 ‖ left ‖ right), the root of nothing is
# SHA-256(""). A tree is kept as its complete subtrees, named (level, position): such a node never
# changes once it is there, so an append adds about one node and a root or a proof reads O(log n).
# Level 0 holds the leaves. Proofs are as in RFC 6962, sections 2.1.1 and 2.1.2; a consistency
# proof from size 0 would prove nothing, and is refused.


HASH_BYTES = 32


EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte leaf hash of one entry or opening."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: O(log n) hashes that give the root of every size."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []  # complete subtrees, largest first: one for each bit of size

    def append(self, leaf: bytes) -> None:
        """Add one 32-byte leaf hash; about one inner hash each."""
        edge = self._edge
        below = self.size
        while below & 1:
            leaf = node_hash(edge.pop(), leaf)
            below >>= 1
        edge.append(leaf)
        self.size += 1

    def grow(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash; return (level, position, hash) of the subtrees that it completes."""
        added = []
        level, position = 0, self.size
        for left in reversed(self._edge[len(self._edge) - _trailing_ones(self.size) :]):
            leaf = node_hash(left, leaf)
            level, position = level + 1, position >> 1
            added.append((level, position, leaf))
        del self._edge[len(self._edge) - level :]
        self._edge.append(leaf)
        self.size += 1
        return added

    def next_path(self) -> list[bytes]:
        """Return the audit path that the next leaf will have as the last one, lowest first."""
        return self._edge[::-1]

    def root(self) -> bytes:
        """Return the 32-byte root of the leaves so far."""
        return _join(self._edge) if self._edge else EMPTY_ROOT

    def copy(self) -> "Frontier":
        """Return a tree of the same leaves that grows apart from this one."""
        twin = Frontier()
        twin.size, twin._edge = self.size, self._edge.copy()
        return twin


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a whole list of 32-byte leaf hashes."""
    level: Sequence[bytes] = leaves
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(level) > 1:
        pairs = iter(level)
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf` is at `index` under `root`.

    A proof binds the leaf to the root, not the size to the root: one and the same path can fit
    two sizes. So size and root are taken together, from one checkpoint or one log entry.

    Raises:
        TreeError: It is not, or the proof or a hash has the wrong length.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise TreeError(rule=f"there is no leaf {index} in a tree of size {size}")
    _check_lengths([leaf, *proof])
    at, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise TreeError(rule="the inclusion proof is too long")
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if last or value != root:
        raise TreeError(rule=f"leaf {index} is not under the root of size {size}")


def _check_lengths(hashes: Sequence[bytes]) -> None:
    # A "leaf" of another length would let an inner node pass for one: node = SHA(0x01 ‖ l ‖ r).
    if any(len(value) != HASH_BYTES for value in hashes):
        raise TreeError(rule=f"a hash is not {HASH_BYTES} bytes long")


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1


def _join(hashes: Sequence[bytes]) -> bytes:
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


# ------------------------------------------------------------------------------
# alloc_service.core.secret
#
# What must not leave by accident: no repr, no pickle, no copy through a pickle's door.
#
# A value that knows an arm before its time, or the seed that gives them all, is read by asking
# for the field by name and in no other way. A task queue, a cache or a crash report that pickles
# whatever it meets is refused here instead of keeping the list in clear on a disk.


class Secret:
    """Base of the values that hold arms, nonces or a seed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is secret: it is neither pickled nor copied")


# ------------------------------------------------------------------------------
# alloc_service.core.seed
#
# The seed of a list: 64 lower-case hexadecimal digits, as secret as the list itself.
#
# With 32 bits a list of 240 is found from its first 40 known arms by trying every seed. A seed
# here is 256 bits from the operating system, or from the ceremony; one that somebody typed is
# taken for a test trial only, and one digit repeated is refused even there.


_seed_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, repr=False)
class Seed(Secret):
    """A seed; its digits never appear in a repr, a pickle, a log line or an error."""

    digits: str

    def __post_init__(self) -> None:
        if not _seed_HEX32.fullmatch(self.digits):
            raise SeedError(rule="it is not exactly 64 characters of 0-9 and a-f")
        if len(set(self.digits)) == 1:
            raise SeedError(rule="it is one digit repeated")

    @classmethod
    def fresh(cls) -> "Seed":
        """Return 32 bytes from the operating system's generator."""
        return cls(secrets.token_hex(32))

    @classmethod
    def typed(cls, digits: str, design: Design) -> "Seed":
        """Return a seed that somebody chose, for a test trial only.

        Raises:
            TypedSeedError: The design's trial is not a test.
            SeedError: The digits are no seed.
        """
        if not design.is_test:
            raise TypedSeedError(trial=design.trial)
        return cls(digits)


# ------------------------------------------------------------------------------
# alloc_service.core.generate
#
# Design and seed make one list: arms in order, an opening for each slot, one root.
#
# `rac-gen/1`: KL = MAC(S, "rac-gen/1|list|" D) and KN = MAC(S, "rac-gen/1|nonce|" D). Blocks
# 0, 1, 2… of a stratum are joined and cut to exactly `slots`, so that the public count says
# nothing about the block sizes. The opening of slot i is `rac-slot/1|D|s|i|ARM|NONCE`; its leaf
# hash is the commitment, and the tree over all leaves, strata in order and slots in order, gives
# the root that is logged before the first enrolment. Neither block number nor size is in it.


_OPENING = re.compile(
    # An index has the digits that 1,000 strata and 1,000,000 slots need, and no more.
    r"rac-slot/1\|([0-9a-f]{64})\|(0|[1-9][0-9]{0,2})\|(0|[1-9][0-9]{0,5})"
    r"\|([A-Za-z0-9._+-]{1,32})\|([0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True)
class Opening(Secret):
    """What a sealed slot holds: its place, and its arm and nonce, which no repr shows."""

    design_sha256: str
    stratum: int
    slot: int
    arm: str = field(repr=False)
    nonce: str = field(repr=False)

    @property
    def text(self) -> str:
        """Return the one spelling that is hashed and sealed."""
        return f"rac-slot/1|{self.design_sha256}|{self.stratum}|{self.slot}|{self.arm}|{self.nonce}"

    @property
    def leaf(self) -> bytes:
        """Return the 32-byte commitment to this slot."""
        return leaf_hash(self.text.encode("ascii"))

    @classmethod
    def parse(cls, text: str) -> "Opening":
        """Read an opening strictly.

        Raises:
            ListFileError: The text is not spelled as an opening; it is not repeated.
        """
        match = _OPENING.fullmatch(text)
        if match is None:
            raise ListFileError(where="opening", rule="not spelled as rac-slot/1 demands")
        return cls(match[1], int(match[2]), int(match[3]), match[4], match[5])


@dataclass(frozen=True, repr=False)
class GeneratedList(Secret):
    """A whole list in clear, for its statistician or its sealing; hidden from reprs.

    Two lists are equal when design, arms and leaves are: the leaves hold the nonces.

    Attributes:
        design: What it was made from.
        arms: For each stratum, the arm code of each slot.
        leaves: The commitments, 32 bytes each, strata in order and slots in order; public.
        root: HEX32 root of the tree over the leaves; public.
    """

    design: Design
    arms: tuple[tuple[str, ...], ...]
    leaves: bytes
    root: str
    _nonce_key: Mac = field(compare=False)

    def opening(self, stratum: int, slot: int) -> Opening:
        """Return one slot's opening.

        Raises:
            ListFileError: The list has no such slot.
        """
        if not (0 <= stratum < len(self.arms) and 0 <= slot < len(self.arms[stratum])):
            raise _no_such_slot(stratum, slot)
        mac = self._nonce_key.copy()
        mac.update(b"rac-gen/1|nonce|%d|%d" % (stratum, slot))
        arm = self.arms[stratum][slot]
        return Opening(self.design.sha256, stratum, slot, arm, mac.hexdigest())

    def openings(self) -> Iterator[Opening]:
        """Yield every opening, strata in order and slots in order."""
        for stratum, arms in enumerate(self.arms):
            for slot in range(len(arms)):
                yield self.opening(stratum, slot)


def generate(design: Design, seed: Seed) -> GeneratedList:
    """Return the list of a design and a seed; the same two always give the same list."""
    list_key, nonce_key = derive_keys(design, seed)
    arms = tuple(draw_arms(design, stratum, list_key) for stratum in range(len(design.strata)))
    leaves = list(_leaves(design, arms, nonce_key))
    return GeneratedList(design, arms, b"".join(leaves), root_of(leaves).hex(), nonce_key)


def derive_keys(design: Design, seed: Seed) -> tuple[Mac, Mac]:
    """Return the list key and the nonce key of a design and a seed, ready to use."""
    return (
        keyed_mac(derive_key(design, seed, "list")),
        keyed_mac(derive_key(design, seed, "nonce")),
    )


def derive_key(design: Design, seed: Seed, purpose: str) -> str:
    """Return KL or KN as 64 hexadecimal digits; as secret as the seed."""
    mac = keyed_mac(seed.digits)
    mac.update(f"rac-gen/1|{purpose}|{design.sha256}".encode("ascii"))
    return mac.hexdigest()


def draw_arms(design: Design, stratum: int, list_key: Mac) -> tuple[str, ...]:
    """Return the arm codes of one stratum: blocks joined, cut to its slots.

    A longer list under the same keys begins with the shorter one's slots.
    """
    slots = design.strata[stratum].slots
    drawn: list[str] = []
    block = 0
    while len(drawn) < slots:
        words = seeded_words(list_key, stratum, block)
        size = draw_block_size(design.blocks, words)
        drawn += permuted_block(design.arms, size, words)
        block += 1
    return tuple(drawn[:slots])


def leaf_index(slots: Sequence[int], stratum: int, slot: int) -> int:
    """Return where a slot's leaf stands in the list's tree.

    Args:
        slots: Slots of each stratum, as logged in `list.sealed`.
        stratum: Index from 0.
        slot: Index from 0.

    Raises:
        ListFileError: The list has no such slot.
    """
    if not (0 <= stratum < len(slots) and 0 <= slot < slots[stratum]):
        raise _no_such_slot(stratum, slot)
    return [0, *accumulate(slots)][stratum] + slot


def _no_such_slot(stratum: int, slot: int) -> ListFileError:
    return ListFileError(
        where=f"stratum {stratum}, slot {slot}",
        rule="the list has no such slot; both count from 0, as in the design",
    )


def _leaves(design: Design, strata: tuple[tuple[str, ...], ...], nonce_key: Mac) -> Iterator[bytes]:
    # The one loop over a million slots: the spelling of `Opening.text`, without its objects.
    sha256 = hashlib.sha256
    for stratum, arms in enumerate(strata):
        nonces = nonce_key.copy()
        nonces.update(b"rac-gen/1|nonce|%d|" % stratum)
        head = f"\x00rac-slot/1|{design.sha256}|{stratum}|"
        for slot, arm in enumerate(arms):
            mac = nonces.copy()
            mac.update(b"%d" % slot)
            yield sha256(f"{head}{slot}|{arm}|{mac.hexdigest()}".encode("ascii")).digest()


# ------------------------------------------------------------------------------
# alloc_service.core.ceremony_hashes
#
# The two hashes of a ceremony, in one spelling for whoever makes a seed and whoever checks one.
#
# With D the design's hash, C the ceremony's id, P a party's and r its share:
#
#     commitment = SHA("rac-commit/1|D|C|P|r")
#     seed       = HEX(HMAC-SHA256(key = the 64 characters of SHA(document),
#                                  message = "rac-seed/1|r_1|…|r_n|" + (beacon's value or "-")))


CEREMONY: Final = "rac-seed/1"
COMMITMENT: Final = "rac-commit/1"


def hash_share(design_sha256: str, ceremony: str, party: str, share: str) -> str:
    """Return the HEX32 that commits a party to its share; the texts are of ASCII alone."""
    text = f"{COMMITMENT}|{design_sha256}|{ceremony}|{party}|{share}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def hash_shares(doc_sha256: str, shares: Sequence[str], beacon: str | None) -> str:
    """Return the digits of the seed, HEX32.

    Args:
        doc_sha256: Of the announced document.
        shares: HEX32 each, in the order of the document's parties.
        beacon: The beacon's value, HEX32; nothing where there is none.
    """
    message = "|".join((CEREMONY, *shares, beacon or "-"))
    return hmac.new(doc_sha256.encode("ascii"), message.encode("ascii"), "sha256").hexdigest()


# ------------------------------------------------------------------------------
# alloc_service.core.ed25519
#
# Ed25519 verification in plain Python, for who has nothing but an interpreter.
#
# It signs nothing and holds no secret, so that its running time may depend on what it is given.
# The equation is checked without the cofactor, R = [S]B - [h]A as bytes, S is below the order of
# the group, and the key is a canonical point: what the library that the service itself uses
# accepts, this accepts, and nothing more.
#
# Source: RFC 8032, sections 5.1.3 and 5.1.7; the curve's formulas are of Hisil, Wong, Carter and
# Dawson 2008 (extended coordinates, a = -1).


# (X, Y, Z, T) of the point (X/Z, Y/Z), with T = XY/Z.
Point: TypeAlias = tuple[int, int, int, int]


PRIME: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
CURVE_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME


_SIGN: Final = 1 << 255
_ROOT_OF_MINUS_ONE: Final = pow(2, (PRIME - 1) // 4, PRIME)
_BASE_BYTES: Final = bytes([0x58]) + bytes([0x66]) * 31
_NEUTRAL: Final = (0, 1, 1, 0)
_WINDOW: Final = 5


def require_canonical_key(public: bytes) -> None:
    """Check that a public key is spelled as RFC 8032 spells a point.

    Raises:
        ValueError: Its y is not below the prime, or its x is 0 and it says that x is odd.
    """
    number = int.from_bytes(public, "little")
    y = number & (_SIGN - 1)
    if len(public) != 32 or y >= PRIME or (number & _SIGN and y in {1, PRIME - 1}):
        raise ValueError("the key is no canonical point")


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature.

    Args:
        public: Raw public key, 32 bytes.
        signature: 64 bytes.
        message: What was signed.

    Raises:
        ValueError: The signature is not this key's over this message, or the key is none.
    """
    require_canonical_key(public)
    multiples = _odd_multiples_against(public)
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or scalar >= ORDER:
        raise ValueError("the signature is not canonical")
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    point = _add_multiples(
        (_digits(scalar), _odd_multiples_against(_BASE_BYTES, negated=False)),
        (_digits(int.from_bytes(hashed, "little") % ORDER), multiples),
    )
    if _encode(point) != signature[:32]:
        raise ValueError("the signature is not this key's")


@lru_cache(maxsize=64)
def _odd_multiples_against(public: bytes, *, negated: bool = True) -> Sequence[Point]:
    """Return 1, 3, 5 … 15 times a point, or times its negative."""
    x, y, z, t = _decode(public)
    point = (PRIME - x, y, z, PRIME - t) if negated else (x, y, z, t)
    double = _double(point)
    found = [point]
    while len(found) < 1 << (_WINDOW - 2):
        found.append(_add(found[-1], double))
    return tuple(found)


def _decode(public: bytes) -> Point:
    number = int.from_bytes(public, "little")
    y = number & (_SIGN - 1)
    over, under = (y * y - 1) % PRIME, (CURVE_D * y * y + 1) % PRIME
    cubed = under * under * under
    x = over * cubed * pow(over * cubed * cubed * under, (PRIME - 5) // 8, PRIME) % PRIME
    if (under * x * x + over) % PRIME == 0:
        x = x * _ROOT_OF_MINUS_ONE % PRIME
    if (under * x * x - over) % PRIME:
        raise ValueError("the key is no point of the curve")
    if x & 1 != number >> 255:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, PRIME)
    x, y = x * inverse % PRIME, y * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _digits(scalar: int) -> list[int]:
    """Return a scalar in digits of base 2, lowest first: 0, or odd and below 16 in size."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & ((1 << _WINDOW) - 1)
            if digit >= 1 << (_WINDOW - 1):
                digit -= 1 << _WINDOW
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def _add_multiples(*terms: tuple[Sequence[int], Sequence[Point]]) -> Point:
    """Return the sum of points, each given by its scalar's digits and its odd multiples."""
    total = _NEUTRAL
    for place in reversed(range(max(len(digits) for digits, _ in terms))):
        total = _double(total)
        for digits, multiples in terms:
            digit = digits[place] if place < len(digits) else 0
            if digit > 0:
                total = _add(total, multiples[digit >> 1])
            elif digit:
                x, y, z, t = multiples[-digit >> 1]
                total = _add(total, (-x, y, z, -t))
    return total


def _add(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % PRIME
    b = (y1 + x1) * (y2 + x2) % PRIME
    c = 2 * CURVE_D * t1 % PRIME * t2 % PRIME
    d = 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % PRIME, y * y % PRIME
    c = 2 * z * z % PRIME
    h = a + b
    e = h - (x + y) * (x + y) % PRIME
    g = a - b
    f = c + g
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


# ------------------------------------------------------------------------------
# alloc_service.log.note
#
# Signed notes and checkpoints: C2SP `signed-note`, `tlog-checkpoint`, `tlog-cosignature` v1.
#
# A note is text that ends in a newline, a blank line, and signature lines
# `— name base64(key id ‖ signature)`. Everything is strict: one byte off is refused and never
# repaired, base64 is canonical, a known key is known by name and id, a bad signature of a known
# key fails the whole note, unknown signers are skipped. A checkpoint's text is origin, size and
# base64 root, a line each, with no extension line; none is signed at size 0.


ED25519 = 0x01
COSIGNATURE_V1 = 0x04
MOST_SIGNATURES = 100


_note_NAME = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_SIGNATURE = re.compile(rf"— ({_note_NAME.pattern}) ([A-Za-z0-9+/=]+)")
_SIZE = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_NO_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", re.ASCII)


def decode_base64(text: str, what: str) -> bytes:
    """Decode standard base64, refusing every spelling but the canonical one.

    Raises:
        NoteError: It is not base64, or its padding or last bits are not canonical.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(rule=f"{what} is not base64") from None
    if encode_base64(data) != text:
        raise NoteError(rule=f"{what} is not canonical base64")
    return data


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True)
class Verifier:
    """A public key that notes are checked with: its name, its kind, its 32 bytes.

    Attributes:
        name: For a log's own key, its origin.
        public: Raw Ed25519 public key.
        kind: `ED25519` for a log, `COSIGNATURE_V1` for a witness.
    """

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _note_NAME.fullmatch(self.name):
            raise NoteError(rule="a key's name holds no space and no plus sign")
        if len(self.public) != 32 or self.kind not in {ED25519, COSIGNATURE_V1}:
            raise NoteError(rule="the key is not a 32-byte Ed25519 key of a known kind")

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that name this key beside its name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def vkey(self) -> str:
        """Return the one-line spelling `name+id+base64`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._typed)}"

    @property
    def _typed(self) -> bytes:
        return bytes([self.kind]) + self.public

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read `name+id+base64` strictly.

        Raises:
            NoteError: The spelling is wrong, or the id is not the key's.
        """
        match = _VKEY.fullmatch(vkey)
        if match is None:
            raise NoteError(rule="a verifier key is spelled name+id+base64")
        typed = decode_base64(match[3], "the verifier key")
        key = cls(match[1], typed[1:], typed[0])
        if key.key_id.hex() != match[2]:
            raise NoteError(rule="the verifier key's id is not that of its name and bytes")
        return key

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature over a note's text.

        Returns:
            The time of a cosignature in seconds since 1970; none for a log's signature.

        Raises:
            NoteError: The signature is not this key's.
        """
        message, time = text.encode(), None
        if self.kind == COSIGNATURE_V1:
            if len(signature) != 72:
                raise NoteError(rule=f"the cosignature of {self.name} has the wrong length")
            time = int(struct.unpack(">Q", signature[:8])[0])
            message, signature = _cosigned(text, time), signature[8:]
        try:
            check_signature(self.public, signature, message)
        except ValueError:
            raise NoteError(rule=f"the signature of {self.name} is wrong") from None
        return time


@dataclass(frozen=True)
class Note:
    """A note that was opened: its text, and who signed it validly.

    Attributes:
        text: Ends in a newline.
        signers: The known keys whose signatures are good.
        times: The times of the good cosignatures, by the witness's name.
    """

    text: str
    signers: tuple[Verifier, ...]
    times: dict[str, int]


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text and its signatures, name and bytes, before any is believed.

    Raises:
        NoteError: A byte is off.
    """
    require_plain(note)
    text, blank, block = note.rpartition("\n\n")
    if not note.endswith("\n"):
        last = note.count("\n") + 1
        raise NoteError(rule=f"line {last}: it ends without a line end, as where a file was cut")
    if not blank or not block:
        last = note.count("\n")
        rule = f"line {last}: it is the last, and no signature line after a blank line"
        raise NoteError(rule=rule)
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(rule=f"it holds more than {MOST_SIGNATURES} signatures")
    return text + "\n", list(_signatures(lines, text.count("\n") + 3))


def open_note(note: str, known: Collection[Verifier]) -> Note:
    """Read a note and check every signature of a known key.

    Raises:
        NoteError: A byte is off, or a known key's signature is bad.
        UnknownSignerError: No known key signed.
    """
    text, lines = split_note(note)
    by_id = {(key.name, key.key_id): key for key in known}
    good: dict[tuple[str, bytes], Verifier] = {}
    times: dict[str, int] = {}
    for name, signed in lines:
        key = by_id.get((name, signed[:4]))
        if key is None:
            continue
        time = key.verify(text, signed[4:])
        good[name, signed[:4]] = key
        if time is not None:
            times[name] = time
    if not good:
        raise UnknownSignerError(rule="no known key has signed it")
    return Note(text, tuple(good.values()), times)


@dataclass(frozen=True)
class Checkpoint:
    """The size and the root of a log at one moment.

    Attributes:
        origin: `<host>/<trial>/audit`.
        size: Entries, at least 1.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str, origin: str) -> "Checkpoint":
        """Read a checkpoint's text strictly.

        Raises:
            NoteError: It is of another origin, of size 0, or spelled otherwise.
        """
        lines = text.split("\n")
        if lines[0] != origin:
            raise NoteError(rule=f"the checkpoint is not of {origin}")
        if len(lines) != 4 or lines[3]:
            raise NoteError(rule="a checkpoint has three lines and no extension")
        if not _SIZE.fullmatch(lines[1]):
            raise NoteError(rule="the checkpoint's size is no whole number from 1")
        root = decode_base64(lines[2], "the checkpoint's root")
        if len(root) != 32:
            raise NoteError(rule="the checkpoint's root is not 32 bytes")
        return cls(origin, int(lines[1]), root)


def open_cosigned(
    note: str, log: Verifier, witnesses: Collection[Verifier] = ()
) -> tuple[Checkpoint, tuple[str, ...]]:
    """Read a checkpoint as `open_checkpoint` does, and say which witnesses cosigned it.

    Returns:
        The checkpoint, and the names of the known witnesses with a good cosignature.

    Raises:
        NoteError: As `open_checkpoint`, or `log` is a witness's key.
    """
    if log.kind != ED25519:
        raise NoteError(rule=f"the key of {log.name} is a witness's, not a log's")
    opened = open_note(note, [log, *witnesses])
    if log not in opened.signers:
        raise UnknownSignerError(rule=f"{log.name} has not signed it")
    cosigners = tuple(key.name for key in opened.signers if key.kind == COSIGNATURE_V1)
    return Checkpoint.parse(opened.text, log.name), cosigners


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def require_plain(text: str) -> None:
    """Check that a note or a receipt is lines ended by LF, without a byte order mark.

    Raises:
        NoteError: It is not; the text names the first line that is wrong, from 1.
    """
    if text.startswith("\ufeff"):
        raise NoteError(rule="line 1: it begins with a byte order mark")
    found = _NO_TEXT.search(text)
    if found is None:
        return
    line = text.count("\n", 0, found.start()) + 1
    if found[0] == "\r":
        raise NoteError(rule=f"line {line}: it ends in CR LF, not in LF alone")
    raise NoteError(rule=f"line {line}: it holds a control character or a lone surrogate")


def _signatures(lines: list[str], first: int) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(lines, first):
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise NoteError(rule=f"line {number}: a signature line is spelled — name base64")
        signed = decode_base64(match[2], "a signature")
        if len(signed) < 5:
            raise NoteError(rule="a signature is shorter than its key id")
        yield match[1], signed


# ------------------------------------------------------------------------------
# alloc_service.permissions
#
# Who may do what: the roles, one table of permissions, and the roles that exclude each other.
#
# Whoever has made or approved a list knows it, or could: that person can never enrol in the
# trial, nor the reverse, over all time and not just now. An administrator has no part in the
# trial: neither its list nor its participants. Accounts carry a person id, so that a second
# account does not get round this.


class Role(StrEnum):
    """A role in a trial, as it is written in the audit log."""

    PHYSICIAN = "physician"
    STATISTICIAN = "statistician"
    SECOND_STATISTICIAN = "second-statistician"
    DMC = "dmc"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"


_MAKERS = frozenset({Role.STATISTICIAN, Role.SECOND_STATISTICIAN})


DISJOINT: tuple[frozenset[Role], ...] = (
    *(frozenset({maker, Role.PHYSICIAN}) for maker in sorted(_MAKERS)),
    *(frozenset({maker, Role.ADMINISTRATOR}) for maker in sorted(_MAKERS)),
    frozenset({Role.PHYSICIAN, Role.ADMINISTRATOR}),
    frozenset({Role.PHYSICIAN, Role.DMC}),
    frozenset({Role.ADMINISTRATOR, Role.DMC}),
)


def require_disjoint(held: Collection[Role], added: Role) -> None:
    """Check that a person who ever held `held` may be given `added`.

    Raises:
        DisjointRolesError: The two roles exclude each other in one trial, over all time.
    """
    for role in sorted(held):
        if frozenset({role, added}) in DISJOINT:
            raise DisjointRolesError(held=str(role), added=str(added))


# ------------------------------------------------------------------------------
# alloc_service.log.state
#
# What a log means so far: the state that `fold` moves, one entry at a time.


class Wrap(NamedTuple):
    """The logged wrap of one sealing of a list."""

    kid: str
    wrap_sha256: str


class Assigned(NamedTuple):
    """A slot that an enrolment spent, as its `slot.assigned` says."""

    seq: int
    list: int
    stratum: int
    slot: int
    leaf: str


@dataclass
class Ceremony:
    """A seed ceremony: who committed, who deposited, how far it is.

    Attributes:
        commitments: By party.
        hashes: The same commitments, so that a repeated one is found without a search.
        people: For each person who committed, the party.
        deposited: The parties whose shares lie with the escrow.
        revealed: The parties whose shares were handed in.
        announced: HEX32 hash of the announced document, or "".
        beacon: HEX32 value of the beacon, or "".
    """

    list: int
    commitments: dict[str, str] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    people: dict[str, str] = field(default_factory=dict)
    deposited: set[str] = field(default_factory=set)
    revealed: set[str] = field(default_factory=set)
    announced: str = ""
    beacon: str = ""
    aborted: bool = False


@dataclass
class ListState:
    """A list, from the freezing of its design on.

    Attributes:
        design_sha256: D.
        root: HEX32 root, or "" before it is sealed.
        slots: Slots of each stratum.
        wraps: The logged sealings, by number from 1.
        sealed_by: Id of the person who sealed it.
        next_slot: For each stratum, the slot that comes next.
        ceremony: The seed ceremony that runs for it or that gave its seed, or "".
        drilled_at: Time of the last drill in which everything was well, or "".
    """

    design_sha256: str
    root: str = ""
    slots: tuple[int, ...] = ()
    wraps: dict[int, Wrap] = field(default_factory=dict)
    sealed_by: str = ""
    approved_by: str = ""
    root_checked: bool = False
    active: bool = False
    retired: bool = False
    next_slot: list[int] = field(default_factory=list)
    ceremony: str = ""
    drilled_at: str = ""

    @property
    def step(self) -> str:
        """Return the furthest that this list came, in a word."""
        steps = (
            ("retired", self.retired),
            ("active", self.active),
            ("approved", bool(self.approved_by)),
            ("sealed", bool(self.root)),
        )
        return next((word for word, reached in steps if reached), "frozen")


@dataclass(frozen=True)
class WitnessPolicy:
    """A trial's witnesses.

    Attributes:
        mode: `off`; `follow`: they cosign later; `gate`: nothing opens before they did.
        quorum: How many of them must have cosigned.
        witnesses: Their keys.
    """

    mode: Literal["off", "follow", "gate"] = "off"
    quorum: int = 0
    witnesses: tuple[Verifier, ...] = ()


@dataclass
class LogState:
    """The state after `size` entries; a fresh one is the state of an empty log.

    Attributes:
        size: Entries so far.
        last: HEX leaf hash of the last entry, or "".
        time: Time of the last entry.
        sites: For each site that was ever activated, whether it is active.
        assigned: For each enrolment that spent a slot, which one.
        enrolment_sha256: For each of them, the hash of its record that counts.
        rereads: For the seq of each `slot.reread`, its enrolment.
        arms_reads: For the seq of each `arms.read`, up to which seq it looks.
        design_reads: For the seq of each `design.read`, its list.
        roles: For each person, every role that was ever granted.
        recoveries: How many `log.recovered` there were.
        kid: Id of the sealing key that was named last, or "".
        log_keys: The log's own keys as it names them, each with the seq that names it; none
            where they were never rotated.
        policy: The trial's witnesses, and what their cosignature is needed for.
        gate_suspended_until: Until when nothing waits for them, or "".
        ungated: The seq of each entry that may be opened without a cosignature, for it was
            logged while the gate was suspended.
    """

    size: int = 0
    last: str = ""
    time: str = ""
    origin: str = ""
    cap: int = 0
    trial: Literal["open", "paused", "closed"] = "open"
    lists: dict[int, ListState] = field(default_factory=dict)
    designs: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    ceremonies: dict[str, Ceremony] = field(default_factory=dict)
    sites: dict[str, bool] = field(default_factory=dict)
    assigned: dict[str, Assigned] = field(default_factory=dict)
    enrolment_sha256: dict[str, str] = field(default_factory=dict)
    rereads: dict[int, str] = field(default_factory=dict)
    arms_reads: dict[int, int] = field(default_factory=dict)
    design_reads: dict[int, int] = field(default_factory=dict)
    roles: dict[str, set[Role]] = field(default_factory=dict)
    recoveries: int = 0
    kid: str = ""
    log_keys: list[tuple[int, Verifier]] = field(default_factory=list)
    policy: WitnessPolicy = field(default_factory=WitnessPolicy)
    gate_suspended_until: str = ""
    ungated: set[int] = field(default_factory=set)


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_seed
#
# What a bundle holds of a list's seed: the announced ceremony, and at the end the seed itself.
#
# The document `rac-seed/1` of a ceremony is public. The seed is not, before the trial is over; then
# `seed.json` is canonical JSON, the escrow's text without the design, which stands beside it:
#
#     {"alg":"rac-seed-opened/1","beacon":HEX32|null,"reveals":[HEX32, …],"seed":HEX32}
#
# Without a ceremony `reveals` is empty and `beacon` null. With one, each reveal is what a party had
# committed to, in the order of the document, and all of them together give the seed.


OPENED = "rac-seed-opened/1"
DRAND, PUBLIC_STRING = "drand-quicknet", "public-string"


_bundle_seed_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ROUND = 2**53 - 1
_FORMS: Mapping[str, frozenset[str]] = {
    DRAND: frozenset({"kind", "chain", "round"}),
    PUBLIC_STRING: frozenset({"kind", "source"}),
}


@dataclass(frozen=True)
class CeremonyDocument:
    """The announced document of a ceremony, as it is spelled.

    Attributes:
        sha256: HEX32 of its bytes.
        name: The ceremony's.
        design_sha256: D.
        parties: (id, commitment), sorted by id.
        beacon: As spelled, or none.
    """

    sha256: str
    name: str
    design_sha256: str
    parties: tuple[tuple[str, str], ...]
    beacon: Mapping[str, Json] | None


@dataclass(frozen=True, repr=False)
class OpenedSeed(Secret):
    """A list's seed and what it was made of; hidden from reprs."""

    seed: Seed
    reveals: tuple[str, ...] = ()
    beacon: str | None = None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of `seed.json`."""
        return canon(
            {
                "alg": OPENED,
                "beacon": self.beacon,
                "reveals": list(self.reveals),
                "seed": self.seed.digits,
            }
        )


def parse_opened_seed(data: bytes, where: str) -> OpenedSeed:
    """Read `seed.json` strictly; a refusal repeats nothing of it.

    Raises:
        BundleError: It is spelled otherwise.
    """
    document = _parse(data, where, {"alg", "beacon", "reveals", "seed"}, OPENED)
    beacon, reveals = document["beacon"], document["reveals"]
    _bundle_seed_require(beacon is None or _is_hex(beacon), where, "its beacon is no HEX32")
    values = reveals if isinstance(reveals, list) else [None]
    _bundle_seed_require(all(map(_is_hex, values)), where, "a reveal is no HEX32")
    try:
        seed = Seed(str(document["seed"]))
    except SeedError:
        raise BundleError(where=where, rule="its seed is none") from None
    return OpenedSeed(seed, tuple(map(str, values)), None if beacon is None else str(beacon))


def parse_ceremony(data: bytes, where: str) -> CeremonyDocument:
    """Read the document of a ceremony strictly.

    Raises:
        BundleError: It is spelled otherwise.
    """
    names = {"alg", "beacon", "ceremony", "design_sha256", "parties"}
    document = _parse(data, where, names, CEREMONY)
    parties = tuple(_read_parties(document["parties"], where))
    ids = [party for party, _ in parties]
    _bundle_seed_require(ids == sorted(set(ids)), where, "its parties are not sorted, each once")
    beacon = document["beacon"]
    return CeremonyDocument(
        sha256=hashlib.sha256(data).hexdigest(),
        name=str(document["ceremony"]),
        design_sha256=str(document["design_sha256"]),
        parties=parties,
        beacon=None if beacon is None else _read_beacon(beacon, where),
    )


def check_ceremony(
    document: CeremonyDocument, name: str, logged: Ceremony, design_sha256: str, where: str
) -> None:
    """Compare a ceremony's document with what the log says of that ceremony.

    Raises:
        BundleError: They differ, or a public string's value is not its hash.
    """
    announced = document.sha256 == logged.announced
    _bundle_seed_require(announced, where, "its hash is not the doc_sha256 that seed.announced logged")
    _bundle_seed_require(document.name == name, where, f"it is not of the logged ceremony {name}")
    _bundle_seed_require(document.design_sha256 == design_sha256, where, "it is for another design")
    same = dict(document.parties) == logged.commitments
    _bundle_seed_require(same, where, "its parties and commitments are not those that seed.committed logged")
    if document.beacon is None:
        _bundle_seed_require(not logged.beacon, where, "it awaits no beacon, and the log holds one")
        return
    _bundle_seed_require(bool(logged.beacon), where, "it awaits a beacon, and none is logged")
    if document.beacon["kind"] == PUBLIC_STRING:
        value = hashlib.sha256(str(document.beacon["source"]).encode()).hexdigest()
        _bundle_seed_require(value == logged.beacon, where, "the logged beacon is not the hash of its source")


def check_seed(
    opened: OpenedSeed, name: str, logged: Ceremony | None, design_sha256: str, where: str
) -> None:
    """Compare a seed with the ceremony that gave it; without one there is nothing it came from.

    Commitments, beacon and the document's hash are the log's, so that who leaves the document out
    hides nothing by it.

    Raises:
        BundleError: A reveal is not what its party had committed to, the beacon is not the
            logged one, or together they give another seed.
    """
    if logged is None:
        alone = not opened.reveals and opened.beacon is None
        _bundle_seed_require(alone, where, "it has reveals or a beacon, and the list had no ceremony")
        return
    _bundle_seed_require(opened.beacon == (logged.beacon or None), where, "its beacon is not the logged one")
    _bundle_seed_require(len(opened.reveals) == len(logged.commitments), where, "a reveal is missing or extra")
    for party, reveal in zip(sorted(logged.commitments), opened.reveals):
        found = hash_share(design_sha256, name, party, reveal)
        rule = f"the reveal of {party} is not what {party} had committed to (rac-commit/1)"
        _bundle_seed_require(found == logged.commitments[party], where, rule)
    combined = hash_shares(logged.announced, opened.reveals, opened.beacon)
    rule = "it is not the one that reveals and beacon give (rac-seed/1)"
    _bundle_seed_require(combined == opened.seed.digits, where, rule)


def _parse(data: bytes, where: str, names: set[str], alg: str) -> dict[str, Json]:
    try:
        document = parse_object(data, where)
    except CanonError:
        raise BundleError(where=where, rule="it is not canonical JSON") from None
    spelled = document.keys() == names and document["alg"] == alg
    _bundle_seed_require(spelled, where, f"it is not spelled as {alg} demands")
    return document


def _read_parties(rows: Json, where: str) -> Iterator[tuple[str, str]]:
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, dict) or row.keys() != {"commitment", "id"}:
            raise BundleError(where=where, rule="a party is not of an id and a commitment")
        _bundle_seed_require(_is_hex(row["commitment"]), where, "a party's commitment is no HEX32")
        _bundle_seed_require(isinstance(row["id"], str), where, "a party's id is no text")
        yield str(row["id"]), str(row["commitment"])


def _read_beacon(beacon: Json, where: str) -> Mapping[str, Json]:
    rule = "its beacon is of no kind that rac-seed/1 has"
    if not isinstance(beacon, dict) or beacon.keys() != _FORMS.get(str(beacon.get("kind"))):
        raise BundleError(where=where, rule=rule)
    if beacon["kind"] == DRAND:
        number = beacon["round"]
        counted = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _ROUND
        _bundle_seed_require(counted and _is_hex(beacon["chain"]), where, rule)
    else:
        _bundle_seed_require(isinstance(beacon["source"], str), where, rule)
    return beacon


def _is_hex(value: Json) -> bool:
    return isinstance(value, str) and _bundle_seed_HEX32.fullmatch(value) is not None


def _bundle_seed_require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_lists
#
# The lists of a bundle against its log: leaves, openings, design, ceremony, seed.
#
# `leaves.bin` must lead to the logged root, and each spent slot's leaf must be the logged one. An
# opening must be that of a spent slot: one of a slot to come would give the list away, and is
# refused as a fault of whoever made the bundle. The design must hash to the logged D; ceremony and
# seed are `bundle_seed`'s; design and seed together make the whole list anew, and its root too.


_LINE = re.compile(rb"(0|[1-9][0-9]{0,6})\t([!-~]+)\n")


@dataclass
class CheckedList:
    """A list whose members were found good.

    Attributes:
        number: The list's.
        codes: Its strata's codes, where the design is there.
        opened: How many spent slots have their opening here, of how many.
        design: Whether its design is there and is the frozen one.
        made_anew: Whether seed and design are there and gave the very list.
        unchecked: What was not there to check, a sentence each.
    """

    number: int
    codes: tuple[str, ...] = ()
    opened: int = 0
    spent: int = 0
    design: bool = False
    made_anew: bool = False
    unchecked: list[str] = field(default_factory=list)


class ListMembers:
    """The members of one list, to be checked against the state of the verified log."""

    def __init__(self, members: Mapping[str, bytes], number: int, state: LogState) -> None:
        self._members = members
        self._number = number
        self._closed = state.trial == "closed"
        self._origin = state.origin
        self._known: ListState = state.lists[number]
        self._ceremony: Ceremony | None = state.ceremonies.get(self._known.ceremony)
        starts = [0, *accumulate(self._known.slots)]
        self._spent = {
            starts[item.stratum] + item.slot: item
            for item in state.assigned.values()
            if item.list == number
        }

    def check(self) -> CheckedList:
        """Check every member of this list.

        Raises:
            BundleError: The first that is not what the log says.
        """
        found = CheckedList(self._number, spent=len(self._spent))
        leaves = self._check_leaves()
        self._check_openings(found)
        design = self._check_design(found)
        self._check_ceremony(found)
        self._check_seed(found, leaves, design)
        return found

    def _check_leaves(self) -> Sequence[bytes]:
        where, data = self._find("leaves.bin")
        if data is None:
            raise BundleError(where=where, rule="it is missing, and the log has sealed this list")
        count = sum(self._known.slots)
        _bundle_lists_require(len(data) == count * HASH_BYTES, where, f"it is not of {count:,} leaves")
        leaves = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        root = root_of(leaves).hex()
        _bundle_lists_require(root == self._known.root, where, "its root is not the one that list.sealed logged")
        for index, item in self._spent.items():
            logged = leaves[index].hex() == item.leaf
            _bundle_lists_require(logged, where, f"the leaf that entry {item.seq} logged is not in its place")
        return leaves

    def _check_openings(self, found: CheckedList) -> None:
        where, data = self._find("openings.txt")
        if data is None:
            if self._spent:
                found.unchecked.append(
                    f"No opening of list {self._number} is here: that its {len(self._spent):,} "
                    "spent slots hold arms as designed is not checked."
                )
            return
        last = -1
        for index, text in _read_openings(data, where):
            _bundle_lists_require(index > last, where, "its lines are not sorted by index, each once")
            item = self._spent.get(index)
            if item is None:
                rule = f"index {index} is of no slot that is spent; others stay sealed"
                raise BundleError(where=where, rule=rule)
            self._check_opening(where, index, item, text)
            last = index
            found.opened += 1
        if found.opened < len(self._spent):
            missing = len(self._spent) - found.opened
            found.unchecked.append(
                f"Spent slots of list {self._number} without their opening here: {missing:,}."
            )

    def _check_opening(self, where: str, index: int, item: Assigned, text: str) -> None:
        try:
            opening = Opening.parse(text)
        except ListFileError:
            rule = f"index {index} has no opening (rac-slot/1)"
            raise BundleError(where=where, rule=rule) from None
        of_design = opening.design_sha256 == self._known.design_sha256
        _bundle_lists_require(of_design, where, f"the opening of index {index} is of another design")
        same = (opening.stratum, opening.slot) == (item.stratum, item.slot)
        _bundle_lists_require(same, where, f"the opening of index {index} is of another stratum or slot")
        rule = f"the opening of index {index} is not the one that its leaf commits to"
        _bundle_lists_require(opening.leaf.hex() == item.leaf, where, rule)

    def _check_design(self, found: CheckedList) -> Design | None:
        where, data = self._find("design.json")
        if data is None:
            found.unchecked.append(
                f"No design of list {self._number} is here: its arms, blocks and strata are not "
                "checked."
            )
            return None
        try:
            design = Design.from_bytes(data)
        except (CanonError, DesignError):
            raise BundleError(where=where, rule="it is no design (rac-gen/1)") from None
        frozen = design.sha256 == self._known.design_sha256
        _bundle_lists_require(frozen, where, "its hash is not the one that design.frozen logged")
        trial = self._origin.partition("/")[2].rpartition("/")[0]
        of_list = (design.trial, design.list) == (trial, self._number)
        _bundle_lists_require(of_list, where, "it is of another trial or list")
        slots = tuple(stratum.slots for stratum in design.strata)
        _bundle_lists_require(slots == self._known.slots, where, "its slots are not those of list.sealed")
        found.codes = tuple(stratum.code for stratum in design.strata)
        found.design = True
        return design

    def _check_ceremony(self, found: CheckedList) -> None:
        where, data = self._find("ceremony.json")
        name, logged = self._known.ceremony, self._ceremony
        if data is None:
            if logged is not None:
                found.unchecked.append(
                    f"The document of the ceremony {name} of list {self._number} is not here."
                )
            return
        if logged is None:
            raise BundleError(where=where, rule="the log has no ceremony of this list's seed")
        document = parse_ceremony(data, where)
        check_ceremony(document, name, logged, self._known.design_sha256, where)
        if document.beacon is not None and document.beacon["kind"] == DRAND:
            found.unchecked.append(
                f"Whether {logged.beacon} is what drand published for round "
                f"{document.beacon['round']} is not checked here: ask any of its servers."
            )

    def _check_seed(
        self, found: CheckedList, leaves: Sequence[bytes], design: Design | None
    ) -> None:
        where, data = self._find("seed.json")
        if data is None:
            found.unchecked.append(
                f"No seed of list {self._number} is here: the list is not made anew."
            )
            return
        _bundle_lists_require(self._closed, where, "the trial is not closed: a seed must not be here yet")
        opened = parse_opened_seed(data, where)
        known = self._known
        check_seed(opened, known.ceremony, self._ceremony, known.design_sha256, where)
        if design is None:  # that it is not here is told already
            return
        made = generate(design, opened.seed)
        rule = "with the design it gives another list than the sealed one (rac-gen/1)"
        _bundle_lists_require(made.root == self._known.root and made.leaves == b"".join(leaves), where, rule)
        found.made_anew = True

    def _find(self, name: str) -> tuple[str, bytes | None]:
        where = f"lists/{self._number}/{name}"
        return where, self._members.get(where)


def _read_openings(data: bytes, where: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            rule = f"line {number} is not an index, a tab, an opening and a line feed"
            raise BundleError(where=where, rule=rule)
        yield int(match[1]), match[2].decode("ascii")


def _bundle_lists_require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_readme
#
# The README of a bundle: how to check it with the verifier, and each step by hand.


README_TEXT = """\
This archive (rac-bundle/1) holds the evidence of one trial's randomization: its audit log, the
signed checkpoints, and what the log has committed to. docs/formats.md of the service spells
every byte of it.

By program
  python3 verify_bundle.py BUNDLE.zip --policy POLICY

Python 3.9 or newer is enough; nothing is installed and nothing is sent anywhere. POLICY is the
file that you were given when the trial began (`alloc log policy TRIAL`), not the policy.txt in
here: who could forge this archive could forge that file too. For the same reason take
verify_bundle.py from a place that you trust, not from here. Exit code 0: everything that is here
is good. 1: it names the first thing that is wrong. What was not there to check is listed.

By hand
  Unpack:            unzip BUNDLE.zip -d bundle && cd bundle
  A file's hash:     sha256sum audit/entries.ndjson        (compare with MANIFEST.json)
  An entry's leaf:   entry N, from 0, stands in line N+1
                     { printf '\\0'; sed -n 'LINEp' audit/entries.ndjson | tr -d '\\n'; } \\
                       | sha256sum
                     The next entry's "prev" is this hash.
  An opening's leaf: { printf '\\0'; printf %s 'rac-slot/1|...'; } | sha256sum
                     It stands in leaves.bin, 32 bytes a slot, at the index of its line:
                     tail -c +$((32*INDEX+1)) lists/1/leaves.bin | head -c 32 | od -An -v -tx1
                     and in the "leaf" of the slot.assigned entry that spent the slot.
  A design's hash:   sha256sum lists/1/design.json         (compare with design.frozen)
  A ceremony's hash: sha256sum lists/1/ceremony.json       (compare with seed.announced)
  A commitment:      printf %s 'rac-commit/1|D|CEREMONY|PARTY|REVEAL' | sha256sum
  The seed:          printf %s 'rac-seed/1|REVEAL|REVEAL|BEACON' | \\
                       openssl dgst -sha256 -hmac DOC_SHA256
                     with the reveals in the order of the document, and - without a beacon
  The list anew:     alloc list regenerate --design lists/1/design.json --seed-file SEED --root ROOT
  A signature:       audit/checkpoint is a C2SP signed note; any tool that reads those checks it.
"""


# ------------------------------------------------------------------------------
# alloc_service.log.entry
#
# One entry of the audit log `rac-log/1`: its types, its fields, its bytes.
#
# An entry is canonical JSON {"body","prev","seq","time","type","v"}, under 65,536 bytes; its leaf
# is SHA-256(0x00 ‖ bytes), and `prev` is the leaf of the entry before, or "". A body holds no arm,
# no patient data and no free text: only ids, codes, counts and hashes. The table `FIELDS` says
# which, and is compiled to one grammar a type: bytes that match it are canonical, complete and of
# the right kinds at once. What may follow what is in `rules`.


VERSION: Final = "rac-log/1"
LONGEST: Final = 65_535


# What stands in a body: the checks of `FIELDS` have fixed what each field is.
Body: TypeAlias = Mapping[str, Any]
Fields: TypeAlias = Mapping[str, str]


class Entry(NamedTuple):
    """An entry that was read or written strictly, with the bytes that are hashed.

    Attributes:
        seq: Position in the log, from 0.
        prev: HEX leaf hash of the entry before, or "" at seq 0.
        time: `YYYY-MM-DDTHH:MM:SSZ`, a real date, UTC.
        type: One of `FIELDS`.
        body: The fields of that type, and `actor`.
        data: The canonical bytes.
        leaf: HEX leaf hash of the bytes.
    """

    seq: int
    prev: str
    time: str
    type: str
    body: Body
    data: bytes
    leaf: str

    @property
    def actor_id(self) -> str:
        """Return the id of the person who acted."""
        return str(self.body["actor"]["id"])


# The kinds of field, each as the regular expression of its canonical JSON.
HEX32 = '"[0-9a-f]{64}"'
HEX32_OR_EMPTY = '"(?:[0-9a-f]{64})?"'
KID = '"[0-9a-f]{16}"'
CODE = '"[a-z0-9.-]{1,64}"'
ID = '"[A-Za-z0-9._/@-]{1,64}"'
NAME = '"[A-Za-z0-9._/-]{1,64}"'
SITE = '"[A-Za-z0-9._/-]{0,64}"'
ROLE = '"[a-z0-9-]{1,64}"'
ROLE_OR_EMPTY = '"[a-z0-9-]{0,64}"'
ORIGIN = '"[A-Za-z0-9.:-]{1,128}/[A-Za-z0-9._/-]{1,64}/audit"'
# 33 bytes, kind and key, are 44 characters of base64 without padding or loose bits.
VKEY = r'"[A-Za-z0-9.:/_-]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}"'
UUID = '"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"'
# The hours end at 23 here, because newer Pythons read 24:00:00 as the next midnight.
TIME = '"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"'
COUNT = "(?:0|[1-9][0-9]{0,14})"
POSITIVE = "[1-9][0-9]{0,14}"
LIST = "[1-9][0-9]{0,3}"
FLAG = "(?:true|false)"
SLOTS = r"\[[1-9][0-9]{0,6}(?:,[1-9][0-9]{0,6}){0,999}\]"
LISTS = rf"\[(?:{LIST}(?:,{LIST})*)?\]"
MODE = '"(?:off|follow|gate)"'
VKEYS = rf"\[(?:{VKEY}(?:,{VKEY}){{0,15}})?\]"
PERSON = rf'\{{"id":{ID},"org":{ID},"role":{ROLE}\}}'


_CHANGE: Fields = {"subject": ID, "role": ROLE_OR_EMPTY, "site": SITE}
_STATE: Fields = {"code": CODE, "reason_sha256": HEX32_OR_EMPTY}


# Every type of entry and its fields beside `actor`. Where a type has two forms, both stand here.
FIELDS: Mapping[str, tuple[Fields, ...]] = {
    "trial.created": ({"origin": ORIGIN, "cap": POSITIVE, "salt": HEX32},),
    "design.frozen": ({"list": LIST, "design_sha256": HEX32},),
    "seed.committed": ({"ceremony": NAME, "list": LIST, "party": NAME, "commitment": HEX32},),
    "seed.deposited": ({"ceremony": NAME, "party": NAME},),
    "seed.announced": ({"ceremony": NAME, "list": LIST, "doc_sha256": HEX32},),
    "seed.beacon": ({"ceremony": NAME, "value": HEX32},),
    "seed.revealed": ({"ceremony": NAME, "party": NAME},),
    "seed.aborted": ({"ceremony": NAME, "code": CODE},),
    "list.sealed": (
        {
            "list": LIST,
            "sealing": POSITIVE,
            "design_sha256": HEX32,
            "root": HEX32,
            "slots": SLOTS,
            "kid": KID,
            "wrap_sha256": HEX32,
        },
    ),
    "list.approved": ({"list": LIST, "root": HEX32, "root_checked": FLAG},),
    "list.activated": ({"list": LIST},),
    "list.resealed": ({"list": LIST, "sealing": POSITIVE, "kid": KID, "wrap_sha256": HEX32},),
    "site.activated": ({"site": NAME},),
    "site.paused": ({"site": NAME},),
    "trial.paused": (_STATE,),
    "trial.resumed": (_STATE,),
    "trial.closed": (_STATE,),
    "cap.changed": ({"cap": POSITIVE},),
    "slot.assigned": (
        {
            "list": LIST,
            "stratum": COUNT,
            "slot": COUNT,
            "leaf": HEX32,
            "enrolment": UUID,
            "enrolment_sha256": HEX32,
        },
    ),
    "slot.reread": ({"enrolment": UUID, "of": COUNT},),
    "arms.read": ({"purpose": CODE, "upto": COUNT},),
    "enrolment.restored": ({"enrolment": UUID, "enrolment_sha256": HEX32, "second": PERSON},),
    "allocation.refused": ({"enrolment": UUID, "code": CODE},),
    "design.read": ({"list": LIST},),
    "log.exported": ({"upto": COUNT},),
    "list.regenerated": ({"list": LIST, "root_equal": FLAG},),
    "user.changed": (_CHANGE,),
    "grant.added": (_CHANGE,),
    "grant.ended": (_CHANGE,),
    "key.created": ({"kid": KID}, {"vkey": VKEY}),
    "key.rotated": ({"kid": KID}, {"vkey": VKEY}),
    "key.rewrapped": ({"list": LIST, "sealing": POSITIVE, "kid": KID, "wrap_sha256": HEX32},),
    "clock.corrected": ({"from": TIME, "to": TIME},),
    "log.recovered": (
        {"upto": COUNT, "fork_sha256": HEX32_OR_EMPTY, "retired": LISTS, "second": PERSON},
    ),
    "rollback.detected": ({"expected": COUNT, "found": COUNT},),
    "witness.policy": ({"mode": MODE, "quorum": COUNT, "witnesses": VKEYS, "second": PERSON},),
    "gate.suspended": (
        {"until": TIME, "code": CODE, "reason_sha256": HEX32_OR_EMPTY, "second": PERSON},
    ),
    "gate.resumed": ({},),
    "drill.done": (
        {
            "list": LIST,
            "root_equal": FLAG,
            "blob_opened": FLAG,
            "log_verified": FLAG,
            "second": PERSON,
        },
    ),
}


def _grammar(type_: str, forms: tuple[Fields, ...]) -> "re.Pattern[str]":
    bodies = [
        ",".join(f'"{name}":{kind}' for name, kind in sorted({**form, "actor": PERSON}.items()))
        for form in forms
    ]
    return re.compile(
        rf'\{{"body":\{{(?:{"|".join(bodies)})\}},"prev":{HEX32_OR_EMPTY},"seq":{COUNT},'
        rf'"time":{TIME},"type":"{re.escape(type_)}","v":"{VERSION}"\}}'
    )


_GRAMMARS: Final = {type_: _grammar(type_, forms).fullmatch for type_, forms in FIELDS.items()}
_NO_GRAMMAR: Final = re.compile(r"(?!)").fullmatch
_DECODE: Final = json.JSONDecoder().raw_decode


def read_entry(data: bytes) -> Entry:
    """Read an entry strictly from its bytes.

    Raises:
        CanonError: The bytes are not canonical JSON.
        EntryError: The entry is too long, of another version or type, or a field is wrong.
    """
    if len(data) > LONGEST:
        raise EntryError(where="entry", rule=f"longer than {LONGEST:,} bytes")
    try:
        text = data.decode("ascii")
        document, _end = _DECODE(text)
        grammar = _GRAMMARS.get(document["type"], _NO_GRAMMAR)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _entry_fault(data) from None
    if grammar(text) is None:
        raise _entry_fault(data)
    seq, time = document["seq"], document["time"]
    if not _is_real(time):
        raise EntryError(where=f"entry {seq}, time", rule="must be a real UTC date and time")
    leaf = leaf_hash(data).hex()
    return Entry(seq, document["prev"], time, document["type"], document["body"], data, leaf)


def parse_time(text: str) -> datetime:
    """Return the aware UTC moment of a time in the log's spelling."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # older Pythons read no Z


def _is_real(time: str) -> bool:
    try:
        datetime.fromisoformat(time[:-1])
    except ValueError:
        return False
    return True


def _entry_fault(data: bytes) -> CanonError | EntryError:
    """Return why bytes match no grammar: the slow way, taken for a refusal only."""
    try:
        document = parse_object(data, "entry")
    except CanonError as error:
        return error
    version = document.get("v")
    if isinstance(version, str) and version != VERSION:  # first: its frame may be another too
        return VersionError(where=_entry_show(document.get("seq")), version=_entry_show(version))
    frame = {
        "body": ".*", "prev": HEX32_OR_EMPTY, "seq": COUNT, "time": TIME, "type": ".*",
        "v": f'"{VERSION}"',
    }  # fmt: skip
    if fault := _first_fault(document, frame):
        return EntryError(where="entry", rule=fault)
    forms = FIELDS.get(str(document["type"]))
    where = f"entry {document['seq']}"
    if forms is None:
        return EntryTypeError(where=where, type=_entry_show(document["type"]))
    body = document["body"]
    if not isinstance(body, dict):
        return EntryError(where=f"{where}, body", rule="must be an object")
    form = max(forms, key=lambda form: len(form.keys() & body.keys()))
    fault = _first_fault(body, {**form, "actor": PERSON})
    return EntryError(where=f"{where}, {document['type']}", rule=fault)


def _first_fault(found: Mapping[str, Json], kinds: Fields) -> str:
    for name in sorted(found.keys() | kinds.keys()):
        if name not in kinds:
            return f"unknown field {_entry_show(name)}"
        if name not in found:
            return f"missing field {name}"
        if not re.fullmatch(kinds[name], canon(found[name]).decode("utf-8"), re.ASCII | re.DOTALL):
            return f"the field {name} is not of the kind that the format demands"
    return ""


def _entry_show(value: object) -> str:
    return repr(value)[:80]


# ------------------------------------------------------------------------------
# alloc_service.log.evidence
#
# What was found in evidence that is good: what holds, what to know, what was not there.


@dataclass(frozen=True)
class EvidenceReport:
    """What was found in a good bundle or receipt.

    Attributes:
        origin: The log's name.
        size: Entries of the log that was vouched for.
        root: HEX32 root over them.
        checked: What holds, a sentence each.
        told: What a reader should know of it although it is no fault, a sentence each.
        unchecked: What was not there to check, a sentence each.
        build: Of a bundle, `blinded` or `unblinded`; of a receipt, "".
    """

    origin: str
    size: int
    root: str
    checked: tuple[str, ...]
    told: tuple[str, ...]
    unchecked: tuple[str, ...]
    build: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return what a script is given."""
        return {"ok": True, **asdict(self)}


# ------------------------------------------------------------------------------
# alloc_service.log.list_order
#
# Of several active lists the lowest whose stratum is not exhausted is taken.
#
# The log alone cannot tell, for it knows no stratum codes; with the designs it can be told.


@dataclass
class ListOrder:
    """What happened to the lists, as far as it says which of them were at hand when.

    Attributes:
        steps: (seq, list, stratum) of each spent slot; stratum -1 for a list that was activated,
            -2 for one that was retired.
    """

    steps: list[tuple[int, int, int]] = field(default_factory=list)
    _active: int = 0

    ACTIVATED = -1
    RETIRED = -2

    def see(self, entry: Entry) -> None:
        """Take note of an entry of a good log."""
        body = entry.body
        if entry.type == "slot.assigned":
            self.steps.append((entry.seq, body["list"], body["stratum"]))
        elif entry.type == "list.activated":
            self.steps.append((entry.seq, body["list"], self.ACTIVATED))
            self._active += 1
        elif entry.type == "log.recovered":
            self.steps += [(entry.seq, number, self.RETIRED) for number in body["retired"]]

    @property
    def is_a_choice(self) -> bool:
        """Tell whether there ever was more than one list to choose from."""
        return self._active > 1

    def check(self, codes: Mapping[int, Sequence[str]], slots: Mapping[int, Sequence[int]]) -> None:
        """Check the choice of every slot.

        Args:
            codes: Each activated list's strata, from its design.
            slots: Each list's slots a stratum, as logged.

        Raises:
            BundleError: A slot was taken of a list although a lower one had one left.
        """
        left: dict[int, dict[str, int]] = {}
        for seq, number, stratum in self.steps:
            if stratum == self.ACTIVATED:
                left[number] = dict(zip(codes[number], slots[number]))
            elif stratum == self.RETIRED:
                left.pop(number, None)
            else:
                code = codes[number][stratum]
                lower = [item for item in left if item < number and left[item].get(code, 0)]
                if lower:
                    rule = (
                        f"entry {seq} took a slot of list {number}, and list {min(lower)} had one "
                        "left in its stratum"
                    )
                    raise BundleError(where="audit/entries.ndjson", rule=rule)
                left[number][code] -= 1


# ------------------------------------------------------------------------------
# alloc_service.log.policy
#
# Whom a reader of a log trusts: C2SP `tlog-policy`, a text file that is kept apart from the log.
#
#     log <vkey> [<url>]
#     witness <name> <vkey> [<url>]
#     group <name> <k|any|all> <member>…
#     quorum <name|none>
#
# A name is defined above where it is used, once, and is a member of one group at most, so that a
# witness counts in one way only; there is one `quorum` line; empty lines and lines that begin with #
# say nothing. Lines end in LF alone, and space and tab alone part their words: what another program
# reads as one line or one word is not two here. A checkpoint meets the quorum if the named witness
# has cosigned it, or at least k members of the named group meet it. Here a key has one name, a log
# one key, and a policy at most 100 groups.


NO_QUORUM = "none"
MOST_GROUPS = 100


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WORD = re.compile(r"[^ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


@dataclass(frozen=True)
class Group:
    """Witnesses or groups of which some must have cosigned."""

    needed: int
    members: tuple[str, ...]


@dataclass
class Policy:
    """A policy that was read.

    Attributes:
        logs: The logs' keys by origin.
        witnesses: Their keys, by the names that the policy gives them.
        groups: By name.
        quorum: Name of a witness or a group, or `none`.
    """

    logs: dict[str, Verifier] = field(default_factory=dict)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    def key_of(self, origin: str) -> Verifier:
        """Return the key of a log.

        Raises:
            PolicyError: The policy does not know it.
        """
        if origin not in self.logs:
            known = ", ".join(self.logs)
            raise PolicyError(line="", rule=f"it knows the log {known}, and not {origin}")
        return self.logs[origin]

    def is_met_by(self, cosigners: Collection[str]) -> bool:
        """Tell whether the keys of these names are a quorum; where none is asked, they are."""
        return self.quorum == NO_QUORUM or self._is_met(self.quorum, cosigners)

    def _is_met(self, name: str, cosigners: Collection[str]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].name in cosigners
        group = self.groups[name]
        return sum(self._is_met(member, cosigners) for member in group.members) >= group.needed


def write_policy(log_key: Verifier, policy: WitnessPolicy) -> str:
    """Return the policy file of one log with its trial's witnesses."""
    lines = [f"log {log_key.vkey}"]
    names: dict[str, Verifier] = {}
    for key in policy.witnesses:
        names[_free_name(key.name, names)] = key
    lines += [f"witness {name} {key.vkey}" for name, key in names.items()]
    quorum = NO_QUORUM
    if policy.quorum:
        quorum = _free_name("trial-witnesses", names)
        lines.append(f"group {quorum} {policy.quorum} {' '.join(names)}")
    return "\n".join([*lines, f"quorum {quorum}", ""])


def parse_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        PolicyError: A line is none that the format has, or names what is not there.
    """
    policy = Policy()
    for number, words in read_words(text):
        try:
            _read_line(policy, words)
        except NoteError as error:
            raise _refusal(number, str(error.facts["rule"])) from None
        except ValueError as error:
            raise _refusal(number, str(error)) from None
    if not policy.quorum:
        raise PolicyError(line="", rule="it has no quorum line; `quorum none` asks for no witness")
    if not policy.logs:
        raise PolicyError(line="", rule="it names no log")
    return policy


def read_words(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that says something, whoever it is for.

    Raises:
        PolicyError: A line holds a control character, such as the CR of CR LF.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith("\r"):
            raise _refusal(number, "it ends in CR LF, not in LF alone")
        if _CONTROL.search(line):
            raise _refusal(number, "it holds a control character")
        words = _WORD.findall(line)
        if words and not words[0].startswith("#"):
            yield number, words


def _read_line(policy: Policy, words: list[str]) -> None:
    kind, count = words[0], len(words)
    if kind == "log" and count in {2, 3}:
        _read_log(policy, words[1])
    elif kind == "witness" and count in {3, 4}:
        _policy_read_witness(policy, words[1], words[2])
    elif kind == "group" and count >= 4:
        _read_group(policy, words[1], words[2], words[3:])
    elif kind == "quorum" and count == 2:
        _policy_require(not policy.quorum, "a second quorum line")
        known = words[1] == NO_QUORUM or words[1] in {*policy.witnesses, *policy.groups}
        _policy_require(known, f"the quorum {words[1]} is not defined above")
        policy.quorum = words[1]
    else:
        raise ValueError("it is no line of a policy: log, witness, group or quorum")


def _read_log(policy: Policy, vkey: str) -> None:
    key = Verifier.parse(vkey)
    _policy_require(key.kind == ED25519, "the log's key is a witness's")
    _policy_require(key.name not in policy.logs, f"a second key of the log {key.name}")
    policy.logs[key.name] = key


def _policy_read_witness(policy: Policy, name: str, vkey: str) -> None:
    key = Verifier.parse(vkey)
    _policy_require(key.kind == COSIGNATURE_V1, "the witness's key is a log's")
    _require_new(policy, name)
    for other in policy.witnesses.values():
        _policy_require(other.name != key.name, f"a second key of the name {key.name}")
        _policy_require(other.public != key.public, f"{name} has the key of another witness")
    policy.witnesses[name] = key


def _read_group(policy: Policy, name: str, needed: str, members: list[str]) -> None:
    _require_new(policy, name)
    _policy_require(len(policy.groups) < MOST_GROUPS, f"there are more than {MOST_GROUPS} groups")
    _policy_require(len(set(members)) == len(members), f"a member of the group {name} stands twice")
    taken = {member for group in policy.groups.values() for member in group.members}
    for member in members:
        known = member in policy.witnesses or member in policy.groups
        _policy_require(known, f"the member {member} is not defined above")
        _policy_require(member not in taken, f"{member} is a member of another group already")
    counts: Mapping[str, int] = {"any": 1, "all": len(members)}
    _policy_require(needed in counts or bool(_COUNT.fullmatch(needed)), "a group needs a number of them")
    count = counts[needed] if needed in counts else int(needed)
    _policy_require(count <= len(members), f"the group {name} needs more than its members")
    policy.groups[name] = Group(count, tuple(members))


def _require_new(policy: Policy, name: str) -> None:
    free = name != NO_QUORUM and name not in policy.witnesses and name not in policy.groups
    _policy_require(free, f"the name {name} is taken")


def _policy_require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def _refusal(number: int, rule: str) -> PolicyError:
    return PolicyError(line=f", line {number}", rule=rule)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing else in the policy has."""
    while name == NO_QUORUM or name in taken:
        name += "-"
    return name


# ------------------------------------------------------------------------------
# alloc_service.log.checkpoints
#
# The checkpoints at hand of one log, opened with the keys that are trusted so far.
#
# The first key is given. Another one is trusted once a checkpoint of a trusted key covers the entry
# `key.rotated` that names it, and agrees with the log: the old key vouches for the new one. A
# checkpoint that only an unknown key has signed waits for that, and is refused if it never comes.
# From then on the older key signs nothing: a checkpoint after the change that lacks the newer key's
# signature is refused, for who took the older key away could have made it.
# Where the given key is itself one that took an older one's place, nothing vouches for the older
# one: its checkpoints, of sizes up to that change, are neither used nor refused.


class SignedRoots:
    """What trusted keys have signed.

    Attributes:
        keys: The log's trusted keys, the first one first; empty where none was given.
        witnesses: Names of the witnesses whose keys were given.
        roots: The signed roots, 32 bytes each, by size; more than one is a split view.
        cosigners: By size, which of the witnesses have cosigned a checkpoint of it.
        count: How many checkpoints were opened.
    """

    def __init__(
        self, notes: Iterable[str], log_key: Verifier | None, witnesses: Collection[Verifier]
    ) -> None:
        """Open what the given key has signed.

        Raises:
            NoteError: A checkpoint is spelled wrongly, a signature of a known key is bad, or
                there is a checkpoint and no key.
        """
        self.keys: list[Verifier] = [] if log_key is None else [log_key]
        self.witnesses = tuple(witness.name for witness in witnesses)
        self.roots: dict[int, frozenset[bytes]] = {}
        self.cosigners: dict[int, frozenset[str]] = {}
        self.count = 0
        self._known = tuple(witnesses)
        self._named: list[tuple[int, Verifier]] = []
        self._since = -1  # the entry by which the given key took the place of an older one
        self._opened: list[tuple[int, str]] = []
        self._waiting = [note for note in notes if self._open(note) is None]

    def note_rotation(self, entry: Entry) -> None:
        """Remember the key that a `key.rotated` names, until a checkpoint vouches for it."""
        if not self.keys or "vkey" not in entry.body:
            return
        key = Verifier.parse(entry.body["vkey"])  # the rules have found it to be a key of this log
        if key == self.keys[0]:
            self._since = entry.seq
        else:
            self._named.append((entry.seq, key))

    def trust_upto(self, size: int) -> list[int]:
        """Trust the keys that entries below a vouched-for size have named.

        Returns:
            The sizes of the checkpoints that could be opened because of it.

        Raises:
            UnknownSignerError: A checkpoint after the change is signed by an older key alone.
        """
        found: list[int] = []
        while self._named and self._named[0][0] < size:
            seq, key = self._named.pop(0)
            self._require_replaced(seq, key)
            self.keys.append(key)
            opened = {note: self._open(note) for note in self._waiting}
            self._waiting = [note for note, number in opened.items() if number is None]
            found += [number for number in opened.values() if number is not None]
        return found

    def count_older(self) -> int:
        """Return how many checkpoints could not be opened, for they are of an older key's time.

        Raises:
            UnknownSignerError: A checkpoint of another time is signed by no trusted key.
        """
        for note in self._waiting:
            if Checkpoint.parse(_text_of(note), self.keys[0].name).size > self._since + 1:
                rule = f"no trusted key of {self.keys[0].name} has signed it"
                raise UnknownSignerError(rule=rule)
        return len(self._waiting)

    def cosigned_upto(self, witness: str) -> int:
        """Return the largest size that a witness has cosigned, or 0."""
        sizes = (size for size, names in self.cosigners.items() if witness in names)
        return max(sizes, default=0)

    def _open(self, note: str) -> int | None:
        """Keep a checkpoint and return its size, or None where no trusted key has signed it."""
        if not self.keys:
            raise NoteError(rule="a checkpoint can be checked with the log's public key only")
        for key in self.keys:
            try:
                checkpoint, names = open_cosigned(note, key, self._known)
            except UnknownSignerError:
                continue
            size = checkpoint.size
            self.roots[size] = self.roots.get(size, frozenset()) | {checkpoint.root}
            self.cosigners[size] = self.cosigners.get(size, frozenset()) | frozenset(names)
            self.count += 1
            self._opened.append((size, note))
            return size
        return None

    def _require_replaced(self, seq: int, key: Verifier) -> None:
        """Check that no older key has signed alone what comes after its own change."""
        for size, note in self._opened:
            if size > seq + 1 and key not in open_note(note, [*self.keys, key]).signers:
                rule = f"the key that signed size {size} was replaced by entry {seq}"
                raise UnknownSignerError(rule=rule)


def _text_of(note: str) -> str:
    return note.rpartition("\n\n")[0] + "\n"


# ------------------------------------------------------------------------------
# alloc_service.log.demands
#
# What the rules of the log share: how one refuses an entry, and whose list an entry speaks of.


Rule: TypeAlias = Callable[[LogState, Entry, Body], None]


def refusal(entry: Entry, rule: str) -> RuleError:
    """Return why an entry may not stand here."""
    return RuleError(seq=entry.seq, type=entry.type, rule=rule)


def demand(holds: bool, entry: Entry, rule: str) -> None:
    """Refuse an entry where a demand does not hold.

    Raises:
        RuleError: It does not.
    """
    if not holds:
        raise refusal(entry, rule)


def demand_second(entry: Entry, body: Body) -> None:
    """Refuse an entry whose second person is its first.

    Raises:
        RuleError: They are one.
    """
    demand(body["second"]["id"] != entry.actor_id, entry, "the second person must be another")


def list_of(state: LogState, entry: Entry, body: Body) -> ListState:
    """Return the list that an entry speaks of, from the freezing of its design on.

    Raises:
        RuleError: There is none.
    """
    number = body["list"]
    found = state.lists.get(number)
    if found is None:
        raise refusal(entry, f"list {number} has no frozen design")
    return found


def sealed_of(state: LogState, entry: Entry, body: Body) -> ListState:
    """Return the sealed list that an entry speaks of.

    Raises:
        RuleError: There is none.
    """
    found = list_of(state, entry, body)
    demand(bool(found.root), entry, f"list {body['list']} is not sealed")
    return found


# ------------------------------------------------------------------------------
# alloc_service.log.ceremony_rules
#
# The rules of the seed ceremony `rac-seed/1`: commit, deposit, announce, beacon, reveal.
#
# A ceremony belongs to one list, whose design is frozen and which is not sealed. One runs at a
# time: the next begins when the one before was dropped, which stays in the log with its reason. A
# party is one person's, from its commitment to its reveal, and a person is one party's. A list
# whose ceremony was begun is sealed only once that is announced and every party has deposited;
# whether a beacon is awaited is in the announced document, not in the log.


def demand_ceremony_done(state: LogState, entry: Entry, body: Body) -> None:
    """Refuse to seal a list whose ceremony was begun and is neither complete nor dropped.

    Raises:
        RuleError: It is still running.
    """
    name = state.lists[body["list"]].ceremony
    if not name:
        return
    ceremony = state.ceremonies[name]
    demand(bool(ceremony.announced), entry, f"its ceremony {name} is not announced")
    _demand_deposits(ceremony, entry)


def _ceremony(state: LogState, entry: Entry, body: Body) -> Ceremony:
    found = state.ceremonies.get(body["ceremony"])
    if found is None:
        raise refusal(entry, "no party has begun this ceremony")
    demand(not found.aborted, entry, "this ceremony was aborted")
    demand(not state.lists[found.list].root, entry, "its list is sealed: the ceremony is over")
    return found


def _seed_committed(state: LogState, entry: Entry, body: Body) -> None:
    frozen = list_of(state, entry, body)
    name, party, commitment = body["ceremony"], body["party"], body["commitment"]
    demand(not frozen.root, entry, "the list is sealed already")
    ceremony = state.ceremonies.get(name, Ceremony(body["list"]))
    demand(ceremony.list == body["list"], entry, "the ceremony is for another list")
    demand(not ceremony.aborted, entry, "this ceremony was aborted")
    running = frozen.ceremony in {"", name}
    demand(running, entry, f"the ceremony {frozen.ceremony} of this list is still running")
    demand(not ceremony.announced, entry, f"{party} is too late: the ceremony is announced")
    demand(not ceremony.deposited, entry, f"{party} is too late: a party has deposited already")
    demand(party not in ceremony.commitments, entry, f"{party} has committed already")
    demand(commitment not in ceremony.hashes, entry, f"{party} repeats another's commitment")
    other = ceremony.people.get(entry.actor_id)
    demand(other is None, entry, f"{party} and {other} are one person")
    ceremony.commitments[party] = commitment
    ceremony.hashes.add(commitment)
    ceremony.people[entry.actor_id] = party
    state.ceremonies[name] = ceremony
    frozen.ceremony = name


def _seed_deposited(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    party = _own_party(ceremony, entry, body)
    demand(party not in ceremony.deposited, entry, f"{party} has deposited already")
    ceremony.deposited.add(party)


def _seed_announced(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    demand(ceremony.list == body["list"], entry, "the ceremony is for another list")
    demand(not ceremony.announced, entry, "the ceremony is announced already")
    ceremony.announced = body["doc_sha256"]


def _seed_beacon(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    demand(bool(ceremony.announced), entry, "the ceremony is not announced")
    demand(not ceremony.beacon, entry, "the ceremony has its beacon already")
    _demand_deposits(ceremony, entry)
    ceremony.beacon = body["value"]


def _seed_revealed(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    party = _own_party(ceremony, entry, body)
    demand(bool(ceremony.announced), entry, f"{party} is too early: nothing is announced")
    _demand_deposits(ceremony, entry)
    demand(party not in ceremony.revealed, entry, f"{party} has revealed already")
    ceremony.revealed.add(party)


def _seed_aborted(state: LogState, entry: Entry, body: Body) -> None:
    ceremony = _ceremony(state, entry, body)
    ceremony.aborted = True
    state.lists[ceremony.list].ceremony = ""


def _own_party(ceremony: Ceremony, entry: Entry, body: Body) -> str:
    """Return the party that an entry acts for: its person committed for it, and nobody else."""
    party = str(body["party"])
    demand(party in ceremony.commitments, entry, f"{party} has not committed")
    own = ceremony.people.get(entry.actor_id) == party
    demand(own, entry, f"another person committed for {party}")
    return party


def _demand_deposits(ceremony: Ceremony, entry: Entry) -> None:
    if len(ceremony.deposited) < len(ceremony.commitments):
        missing = sorted(ceremony.commitments.keys() - ceremony.deposited)
        raise refusal(entry, f"{', '.join(missing)} has not deposited")


CEREMONY_RULES: Final[Mapping[str, Rule]] = {
    "seed.committed": _seed_committed,
    "seed.deposited": _seed_deposited,
    "seed.announced": _seed_announced,
    "seed.beacon": _seed_beacon,
    "seed.revealed": _seed_revealed,
    "seed.aborted": _seed_aborted,
}


# ------------------------------------------------------------------------------
# alloc_service.log.gate_rules
#
# The rules of witnesses: a trial's policy, and the gate that two people may hold open for a time.
#
# With the mode `gate` nothing opens without a checkpoint that a quorum of the trial's witnesses
# has cosigned and that covers the entry it is opened for. With `follow` they cosign later. Where a
# gate cannot be reached, two people may suspend it until a stated time, at most three days ahead;
# what is logged meanwhile may be opened without a cosignature, then and ever after. Another policy
# ends it, and so does a clock that is set back (in `rules`): else one person could prolong it.


LONGEST_SUSPENSION: Final = timedelta(days=3)


def note_look(state: LogState, entry: Entry) -> None:
    """Remember an entry that opens slots while the gate is suspended."""
    if entry.time < state.gate_suspended_until:
        state.ungated.add(entry.seq)


def _witness_policy(state: LogState, entry: Entry, body: Body) -> None:
    demand_second(entry, body)
    witnesses = tuple(_gate_rules_read_witness(entry, vkey) for vkey in body["witnesses"])
    mode, quorum, count = body["mode"], body["quorum"], len(witnesses)
    demand(len({key.name for key in witnesses}) == count, entry, "a witness's name stands twice")
    demand(len({key.public for key in witnesses}) == count, entry, "a witness's key stands twice")
    if mode == "off":
        demand(quorum == count == 0, entry, "without witnesses there is no quorum")
    else:
        demand(1 <= quorum <= count, entry, "the quorum must be from 1 to the number of witnesses")
    state.policy = WitnessPolicy(mode, quorum, witnesses)
    state.gate_suspended_until = ""


def _gate_rules_read_witness(entry: Entry, vkey: str) -> Verifier:
    try:
        witness = Verifier.parse(vkey)
    except NoteError as error:
        raise refusal(entry, str(error.facts["rule"])) from None
    demand(witness.kind == COSIGNATURE_V1, entry, f"the key of {witness.name} is no witness's")
    return witness


def _gate_suspended(state: LogState, entry: Entry, body: Body) -> None:
    demand_second(entry, body)
    demand(state.policy.mode == "gate", entry, "the trial has no gate")
    demand(body["until"] > entry.time, entry, "`until` must lie ahead")
    ahead = parse_time(body["until"]) - parse_time(entry.time)
    demand(ahead <= LONGEST_SUSPENSION, entry, "`until` lies more than three days ahead")
    state.gate_suspended_until = body["until"]


def _gate_resumed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(entry.time < state.gate_suspended_until, entry, "the gate is not suspended")
    state.gate_suspended_until = ""


GATE_RULES: Final[Mapping[str, Rule]] = {
    "witness.policy": _witness_policy,
    "gate.suspended": _gate_suspended,
    "gate.resumed": _gate_resumed,
}


# ------------------------------------------------------------------------------
# alloc_service.log.rules
#
# `fold`: the one state machine that says which entry may follow which.
#
# It is read by three: the service before it appends, the sealer before it opens, the verifier
# afterwards. It costs O(1) an entry and changes nothing when it fails: every rule makes all its
# demands before its first change. It chains `seq`, `prev` and `time`, and knows no stratum codes,
# no arms and no clock.


def fold(state: LogState, entry: Entry) -> None:
    """Move the state by one entry, or refuse the entry and change nothing.

    Raises:
        RuleError: The entry may not stand here; the text names its seq, its type and the rule.
    """
    if entry.seq != state.size:
        raise refusal(entry, f"its seq must be {state.size}")
    if entry.prev != state.last:
        raise refusal(entry, "its prev is not the leaf of the entry before")
    if entry.time < state.time and entry.type != "clock.corrected":
        raise refusal(entry, "its time lies before that of the entry before")
    if (entry.seq == 0) != (entry.type == "trial.created"):
        raise refusal(entry, "a log begins with trial.created, once")
    _RULES[entry.type](state, entry, entry.body)
    state.size += 1
    state.last = entry.leaf
    state.time = entry.time


def _trial_created(state: LogState, _entry: Entry, body: Body) -> None:
    state.origin = body["origin"]
    state.cap = body["cap"]


def _design_frozen(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["list"] not in state.lists, entry, f"list {body['list']} has a design already")
    demand(body["design_sha256"] not in state.designs, entry, "this design was used before")
    state.lists[body["list"]] = ListState(body["design_sha256"])
    state.designs.add(body["design_sha256"])


def _list_sealed(state: LogState, entry: Entry, body: Body) -> None:
    frozen = list_of(state, entry, body)
    demand(not frozen.root, entry, f"list {body['list']} is sealed already")
    demand(body["design_sha256"] == frozen.design_sha256, entry, "another design was frozen")
    demand(body["root"] not in state.roots, entry, "a list with this root was sealed before")
    demand(body["sealing"] == 1, entry, "the first sealing of a list is 1")
    demand_ceremony_done(state, entry, body)
    demand(max(body["slots"]) <= 1_000_000, entry, "more than 1,000,000 slots in a stratum")
    demand(sum(body["slots"]) <= 2_000_000, entry, "more than 2,000,000 slots")
    frozen.root = body["root"]
    frozen.slots = tuple(body["slots"])
    frozen.wraps[1] = Wrap(body["kid"], body["wrap_sha256"])
    frozen.sealed_by = entry.actor_id
    frozen.next_slot = [0] * len(frozen.slots)
    state.roots.add(body["root"])


def _list_approved(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand(body["root"] == sealed.root, entry, "the list was sealed with another root")
    demand(not sealed.approved_by, entry, f"list {body['list']} is approved already")
    demand(entry.actor_id != sealed.sealed_by, entry, "nobody approves a list that they sealed")
    sealed.approved_by = entry.actor_id
    sealed.root_checked = body["root_checked"]


def _list_activated(state: LogState, entry: Entry, body: Body) -> None:
    approved = list_of(state, entry, body)
    demand(bool(approved.approved_by), entry, f"list {body['list']} is not approved")
    demand(not approved.active, entry, f"list {body['list']} is active already")
    demand(not approved.retired, entry, f"list {body['list']} is retired")
    approved.active = True


def _list_resealed(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    following = len(sealed.wraps) + 1
    demand(body["sealing"] == following, entry, f"the next sealing is {following}")
    sealed.wraps[following] = Wrap(body["kid"], body["wrap_sha256"])


def _site_activated(state: LogState, entry: Entry, body: Body) -> None:
    demand(not state.sites.get(body["site"], False), entry, "the site is active already")
    state.sites[body["site"]] = True


def _site_paused(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.sites.get(body["site"], False), entry, "the site is not active")
    state.sites[body["site"]] = False


def _trial_paused(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial == "open", entry, f"the trial is {state.trial}")
    state.trial = "paused"


def _trial_resumed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial == "paused", entry, f"the trial is {state.trial}")
    state.trial = "open"


def _trial_closed(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.trial != "closed", entry, "the trial is closed already")
    state.trial = "closed"


def _cap_changed(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.trial != "closed", entry, "the trial is closed")
    demand(body["cap"] != state.cap, entry, "the cap is that already")
    demand(body["cap"] >= len(state.assigned), entry, "more participants are allocated already")
    state.cap = body["cap"]


def _slot_assigned(state: LogState, entry: Entry, body: Body) -> None:
    found = list_of(state, entry, body)
    stratum, slot, enrolment = body["stratum"], body["slot"], body["enrolment"]
    demand(found.active, entry, "the list is not active")
    demand(not found.retired, entry, "the list is retired")
    demand(state.trial == "open", entry, "the trial is not open")
    demand(len(state.assigned) < state.cap, entry, "the cap is reached")
    demand(enrolment not in state.assigned, entry, "the enrolment has spent a slot already")
    demand(stratum < len(found.slots), entry, "the list has no such stratum")
    demand(slot == found.next_slot[stratum], entry, "it is not the stratum's next slot")
    demand(slot < found.slots[stratum], entry, "the stratum is exhausted")
    found.next_slot[stratum] += 1
    state.assigned[enrolment] = Assigned(entry.seq, body["list"], stratum, slot, body["leaf"])
    state.enrolment_sha256[enrolment] = body["enrolment_sha256"]
    note_look(state, entry)


def _slot_reread(state: LogState, entry: Entry, body: Body) -> None:
    assigned = state.assigned.get(body["enrolment"])
    demand(
        assigned is not None and assigned.seq == body["of"],
        entry,
        "`of` is not the seq of that enrolment's slot.assigned",
    )
    state.rereads[entry.seq] = body["enrolment"]
    note_look(state, entry)


def _arms_read(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] < entry.seq, entry, "`upto` must lie before this entry")
    state.arms_reads[entry.seq] = body["upto"]
    note_look(state, entry)


def _enrolment_restored(state: LogState, entry: Entry, body: Body) -> None:
    demand(state.recoveries > 0, entry, "the log was never recovered")
    demand(body["enrolment"] in state.assigned, entry, "the enrolment has spent no slot")
    demand_second(entry, body)
    state.enrolment_sha256[body["enrolment"]] = body["enrolment_sha256"]


def _allocation_refused(_state: LogState, _entry: Entry, _body: Body) -> None:
    """Record a refusal; it demands and changes nothing."""


def _design_read(state: LogState, entry: Entry, body: Body) -> None:
    list_of(state, entry, body)
    state.design_reads[entry.seq] = body["list"]


def _log_exported(_state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] < entry.seq, entry, "`upto` must lie before this entry")


def _list_regenerated(state: LogState, entry: Entry, body: Body) -> None:
    sealed_of(state, entry, body)


def _user_changed(_state: LogState, entry: Entry, body: Body) -> None:
    demand(not body["role"] or body["role"] in _ROLES, entry, "there is no such role")


def _grant_added(state: LogState, entry: Entry, body: Body) -> None:
    role = _role(entry, body)
    held = state.roles.get(body["subject"], set())
    try:
        require_disjoint(held, role)
    except DisjointRolesError as error:
        raise refusal(entry, _disjoint(error)) from None
    state.roles.setdefault(body["subject"], set()).add(role)


def _grant_ended(state: LogState, entry: Entry, body: Body) -> None:
    role = _role(entry, body)
    demand(role in state.roles.get(body["subject"], set()), entry, "the role was never granted")


def _key_created(state: LogState, entry: Entry, body: Body) -> None:
    if "kid" in body:
        demand(not state.kid, entry, "a sealing key was named before")
        state.kid = body["kid"]
    else:
        demand(not state.log_keys, entry, "the log's key was named before")
        state.log_keys.append((entry.seq, _log_key(state, entry, body)))


def _key_rotated(state: LogState, entry: Entry, body: Body) -> None:
    if "kid" in body:
        demand(body["kid"] != state.kid, entry, "it is the key that was named last")
        state.kid = body["kid"]
    else:
        demand(bool(state.log_keys), entry, "the log's key before was never named")
        key = _log_key(state, entry, body)
        used = [known.public for _, known in state.log_keys]
        demand(key.public not in used, entry, "the log has had this key already")
        state.log_keys.append((entry.seq, key))


def _log_key(state: LogState, entry: Entry, body: Body) -> Verifier:
    """Return the key that an entry names: a log's own, under the name of this log."""
    try:
        key = Verifier.parse(body["vkey"])
    except NoteError as error:
        raise refusal(entry, str(error.facts["rule"])) from None
    demand(key.name == state.origin, entry, "the key's name is not the log's origin")
    demand(key.kind == ED25519, entry, "it is a witness's key")
    return key


def _key_rewrapped(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand(body["sealing"] in sealed.wraps, entry, "there is no such sealing")
    sealed.wraps[body["sealing"]] = Wrap(body["kid"], body["wrap_sha256"])


def _clock_corrected(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["actor"]["role"] == Role.ADMINISTRATOR, entry, "it takes an administrator")
    demand(body["from"] == state.time, entry, "`from` is not the time of the entry before")
    demand(body["to"] == entry.time, entry, "`to` is not its own time")
    demand(body["to"] < body["from"], entry, "the clock is not behind")
    state.gate_suspended_until = ""  # else one person could prolong what two have set


def _log_recovered(state: LogState, entry: Entry, body: Body) -> None:
    demand(body["upto"] == entry.seq - 1, entry, "`upto` must be the entry before")
    demand_second(entry, body)
    retired: Sequence[int] = body["retired"]
    demand(
        all(number in state.lists for number in retired),
        entry,
        "it retires a list that is not there",
    )
    for number in retired:
        state.lists[number].retired = True
    state.recoveries += 1


def _rollback_detected(state: LogState, entry: Entry, _body: Body) -> None:
    demand(state.recoveries > 0, entry, "the log was never recovered")


def _drill_done(state: LogState, entry: Entry, body: Body) -> None:
    sealed = sealed_of(state, entry, body)
    demand_second(entry, body)
    if body["root_equal"] and body["blob_opened"] and body["log_verified"]:
        sealed.drilled_at = entry.time


def _role(entry: Entry, body: Body) -> Role:
    demand(body["role"] in _ROLES, entry, "there is no such role")
    return Role(body["role"])


def _disjoint(error: DisjointRolesError) -> str:
    return f"{error.facts['added']} excludes {error.facts['held']}, over all time"


_ROLES: Final = frozenset(str(role) for role in Role)


_RULES: Final[Mapping[str, Rule]] = {
    "trial.created": _trial_created,
    "design.frozen": _design_frozen,
    **CEREMONY_RULES,
    "list.sealed": _list_sealed,
    "list.approved": _list_approved,
    "list.activated": _list_activated,
    "list.resealed": _list_resealed,
    "site.activated": _site_activated,
    "site.paused": _site_paused,
    "trial.paused": _trial_paused,
    "trial.resumed": _trial_resumed,
    "trial.closed": _trial_closed,
    "cap.changed": _cap_changed,
    "slot.assigned": _slot_assigned,
    "slot.reread": _slot_reread,
    "arms.read": _arms_read,
    "enrolment.restored": _enrolment_restored,
    "allocation.refused": _allocation_refused,
    "design.read": _design_read,
    "log.exported": _log_exported,
    "list.regenerated": _list_regenerated,
    "user.changed": _user_changed,
    "grant.added": _grant_added,
    "grant.ended": _grant_ended,
    "key.created": _key_created,
    "key.rotated": _key_rotated,
    "key.rewrapped": _key_rewrapped,
    "clock.corrected": _clock_corrected,
    "log.recovered": _log_recovered,
    "rollback.detected": _rollback_detected,
    "drill.done": _drill_done,
    **GATE_RULES,
}


# ------------------------------------------------------------------------------
# alloc_service.log.verify
#
# Verification of a whole log: each entry, each rule, each checkpoint, and what was not there.
#
# The entries are read strictly and folded, the tree grows, and its root is compared wherever a
# signed checkpoint is at hand. A log that fails is refused with its first bad entry:
#
# - An entry that cannot be read, or that breaks a rule, is bad itself.
# - A wrong `seq`: the first place where an entry is missing, doubled or out of order.
# - A `prev` that is not the leaf of the entry before: one of the two was changed. A checkpoint says
#   which, where one is near. Otherwise the entry after the two does, by its own `prev`: where it
#   fits the second of them, the first was changed, else the second. At the end of the log there is
#   no such entry, and both are named.
# - A root that is not a checkpoint's: an entry after the last good checkpoint, and before this one.
#   The `prev` of the next entry may prove that it is the last of these; else they are all named.
# - A checkpoint beyond the end: the tail is missing.
#
# Without a checkpoint nobody vouches for the end of a log, nor for one that was written anew from
# some entry on: the result says so.


@dataclass(frozen=True)
class VerifiedLog:
    """A log that was found whole.

    Attributes:
        size: Entries.
        root: 32-byte root over all of them.
        origin: As its `trial.created` says, and its key, where one was given.
        state: What the entries mean, after the last one.
        checkpoints_checked: How many checkpoints were opened and compared.
        log_keys: The log's keys, the given one first, then those that took its place.
        cosigners: By size of each checkpoint, which witnesses have cosigned it.
        unchecked: What was not there to check, a sentence each; empty if nothing was missing.
    """

    size: int
    root: bytes
    origin: str
    state: LogState
    checkpoints_checked: int
    log_keys: tuple[Verifier, ...]
    cosigners: Mapping[int, frozenset[str]]
    unchecked: tuple[str, ...]


@dataclass
class _Walk:
    """How far the verification is: what was read stands, and `rows` has what follows."""

    rows: Iterator[bytes]
    checkpoints: SignedRoots
    state: LogState = field(default_factory=LogState)
    tree: Frontier = field(default_factory=Frontier)
    leaves: list[bytes] = field(default_factory=list)
    good: int = 0  # the largest size whose checkpoint agrees

    @property
    def signed(self) -> Mapping[int, frozenset[bytes]]:
        return self.checkpoints.roots


def verify_log(
    entries: Iterable[bytes],
    checkpoints: Iterable[str] = (),
    log_key: Verifier | None = None,
    witnesses: Collection[Verifier] = (),
    see: Callable[[Entry], object] | None = None,
) -> VerifiedLog:
    """Check a whole log, from its first entry on.

    Args:
        entries: The stored bytes of each entry, in order; read once.
        checkpoints: Signed notes, in any order.
        log_key: The log's public key, from a source other than the log.
        witnesses: Keys whose cosignatures must be good where they are there.
        see: Is shown each entry once it is folded, for what the state does not keep.

    Raises:
        LogFaultError: The log is not whole; `seq` is its first bad entry, or the first that may
            be it, and `last` the last that may be.
        SplitViewError: Two signed checkpoints of one size have different roots.
        NoteError: A checkpoint is not signed by the log's key, nor by one that took its place, or
            there is no key to check it.
    """
    signed = SignedRoots(checkpoints, log_key, witnesses)
    walk = _Walk(iter(entries), signed)
    origin = log_key.name if log_key else None
    state, tree, leaves = walk.state, walk.tree, walk.leaves
    for data in walk.rows:
        try:
            entry = read_entry(data)
            fold(state, entry)
        except RefusalError as error:
            raise _blame_refused(walk, data, error) from error
        leaf = bytes.fromhex(entry.leaf)
        leaves.append(leaf)
        tree.append(leaf)
        if entry.seq == 0 and origin not in {None, state.origin}:
            raise _verify_fault(0, 0, f"it is the log {state.origin}, and the key is of {origin}")
        if entry.type == "key.rotated":
            signed.note_rotation(entry)
        if see is not None:
            see(entry)
        if state.size in signed.roots:
            _compare_root(walk)
    _check_end(walk)
    older = signed.count_older()
    return VerifiedLog(
        size=state.size,
        root=tree.root(),
        origin=state.origin,
        state=state,
        checkpoints_checked=signed.count,
        log_keys=tuple(signed.keys),
        cosigners=signed.cosigners,
        unchecked=tuple(_verify_list_unchecked(walk, log_key, older)),
    )


def read_ndjson(data: bytes) -> Iterator[bytes]:
    """Yield the entries of an exported `entries.ndjson`, their exact bytes, a line each.

    Raises:
        LogFileError: A byte order mark, an empty line, a line ended by CR LF, or a last line
            that is not ended; the text names the line, counted from 1.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise LogFileError(line=1, rule="the file begins with a byte order mark")
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.endswith(b"\n"):
            raise LogFileError(line=number, rule="the last line is not ended by LF")
        if line.endswith(b"\r\n"):
            raise LogFileError(line=number, rule="it ends in CR LF, not in LF alone")
        if line == b"\n":
            raise LogFileError(line=number, rule="it is empty")
        yield line[:-1]


def _verify_fault(first: int, last: int, rule: str) -> LogFaultError:
    return LogFaultError(seq=first, last=last, rule=rule)


def _blame_refused(walk: _Walk, data: bytes, error: RefusalError) -> LogFaultError:
    """Return which entry is bad where one could not be read or may not stand here."""
    at = walk.state.size
    entry = _try_read(data)
    if entry is None:
        reason = str(error).removesuffix(".")
        return _verify_fault(at, at, f"it cannot be read. {reason}")
    if entry.seq > at:
        return _verify_fault(at, at, f"it is missing or out of order: entry {entry.seq} stands here")
    if entry.seq < at:
        rule = f"entry {entry.seq} stands here a second time, or out of order"
        return _verify_fault(at, at, rule)
    if at and entry.prev != walk.state.last:
        return _blame_link(walk, entry)
    return _verify_fault(at, at, str(error.facts["rule"]))


def _blame_link(walk: _Walk, entry: Entry) -> LogFaultError:
    """Return which of two entries was changed, where the second does not follow the first."""
    at, before = entry.seq, entry.seq - 1
    if walk.good == at:
        rule = f"its prev is not the leaf of entry {before}, which a checkpoint vouches for"
        return _verify_fault(at, at, rule)
    following = _read_next(walk, at + 1)
    proven = _prove_changed(walk, entry, following)
    if proven is not None:
        return _verify_fault(proven, proven, f"it was changed: the checkpoint of size {at + 1} proves it")
    if following is not None and following.prev == entry.leaf:
        if at + 1 in walk.signed:
            rule = f"the first bad entry is one of {walk.good} to {at}, where the chain breaks"
            return _verify_fault(walk.good, at, rule)
        return _verify_fault(before, before, f"it was changed: entry {at} follows other bytes than these")
    if following is None and at + 1 not in walk.signed:
        rule = f"it or entry {at} was changed: the second does not follow the first"
        return _verify_fault(before, at, rule)
    return _verify_fault(at, at, f"it was changed: it does not follow entry {before}, nor the next it")


def _prove_changed(walk: _Walk, entry: Entry, following: Entry | None) -> int | None:
    """Return the first changed of two entries, if a checkpoint of just that size proves it.

    The leaf that a changed entry had is what the next entry's `prev` still says.
    """
    *older, own = walk.leaves
    leaf, had = bytes.fromhex(entry.leaf), bytes.fromhex(entry.prev)
    guesses: list[tuple[int, list[bytes]]] = [(entry.seq - 1, [had, leaf])]
    if following is not None:
        next_had = bytes.fromhex(following.prev)
        guesses += [(entry.seq, [own, next_had]), (entry.seq - 1, [had, next_had])]
    signed = walk.signed.get(entry.seq + 1, frozenset())
    return next((seq for seq, two in guesses if _agrees(signed, [*older, *two])), None)


def _agrees(signed: frozenset[bytes], leaves: Sequence[bytes]) -> bool:
    return bool(signed) and root_of(leaves) in signed


def _compare_root(walk: _Walk) -> None:
    """Compare the tree with the checkpoint of its size.

    Raises:
        LogFaultError: They differ.
        SplitViewError: There are two such checkpoints, with different roots.
    """
    size, last = walk.state.size, walk.state.size - 1
    signed = walk.signed[size]
    if len(signed) > 1:
        raise _split_view(walk.good, size)
    if walk.tree.root() in signed:
        walk.good = size
        for earlier in walk.checkpoints.trust_upto(size):
            _compare_earlier(walk, earlier)
        return
    if walk.good == last:
        raise _verify_fault(last, last, f"it was changed: the checkpoint of size {size} is of another")
    following = _read_next(walk, size)
    if following and _agrees(signed, [*walk.leaves[:-1], bytes.fromhex(following.prev)]):
        raise _verify_fault(last, last, f"it was changed: the checkpoint of size {size} proves it")
    rule = f"the first bad entry is one of {walk.good} to {last}, by the checkpoint of size {size}"
    raise _verify_fault(walk.good, last, rule)


def _compare_earlier(walk: _Walk, size: int) -> None:
    """Compare a checkpoint that could not be opened before with the entries that were read.

    Raises:
        SplitViewError: It is of another history than the one that is vouched for since.
    """
    if size <= walk.state.size and walk.signed[size] != {root_of(walk.leaves[:size])}:
        raise _split_view(0, size)


def _split_view(first: int, size: int) -> SplitViewError:
    rule = f"the log's key has signed two checkpoints of size {size} with different roots"
    return SplitViewError(seq=first, last=size - 1, size=size, rule=rule)


def _check_end(walk: _Walk) -> None:
    size = walk.state.size
    beyond = sorted(number for number in walk.signed if number > size)
    for number in beyond:
        if len(walk.signed[number]) > 1:
            raise _split_view(walk.good, number)
    if beyond:
        last = beyond[-1] - 1
        rule = f"it is missing: a checkpoint vouches for entries up to {last}"
        raise _verify_fault(size, last, rule)
    if not size:
        raise _verify_fault(0, 0, "there is no entry at all")


def _verify_list_unchecked(walk: _Walk, log_key: Verifier | None, older: int) -> Iterator[str]:
    signed = walk.checkpoints
    if log_key is None:
        yield "No key of the log was given: nobody vouches that it is the log it says it is."
    if not walk.good:
        yield (
            "No checkpoint was given: entries that are missing at the end do not show, nor does "
            "a log that was written anew from some entry on."
        )
    elif walk.good < walk.state.size:
        yield (
            f"No checkpoint covers the entries from {walk.good} on: what is missing at the end "
            "does not show, nor whether these were written anew."
        )
    if older:
        yield f"Checkpoints of an older key than the one that was given, not opened: {older}."
    if not signed.witnesses:
        yield "No witness's key was given: two histories for two readers would not show."
    for name in sorted(signed.witnesses):
        size = signed.cosigned_upto(name)
        if size < walk.state.size:
            yield f"No checkpoint that {name} has cosigned covers the entries from {size} on."


def _read_next(walk: _Walk, seq: int) -> Entry | None:
    """Return the next entry, where it can be read and is the one of this seq."""
    try:
        data = next(walk.rows, None)
        entry = None if data is None else read_entry(data)
    except RefusalError:
        return None
    return entry if entry is not None and entry.seq == seq else None


def _try_read(data: bytes) -> Entry | None:
    try:
        return read_entry(data)
    except RefusalError:
        return None


# ------------------------------------------------------------------------------
# alloc_service.log.bundle_check
#
# Verification of a whole bundle, by a policy that comes from elsewhere.
#
# The order is fixed, so that every verifier names the same first fault: the archive, the manifest,
# the policy, the log with its checkpoints, the quorum, the lists by number, the choice among lists.
# What was not there to check is told, and so is what a reader should know although it is no fault:
# ceremonies that were dropped, times without a witness, a policy that has changed.


@dataclass
class _Seen:
    """What the entries say that the state does not keep."""

    order: ListOrder = field(default_factory=ListOrder)
    suspensions: list[int] = field(default_factory=list)

    def see(self, entry: Entry) -> None:
        self.order.see(entry)
        if entry.type == "gate.suspended":
            self.suspensions.append(entry.seq)


def verify_bundle(data: bytes, policy: Policy, own: bytes | None = None) -> EvidenceReport:
    """Check a bundle.

    Args:
        data: The file.
        policy: From a source other than the bundle.
        own: The bytes of the verifier that runs, to compare with the one in the bundle.

    Raises:
        BundleError: A member, or what it says, is wrong.
        PolicyError: The policy does not know this log.
        IntegrityError: The log or a checkpoint is wrong; as `verify_log`.
    """
    members = read_members(data)
    manifest = check_form(members)
    seen = _Seen()
    log = _verify_log(members, policy, manifest, seen)
    vouched = _check_quorum(log, policy)
    _check_policy(members, log)
    lists = _check_lists(members, log.state)
    told = [*_tell(log.state, seen), *_compare(members, log, policy, own)]
    unchecked = [
        *log.unchecked,
        *_list_unvouched(log, policy, vouched),
        *_check_order(seen.order, log.state, lists),
        *(sentence for one in lists for sentence in one.unchecked),
    ]
    return EvidenceReport(
        origin=log.origin,
        size=log.size,
        root=log.root.hex(),
        checked=tuple(_say_checked(log, policy, vouched, lists)),
        told=tuple(told),
        unchecked=tuple(unchecked),
        build=manifest.build,
    )


def _verify_log(
    members: Mapping[str, bytes], policy: Policy, manifest: Manifest, seen: _Seen
) -> VerifiedLog:
    key = policy.key_of(manifest.origin)
    notes = {name: _read_note(members[name], name) for name in sorted(members) if _is_note(name)}
    log = verify_log(
        read_ndjson(members[ENTRIES]),
        notes.values(),
        key,
        tuple(policy.witnesses.values()),
        seen.see,
    )
    _bundle_check_require(log.size == manifest.size, MANIFEST, f"the log has {log.size:,} entries")
    for name, note in notes.items():
        _check_size(name, note, log.size)
    return log


def _check_size(name: str, note: str, size: int) -> None:
    """Check that a checkpoint is of the size that its name says, or of the whole log."""
    named = read_checkpoint_size(name)
    found = note.split("\n")[1]
    if named is None:
        _bundle_check_require(found == str(size), name, f"it is not of all {size:,} entries, but of {found}")
    else:
        _bundle_check_require(found == str(named) and named < size, name, f"it is a checkpoint of size {found}")


def _check_quorum(log: VerifiedLog, policy: Policy) -> int:
    """Return the largest size that a quorum vouches for.

    Raises:
        BundleError: The policy asks for a quorum, and no checkpoint here meets it.
    """
    met = [size for size, names in log.cosigners.items() if policy.is_met_by(names)]
    rule = f"no checkpoint here has the cosignatures of the policy's quorum {policy.quorum}"
    _bundle_check_require(bool(met), CHECKPOINT, rule)
    return max(met)


def _check_policy(members: Mapping[str, bytes], log: VerifiedLog) -> None:
    expected = write_policy(log.log_keys[-1], log.state.policy)
    same = members[POLICY] == expected.encode()
    _bundle_check_require(same, POLICY, "it is not what the log says of its key and its witnesses")


def _check_lists(members: Mapping[str, bytes], state: LogState) -> list[CheckedList]:
    sealed = {number for number, known in state.lists.items() if known.root}
    for number in lists_of(members):
        _bundle_check_require(number in sealed, f"lists/{number}", "the log has sealed no list of this number")
    return [ListMembers(members, number, state).check() for number in sorted(sealed)]


def _check_order(order: ListOrder, state: LogState, lists: list[CheckedList]) -> Iterator[str]:
    """Check which of several lists was taken; say it where that cannot be known."""
    if not order.is_a_choice:
        return
    if all(one.design for one in lists):
        codes = {one.number: one.codes for one in lists}
        order.check(codes, {one.number: state.lists[one.number].slots for one in lists})
    else:
        yield (
            "Whether the lowest list with a slot left was always taken is not checked: that takes "
            "the design of every list."
        )


def _tell(state: LogState, seen: _Seen) -> Iterator[str]:
    dropped = [(name, known) for name, known in state.ceremonies.items() if known.aborted]
    if dropped:
        names = ", ".join(f"{name} of list {known.list}" for name, known in dropped)
        yield f"Seed ceremonies that were begun and dropped: {len(dropped)} ({names})."
    # Whoever holds the ceremony's key could see the list that it would have given.
    late = [name for name, known in dropped if known.commitments.keys() <= known.revealed]
    if late:
        yield f"Dropped after every share was handed in: {len(late)} ({', '.join(late)}). Ask why."
    if state.recoveries:
        yield f"Recoveries of the log: {state.recoveries}; its entries say what was lost."
    if seen.suspensions:
        entries = ", ".join(map(str, seen.suspensions))
        yield f"Suspensions of the gate: {len(seen.suspensions)} (entries {entries})."
    if state.ungated:
        looks = ", ".join(map(str, sorted(state.ungated)))
        yield f"Openings without a witness, while the gate was suspended: of entries {looks}."
    if state.policy.mode != "gate":
        yield "The trial has no gate now: an opening waits for no witness."


def _compare(
    members: Mapping[str, bytes], log: VerifiedLog, policy: Policy, own: bytes | None
) -> Iterator[str]:
    if len(log.log_keys) > 1:
        yield f"The log's key was changed; it is {log.log_keys[-1].vkey} now."
    inside = parse_policy(members[POLICY].decode())
    if not _is_same(inside, policy, log):
        yield (
            "The policy in the bundle is not yours: key, witnesses or quorum were changed since "
            "yours was made, or yours was made by somebody else. It was checked by yours."
        )
    if members[README] != README_TEXT.encode():
        yield "The README.txt in the bundle is not the one that comes with this verifier."
    if own is not None and own != members[VERIFIER]:
        yield "The verifier in the bundle is another version than the one that runs."


def _is_same(inside: Policy, policy: Policy, log: VerifiedLog) -> bool:
    """Tell whether two policies trust the same of this log, however they are spelled."""
    keys = [{key.vkey for key in one.witnesses.values()} for one in (inside, policy)]
    quorum = [one.quorum == NO_QUORUM for one in (inside, policy)]
    groups = [sorted(group.needed for group in one.groups.values()) for one in (inside, policy)]
    same_key = inside.logs[log.origin] == policy.logs[log.origin]
    return same_key and keys[0] == keys[1] and quorum[0] == quorum[1] and groups[0] == groups[1]


def _list_unvouched(log: VerifiedLog, policy: Policy, vouched: int) -> Iterator[str]:
    if policy.quorum == NO_QUORUM:
        yield "The policy asks for no quorum: nobody but the log's key vouches for its history."
    elif vouched < log.size:
        yield f"No quorum has cosigned a checkpoint that covers the entries from {vouched} on."


def _say_checked(
    log: VerifiedLog, policy: Policy, vouched: int, lists: list[CheckedList]
) -> Iterator[str]:
    yield f"Entries that keep every rule of rac-log/1 and follow one another: {log.size:,}."
    yield f"Checkpoints that are signed and agree with them: {log.checkpoints_checked}."
    if policy.quorum != NO_QUORUM:
        yield f"A quorum of the policy has cosigned the first {vouched:,} entries."
    for one in lists:
        yield f"List {one.number}: its leaves lead to the logged root and hold every spent slot."
        if one.opened:
            yield f"List {one.number}: openings that are those of their leaves: {one.opened:,}."
        if one.design:
            yield f"List {one.number}: the design is the frozen one."
        if one.made_anew:
            yield f"List {one.number}: design and seed give the very list that was sealed."


def _is_note(name: str) -> bool:
    return name == CHECKPOINT or read_checkpoint_size(name) is not None


def _read_note(data: bytes, name: str) -> str:
    """Return a member that is spelled as a signed note; who has signed it is checked elsewhere."""
    try:
        note = data.decode("utf-8")
        split_note(note)
    except UnicodeDecodeError as error:
        rule = f"it must be text in UTF-8, and byte {error.start} is none"
        raise BundleError(where=name, rule=rule) from None
    except NoteError as error:
        raise BundleError(where=name, rule=error.facts["rule"]) from None
    return note


def _bundle_check_require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)


# ------------------------------------------------------------------------------
# alloc_service.log.receipt
#
# Receipts: `c2sp.org/tlog-proof@v1` of one entry, a proof that a person can keep and check.
#
# Lines: `c2sp.org/tlog-proof@v1`, optionally `extra <base64>`, `index <seq>`, the inclusion
# proof's hashes in base64, a blank line, and the signed checkpoint. `extra` is one of
#
# - nothing: whoever checks it brings the entry's leaf hash;
# - 32 bytes: the entry's leaf hash. This is the site's receipt during the trial: it tells neither
#   arm nor slot number;
# - canonical JSON {"entry":base64,"opening":text,"proof":[HEX32,…]}: the full receipt, for the data
#   monitoring committee, and for the site after the end. `proof` leads from the opening's leaf to
#   the root of its list.


HEADER = "c2sp.org/tlog-proof@v1"
LONGEST_PROOF = 63
LEAF_BYTES = 32


_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})", re.ASCII)


@dataclass(frozen=True)
class Receipt:
    """A receipt as it is spelled, before anything of it is believed.

    Attributes:
        index: The entry's seq.
        proof: Inclusion proof, 32 bytes each, lowest first.
        checkpoint: A signed note.
        extra: Opaque bytes, or none.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """Return the receipt's one spelling."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode_base64(sibling) for sibling in self.proof]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> "Receipt":
        """Read a receipt strictly.

        Raises:
            NoteError: A line is not what the format demands.
        """
        require_plain(text)
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise NoteError(rule=f"line 1: a receipt begins with {HEADER} and holds a checkpoint")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "the receipt's extra")
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise NoteError(rule="the receipt's index is no whole number")
        proof = tuple(decode_base64(line, "a proof hash") for line in lines)
        if len(proof) > LONGEST_PROOF or any(len(sibling) != 32 for sibling in proof):
            raise NoteError(rule="the receipt's proof is not of 32-byte hashes")
        return cls(int(index[1]), proof, checkpoint, extra)

    def verify(
        self, leaf: bytes, log: Verifier, witnesses: Collection[Verifier] = ()
    ) -> Checkpoint:
        """Check that an entry is in the log that the checkpoint was signed for.

        Args:
            leaf: The entry's leaf hash, 32 bytes, kept beside the receipt.
            log: The log's public key, from a source other than the receipt.
            witnesses: Keys whose cosignatures must be good where they are there.

        Raises:
            NoteError: The checkpoint is not signed by the log's key, or is spelled wrongly.
            TreeError: The entry is not under the checkpoint's root.
        """
        return self.verify_cosigned(leaf, log, witnesses)[0]

    def verify_cosigned(
        self, leaf: bytes, log: Verifier, witnesses: Collection[Verifier]
    ) -> tuple[Checkpoint, tuple[str, ...]]:
        """Check as `verify`, and say which of the witnesses have cosigned it.

        Raises:
            NoteError: As `verify`.
            TreeError: As `verify`.
        """
        checkpoint, cosigners = open_cosigned(self.checkpoint, log, witnesses)
        verify_inclusion(leaf, self.index, checkpoint.size, self.proof, checkpoint.root)
        return checkpoint, cosigners


def read_extra(extra: bytes) -> tuple[bytes, str, tuple[bytes, ...]]:
    """Read the extra of a full receipt strictly: entry, opening, proof.

    Raises:
        NoteError: It is not spelled as `write_extra` spells it.
    """
    try:
        document = parse_object(extra, "the receipt's extra")
    except CanonError as error:
        raise NoteError(rule=str(error)) from None
    entry, opening, proof = (document.pop(name, None) for name in ("entry", "opening", "proof"))
    texts = isinstance(entry, str) and isinstance(opening, str) and isinstance(proof, list)
    hashes = [str(sibling) for sibling in proof] if isinstance(proof, list) else []
    spelled = all(re.fullmatch("[0-9a-f]{64}", sibling) for sibling in hashes)
    if document or not texts or not spelled:
        raise NoteError(rule="the receipt's extra holds other than entry, opening and proof")
    siblings = tuple(bytes.fromhex(sibling) for sibling in hashes)
    return decode_base64(str(entry), "the receipt's entry"), str(opening), siblings


@dataclass(frozen=True)
class ListRoot:
    """What a list's `list.sealed` says of its tree, from a log that was verified.

    Attributes:
        root: 32 bytes.
        slots: Of each stratum.
    """

    root: bytes
    slots: tuple[int, ...]


@dataclass(frozen=True)
class CheckedReceipt:
    """A receipt that was found good, and what was not there to check.

    Attributes:
        origin: Of the log.
        size: Entries of the log that the checkpoint covers.
        root: Of its tree, 32 bytes.
        index: The entry's seq.
        leaf: Its leaf hash, 32 bytes.
        entry: The entry, in a full receipt alone.
        opening: The opening of its slot, in a full receipt alone.
        cosigners: Names of the known witnesses that have cosigned the checkpoint.
        unchecked: What was not there to check, a sentence each.
    """

    origin: str
    size: int
    root: bytes
    index: int
    leaf: bytes
    entry: Entry | None
    opening: Opening | None
    cosigners: tuple[str, ...]
    unchecked: tuple[str, ...]


def examine_receipt(
    text: str,
    log: Verifier,
    witnesses: Collection[Verifier],
    leaf: bytes | None,
    sealed: ListRoot | None,
) -> CheckedReceipt:
    """Check a receipt as `check_receipt`, whichever of the witnesses have cosigned it.

    Raises:
        NoteError: A line is not what the format demands, a signature is bad, or the receipt and
            the leaf that was brought are of two entries.
        TreeError: The entry is not under the checkpoint's root, or the opening not under the
            list's.
        ListFileError: The list has no such slot.
        EntryError: The entry of a full receipt is none.
    """
    receipt = Receipt.parse(text)
    own, entry, opening, proof = _read_extra(receipt)
    if leaf is not None and own not in {None, leaf}:
        raise NoteError(rule="the receipt is of another entry than the leaf hash that was given")
    wanted = own or leaf
    if wanted is None:
        raise NoteError(rule="the receipt has no leaf hash in it: give the one kept beside it")
    checkpoint, cosigners = receipt.verify_cosigned(wanted, log, witnesses)
    if entry is not None and opening is not None:
        _require_opening(entry, opening, receipt.index)
        _require_in_list(entry, opening, proof, sealed)
    return CheckedReceipt(
        log.name, checkpoint.size, checkpoint.root, receipt.index, wanted, entry, opening,
        cosigners, tuple(_receipt_list_unchecked(entry, cosigners)),
    )  # fmt: skip


def _read_extra(
    receipt: Receipt,
) -> tuple[bytes | None, Entry | None, Opening | None, tuple[bytes, ...]]:
    if receipt.extra is None:
        return None, None, None, ()
    if len(receipt.extra) == LEAF_BYTES:
        return receipt.extra, None, None, ()
    data, text, proof = read_extra(receipt.extra)
    try:
        entry, opening = read_entry(data), Opening.parse(text)
    except (CanonError, ListFileError) as error:
        where, rule = error.facts["where"], error.facts["rule"]
        raise NoteError(rule=f"the receipt's {where}: {rule}") from None
    return bytes.fromhex(entry.leaf), entry, opening, proof


def _require_opening(entry: Entry, opening: Opening, index: int) -> None:
    if entry.type != "slot.assigned" or entry.seq != index:
        raise NoteError(rule=f"the receipt's entry is not the slot.assigned of seq {index}")
    body = entry.body
    same = (opening.stratum, opening.slot) == (body["stratum"], body["slot"])
    if not same or opening.leaf.hex() != body["leaf"]:
        raise NoteError(rule="the receipt's opening is not the one that its entry commits to")


def _require_in_list(
    entry: Entry, opening: Opening, proof: Sequence[bytes], sealed: ListRoot | None
) -> None:
    if sealed is None:
        number = entry.body["list"]
        rule = "a full receipt is good under its list's root alone: give root and slots of list "
        raise NoteError(rule=f"{rule}{number}, as its list.sealed in the log says them")
    index = leaf_index(sealed.slots, opening.stratum, opening.slot)
    verify_inclusion(opening.leaf, index, sum(sealed.slots), proof, sealed.root)


def _receipt_list_unchecked(entry: Entry | None, cosigners: Collection[str]) -> Iterator[str]:
    if entry is None:
        yield "The receipt holds no entry: it proves that the entry is there, not what it says."
    if not cosigners:
        yield "No known witness has cosigned it: the log's key alone vouches for the log."


# ------------------------------------------------------------------------------
# alloc_service.log.receipt_check
#
# A receipt checked offline, by a policy that comes from elsewhere: the quorum must be met.


WHERE = "receipt"


def verify_receipt(
    text: str, policy: Policy, leaf: bytes | None = None, sealed: ListRoot | None = None
) -> EvidenceReport:
    """Check a receipt.

    Args:
        text: The file.
        policy: From a source other than the receipt.
        leaf: The leaf hash that was kept beside it, 32 bytes, if any.
        sealed: Root and slots of the list of a full receipt.

    Raises:
        BundleError: The policy's quorum has not cosigned its checkpoint.
        PolicyError: The policy does not know this log.
        IntegrityError: As `examine_receipt`.
    """
    checkpoint = Receipt.parse(text).checkpoint
    key = policy.key_of(checkpoint.partition("\n")[0])
    found = examine_receipt(text, key, tuple(policy.witnesses.values()), leaf, sealed)
    if not policy.is_met_by(found.cosigners):
        rule = f"its checkpoint lacks the cosignatures of the policy's quorum {policy.quorum}"
        raise BundleError(where=WHERE, rule=rule)
    checked = [f"Entry {found.index} is in the log of {found.size:,} entries that was signed."]
    unchecked = []
    if found.entry is None:
        unchecked.append("What the entry says: the receipt proves that it is there.")
    else:
        checked.append("Its opening is the one that it commits to, under the root of its list.")
    if policy.quorum == NO_QUORUM:
        unchecked.append("The policy asks for no quorum: nobody but the log's key vouches for it.")
    return EvidenceReport(
        origin=found.origin,
        size=found.size,
        root=found.root.hex(),
        checked=tuple(checked),
        told=(),
        unchecked=tuple(unchecked),
    )


# ------------------------------------------------------------------------------
# alloc_service.log.verifier
#
# The program `verify_bundle.py`: checks a bundle, or a receipt, with nothing but Python 3.9.
#
#     python3 verify_bundle.py BUNDLE --policy POLICY [--json]
#     python3 verify_bundle.py --receipt FILE --policy POLICY [--leaf HEX] [--json]
#                              [--root HEX --slots N,N,...]     (for a full receipt)
#
# Exit code 0: all that is there is good, and what was not there to check is listed. 1: refused; the
# first thing that is wrong is named. 2: wrong use.


GOOD, REFUSED, WRONG_USE = 0, 1, 2
LARGEST = 2**31


_SLOTS = "[1-9][0-9]{0,6}(?:,[1-9][0-9]{0,6})*"


def main(arguments: Sequence[str], own: bytes | None = None) -> int:
    """Check what the arguments name, and write what was found.

    Args:
        arguments: Without the program's name.
        own: The bytes of this very program, to compare with the one in a bundle.

    Returns:
        0 good, 1 refused, 2 wrong use.
    """
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
        _require_use(given)
        policy = given.policy.read_bytes().decode("utf-8")
        data = _verifier_read(given.bundle or given.receipt)
    except SystemExit as end:
        return GOOD if end.code == GOOD else WRONG_USE
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{parser.format_usage()}{error}\n")
        return WRONG_USE
    try:
        found = _verifier_check(given, policy, data, own)
    except RefusalError as error:
        _show_refusal(error, as_json=given.json)
        return REFUSED
    _verifier_show(found, as_json=given.json)
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify_bundle.py",
        description="Check a bundle of a trial's randomization log (rac-bundle/1), or a receipt.",
        epilog="Exit codes: 0 all that is there is good, 1 refused, 2 wrong use.",
    )
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="the ZIP file")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="a receipt instead")
    parser.add_argument("--leaf", metavar="HEX", help="the leaf hash kept beside the receipt")
    parser.add_argument("--root", metavar="HEX", help="of a full receipt: its list's root")
    parser.add_argument("--slots", metavar="N,N,...", help="and the slots of each stratum")
    parser.add_argument(
        "--policy", type=Path, metavar="POLICY", required=True,
        help="whose log it is and who its witnesses are: a file that you had before",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="write the result as a line of JSON")
    return parser


def _require_use(given: argparse.Namespace) -> None:
    if (given.bundle is None) == (given.receipt is None):
        raise ValueError("Give BUNDLE, or --receipt FILE, and not both.")
    beside = (given.leaf, given.root, given.slots)
    if given.receipt is None and beside != (None, None, None):
        raise ValueError("--leaf, --root and --slots belong to --receipt.")
    if (given.root is None) != (given.slots is None):
        raise ValueError("--root and --slots go together.")
    if given.root is not None and not re.fullmatch("[0-9a-f]{64}", given.root):
        raise ValueError("--root is 64 hexadecimal digits, in small letters.")
    if given.slots is not None and not re.fullmatch(_SLOTS, given.slots, re.ASCII):
        raise ValueError("--slots is the slots of each stratum, such as 240,240.")
    if given.leaf is not None and not re.fullmatch("[0-9a-f]{64}", given.leaf):
        raise ValueError("--leaf is 64 hexadecimal digits, in small letters.")


def _verifier_read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes.")
    return data


def _verifier_check(
    given: argparse.Namespace, policy: str, data: bytes, own: bytes | None
) -> EvidenceReport:
    if given.receipt is None:
        return verify_bundle(data, parse_policy(policy), own)
    leaf = None if given.leaf is None else bytes.fromhex(given.leaf)
    sealed = None
    if given.root is not None:
        slots = tuple(int(count) for count in given.slots.split(","))
        sealed = ListRoot(bytes.fromhex(given.root), slots)
    return verify_receipt(data.decode("utf-8", "replace"), parse_policy(policy), leaf, sealed)


def _show_refusal(error: RefusalError, *, as_json: bool) -> None:
    if as_json:
        _write_json({"ok": False, "code": error.code, "fault": str(error)})
    else:
        _verifier_write(f"REFUSED  {error}")


def _verifier_show(found: EvidenceReport, *, as_json: bool) -> None:
    if as_json:
        _write_json(found.to_json())
        return
    _verifier_write(f"{found.origin}: {found.size:,} entries, root {found.root}")
    for word, sentences in (("ok", found.checked), ("note", found.told), ("--", found.unchecked)):
        for sentence in sentences:
            _verifier_write(f"  {word:<5} {sentence}")
    _verifier_write("Everything that is here is good; what stands behind -- was not there to check.")


def _write_json(document: Mapping[str, Json]) -> None:
    _verifier_write(json.dumps(document, sort_keys=True, separators=(",", ":")))


def _verifier_write(line: str) -> None:
    """Write a line; what no terminal shows, or would obey, is written as its escape."""
    encoding = sys.stdout.encoding or "ascii"
    shown = (one if one.isprintable() else ascii(one)[1:-1] for one in line)
    sys.stdout.write("".join(shown).encode(encoding, "backslashreplace").decode(encoding) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).read_bytes()))
