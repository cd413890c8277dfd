"""One entry of the audit log `rac-log/1`: its types, its fields, its bytes.

An entry is canonical JSON {"body","prev","seq","time","type","v"}, under 65,536 bytes; its leaf
is SHA-256(0x00 ‖ bytes), and `prev` is the leaf of the entry before, or "". A body holds no arm,
no patient data and no free text: only ids, codes, counts and hashes. The table `FIELDS` says
which, and is compiled to one grammar a type: bytes that match it are canonical, complete and of
the right kinds at once. What may follow what is in `rules`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from alloc_service.core.canon import Json, canon, parse_object
from alloc_service.core.merkle import leaf_hash
from alloc_service.errors import CanonError, EntryError, EntryTypeError, VersionError

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


def write_entry(seq: int, prev: str, time: str, type_: str, body: Mapping[str, Json]) -> Entry:
    """Return a new entry, read back through the same grammar as anybody else's.

    Raises:
        CanonError: A value has no canonical spelling.
        EntryError: A field is unknown, missing or of the wrong kind.
    """
    document: Json = {
        "body": body, "prev": prev, "seq": seq, "time": time, "type": type_, "v": VERSION,
    }  # fmt: skip
    return read_entry(canon(document))


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
        raise _fault(data) from None
    if grammar(text) is None:
        raise _fault(data)
    seq, time = document["seq"], document["time"]
    if not _is_real(time):
        raise EntryError(where=f"entry {seq}, time", rule="must be a real UTC date and time")
    leaf = leaf_hash(data).hex()
    return Entry(seq, document["prev"], time, document["type"], document["body"], data, leaf)


def format_time(moment: datetime) -> str:
    """Return an aware moment in the log's spelling, cut to whole seconds, in UTC.

    Raises:
        ValueError: The moment is naive: which instant it means would depend on the machine.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the aware UTC moment of a time in the log's spelling."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # older Pythons read no Z


def _is_real(time: str) -> bool:
    try:
        datetime.fromisoformat(time[:-1])
    except ValueError:
        return False
    return True


def _fault(data: bytes) -> CanonError | EntryError:
    """Return why bytes match no grammar: the slow way, taken for a refusal only."""
    try:
        document = parse_object(data, "entry")
    except CanonError as error:
        return error
    version = document.get("v")
    if isinstance(version, str) and version != VERSION:  # first: its frame may be another too
        return VersionError(where=_show(document.get("seq")), version=_show(version))
    frame = {
        "body": ".*", "prev": HEX32_OR_EMPTY, "seq": COUNT, "time": TIME, "type": ".*",
        "v": f'"{VERSION}"',
    }  # fmt: skip
    if fault := _first_fault(document, frame):
        return EntryError(where="entry", rule=fault)
    forms = FIELDS.get(str(document["type"]))
    where = f"entry {document['seq']}"
    if forms is None:
        return EntryTypeError(where=where, type=_show(document["type"]))
    body = document["body"]
    if not isinstance(body, dict):
        return EntryError(where=f"{where}, body", rule="must be an object")
    form = max(forms, key=lambda form: len(form.keys() & body.keys()))
    fault = _first_fault(body, {**form, "actor": PERSON})
    return EntryError(where=f"{where}, {document['type']}", rule=fault)


def _first_fault(found: Mapping[str, Json], kinds: Fields) -> str:
    for name in sorted(found.keys() | kinds.keys()):
        if name not in kinds:
            return f"unknown field {_show(name)}"
        if name not in found:
            return f"missing field {name}"
        if not re.fullmatch(kinds[name], canon(found[name]).decode("utf-8"), re.ASCII | re.DOTALL):
            return f"the field {name} is not of the kind that the format demands"
    return ""


def _show(value: object) -> str:
    return repr(value)[:80]
