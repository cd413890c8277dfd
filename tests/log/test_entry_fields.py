"""Every field of every type: its kind, and what is almost of that kind."""

import hashlib
import json
from collections.abc import Mapping

import pytest

from alloc_service.errors import CanonError, EntryError
from alloc_service.log import entry as grammar
from alloc_service.log.entry import FIELDS, read_entry
from tests.support.entries import HEX, PERSON, TIME, UUID, VKEY, good, raw, spell

# What is almost of a kind, as raw JSON.
NEARLY: Mapping[str, tuple[str, ...]] = {
    grammar.HEX32: (f'"{HEX.upper()}"', f'"{HEX[1:]}"', f'"{HEX}0"', '""', "7"),
    grammar.HEX32_OR_EMPTY: (f'"{HEX.upper()}"', f'"{HEX[1:]}"', f'"{HEX}0"', "0"),
    grammar.KID: ('"0123456789ABCDEF"', '"0123456789abcde"', f'"{HEX[:17]}"', '""', "7"),
    grammar.CODE: ('""', '"No-consent"', '"no consent"', '"no_consent"', f'"{"a" * 65}"', "7"),
    grammar.ID: ('""', '"u 1"', '"u+1"', f'"{"a" * 65}"', "7"),
    grammar.NAME: ('""', '"a b"', '"a@b"', f'"{"a" * 65}"', "7"),
    grammar.SITE: ('"a b"', '"a@b"', f'"{"a" * 65}"', "7"),
    grammar.ROLE: ('""', '"Manager"', '"data manager"', f'"{"a" * 65}"', "7"),
    grammar.ROLE_OR_EMPTY: ('"Manager"', '"data manager"', f'"{"a" * 65}"', "7"),
    grammar.ORIGIN: ('""', '"a/b"', '"a/b/audit/"', '"a b/c/audit"', '"a/b+c/audit"', "7"),
    grammar.VKEY: (
        '""',
        f'"{VKEY[:-1]}"',
        f'"{VKEY[:-1]}="',
        f'"{VKEY}A"',
        f'"{VKEY.replace("07deaf07", "07DEAF07")}"',
        f'"{VKEY.replace("+", " ")}"',
        "7",
    ),
    grammar.UUID: (f'"{UUID.upper()}"', f'"{UUID.replace("-", "")}"', f'"{UUID}0"', '""', "7"),
    grammar.TIME: (
        '"2026-01-02T09:00:00+00:00"',
        '"2026-01-02 09:00:00Z"',
        '"2026-01-02T09:00:00.0Z"',
        '"2026-01-02T09:00Z"',
        '"2026-01-02T24:00:00Z"',
        '"2026-01-02T23:60:00Z"',
        '"2026-01-02T23:59:60Z"',
        "1767344400",
    ),
    grammar.COUNT: ("true", '"0"', "01", "-0", str(10**15), str(10**30)),
    grammar.POSITIVE: ("0", "true", '"1"', "01", str(10**15), str(10**30)),
    grammar.LIST: ("0", "10000", "true", '"1"', "01"),
    grammar.FLAG: ("0", "1", '"true"', "True"),
    grammar.SLOTS: ("[]", "[0]", "[01]", "[true]", '["1"]', "[1,]", "[1.0]", "1", "[10000000]"),
    grammar.LISTS: ("[0]", "[10000]", "[01]", "[true]", '["1"]', "1"),
    grammar.MODE: ('""', '"Gate"', '"none"', "1"),
    grammar.VKEYS: ('""', f'"{VKEY}"', '[""]', f'["{VKEY}",]', f'["{VKEY}" ]', "7"),
    grammar.PERSON: (
        '{"id":"u1","org":"XA01"}',
        '{"id":"u1","name":"Wang","org":"XA01","role":"manager"}',
        '{"org":"XA01","id":"u1","role":"manager"}',
        '{"id":"u1","org":"XA01","role":7}',
        '{"id":"u1","org":"XA01","role":"Manager"}',
        '{"id":"","org":"XA01","role":"manager"}',
        '"u1"',
    ),
}
# What no field of any kind may be.
NEVER = (
    "null",
    "-1",
    "1.0",
    "1e3",
    "NaN",
    "{}",
    "[[]]",
    '{"a":{"b":[]}}',
    '"\\u0000"',
    '"\\n"',
    '"a\\"b"',
    '"é"',
    '"\\u00e9"',
    '"\\ud800"',
    '"　"',
    f'"{"a" * 300}"',
    f'"{"a" * 10_000}"',
    "[" * 40 + "]" * 40,
    "",
)

FORMS = [
    pytest.param(type_, dict(form), id=f"{type_}-{number}")
    for type_, forms in FIELDS.items()
    for number, form in enumerate(forms)
]
FIELD_CASES = [
    pytest.param(type_, dict(form), name, kind, id=f"{type_}-{number}.{name}")
    for type_, forms in FIELDS.items()
    for number, form in enumerate(forms)
    for name, kind in {**form, "actor": grammar.PERSON}.items()
]


@pytest.mark.parametrize(("type_", "form"), FORMS)
def test_an_entry_of_each_type_is_read_as_the_json_that_it_is(
    type_: str, form: dict[str, str]
) -> None:
    data = spell(type_, good(form))

    entry = read_entry(data)

    assert entry.body == json.loads(data)["body"]
    assert (entry.seq, entry.prev, entry.time, entry.type) == (0, "", TIME, type_)
    assert entry.data == data
    assert entry.leaf == hashlib.sha256(b"\x00" + data).hexdigest()
    assert entry.actor_id == "u1"


@pytest.mark.parametrize(("type_", "form", "name", "kind"), FIELD_CASES)
def test_each_field_of_each_type_is_refused_where_it_is_of_another_kind(
    type_: str, form: dict[str, str], name: str, kind: str
) -> None:
    for wrong in (*NEARLY[kind], *NEVER):
        with pytest.raises((EntryError, CanonError)):
            read_entry(spell(type_, {**good(form), name: wrong}))


@pytest.mark.parametrize(("type_", "form"), FORMS)
def test_each_type_is_refused_where_a_field_is_missing(type_: str, form: dict[str, str]) -> None:
    for name in good(form):
        fields = good(form)
        del fields[name]
        with pytest.raises(EntryError, match="missing field"):
            read_entry(spell(type_, fields))


@pytest.mark.parametrize(("type_", "form"), FORMS)
@pytest.mark.parametrize("name", ["aaa", "arm", "zzz", "Actor", ""])
def test_each_type_is_refused_with_a_field_that_it_does_not_have(
    type_: str, form: dict[str, str], name: str
) -> None:
    with pytest.raises(EntryError, match="unknown field"):
        read_entry(spell(type_, {**good(form), name: '"A"'}))


@pytest.mark.parametrize("type_", ["key.created", "key.rotated"])
def test_a_key_is_logged_by_its_kid_or_its_vkey_and_not_by_both(type_: str) -> None:
    both = {"actor": raw(PERSON), "kid": raw(HEX[:16]), "vkey": raw(VKEY)}

    with pytest.raises(EntryError, match="unknown field 'vkey'"):
        read_entry(spell(type_, both))
    with pytest.raises(EntryError, match="missing field kid"):
        read_entry(spell(type_, {"actor": raw(PERSON)}))
