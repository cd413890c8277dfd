"""Entries of every type, spelled by hand from the raw JSON of their fields."""

import json
from collections.abc import Mapping

from alloc_service.core.canon import Json
from alloc_service.log import entry as grammar

HEX = "0123456789abcdef" * 4
ORIGIN = "rac.example.org/EXAMPLE-02/audit"
PERSON = {"id": "u1", "org": "XA01", "role": "manager"}
TIME = "2026-01-02T09:00:00Z"
UUID = "b494469d-373b-4d4f-8b98-9166ba225dea"
VKEY = f"{ORIGIN}+07deaf07+AahdKi7MbXK/mNDV1kaotDmM+AVHnZT8J2EFMJ02qIGu"

# One good value of each kind.
GOOD: Mapping[str, Json] = {
    grammar.HEX32: HEX,
    grammar.HEX32_OR_EMPTY: "",
    grammar.KID: HEX[:16],
    grammar.CODE: "no-consent.1",
    grammar.ID: "dr.wang@site/01",
    grammar.NAME: "EXAMPLE-02/a_b.c",
    grammar.SITE: "",
    grammar.ROLE: "second-statistician",
    grammar.ROLE_OR_EMPTY: "",
    grammar.ORIGIN: ORIGIN,
    grammar.VKEY: VKEY,
    grammar.UUID: UUID,
    grammar.TIME: TIME,
    grammar.COUNT: 0,
    grammar.POSITIVE: 1,
    grammar.LIST: 9_999,
    grammar.FLAG: False,
    grammar.SLOTS: [10, 1_000_000],
    grammar.LISTS: [],
    grammar.MODE: "gate",
    grammar.VKEYS: [VKEY],
    grammar.PERSON: PERSON,
}


def spell(type_: str, fields: Mapping[str, str], **frame: str) -> bytes:
    """Spell an entry from the raw JSON of its body's fields and of its frame."""
    body = ",".join(f'"{name}":{raw}' for name, raw in sorted(fields.items()))
    whole = {
        "body": f"{{{body}}}",
        "prev": '""',
        "seq": "0",
        "time": f'"{TIME}"',
        "type": f'"{type_}"',
        "v": '"rac-log/1"',
        **frame,
    }
    return ("{" + ",".join(f'"{name}":{raw}' for name, raw in whole.items()) + "}").encode()


def raw(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def good(form: Mapping[str, str]) -> dict[str, str]:
    return {name: raw(GOOD[kind]) for name, kind in {**form, "actor": grammar.PERSON}.items()}
