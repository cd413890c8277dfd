"""Design documents: the vectors, round trips, and every rule broken one by one."""

import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.design import Arm, BlockSize, Design, Stratum, is_stratum_code
from alloc_service.errors import CanonError, DesignError

VECTORS = Path(__file__).parents[1] / "vectors"
SALT = "5c27206d259349c4542fd14c128544bdd1926e9a68ccf7d18a36a5976de01efc"
TWO_ARMS = (Arm("A", 1), Arm("B", 1))

Document = dict[str, Any]

EXAMPLE: Document = {
    "alg": "rac-gen/1",
    "arms": [{"code": "A", "ratio": 2}, {"code": "B", "ratio": 1}],
    "blocks": [{"size": 3, "weight": 1}, {"size": 6, "weight": 2}],
    "list": 1,
    "salt": SALT,
    "strata": [{"code": "cp=9-10;meld=<20", "slots": 240}, {"code": "其他", "slots": 7}],
    "trial": "NCT01728727",
}


def design_of(**changes: Any) -> Design:
    parts: Document = {
        "trial": "EXAMPLE-01",
        "list": 1,
        "arms": TWO_ARMS,
        "blocks": (BlockSize(4, 1), BlockSize(6, 1)),
        "strata": (Stratum("all", 12),),
        "salt": SALT,
    }
    return Design(**(parts | changes))


@st.composite
def designs(draw: st.DrawFn) -> Design:
    codes = st.text("ABab019._+-", min_size=1, max_size=32)
    arms = tuple(
        Arm(code, draw(st.integers(1, 16)))
        for code in draw(st.lists(codes, min_size=2, max_size=16, unique=True))
    )
    unit = sum(arm.ratio for arm in arms)
    sizes = st.integers(1, 256 // unit).map(lambda times: times * unit)
    labels = st.text(min_size=1, max_size=20).filter(is_stratum_code)
    return Design(
        trial=draw(st.text("Az09._/-", min_size=1, max_size=64)),
        list=draw(st.integers(1, 9_999)),
        arms=arms,
        blocks=tuple(
            BlockSize(size, draw(st.integers(1, 1_000)))
            for size in draw(st.lists(sizes, min_size=1, max_size=16, unique=True))
        ),
        strata=tuple(
            Stratum(code, draw(st.integers(1, 1_000_000)))
            for code in draw(st.lists(labels, min_size=1, max_size=2, unique=True))
        ),
    )


@pytest.mark.parametrize("name", ["gen1", "gen2"])
def test_the_vector_is_read_and_written_byte_for_byte(name: str) -> None:
    vector = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    data = vector["design_jcs"].encode("utf-8")

    design = Design.from_bytes(data)

    assert design.to_bytes() == data == canon(vector["design"])
    assert design.sha256 == vector["expect"]["design_sha256"]


@given(design=designs())
@settings(deadline=None)
def test_a_design_is_written_and_read_back(design: Design) -> None:
    data = design.to_bytes()

    assert Design.from_bytes(data) == design
    assert Design.from_bytes(data).to_bytes() == data
    assert design.sha256 == hashlib.sha256(data).hexdigest()


def test_the_example_breaks_no_rule() -> None:
    design = Design.from_bytes(canon(EXAMPLE))

    assert design.ratio_sum == 3
    assert design.slots == 247
    assert not design.is_test


ANOTHER: list[tuple[str, Any]] = [
    ("trial", "NCT01728728"),
    ("list", 2),
    ("salt", SALT[::-1]),
    ("arms/0/code", "C"),
    ("arms", [{"code": "A", "ratio": 1}, {"code": "B", "ratio": 2}]),
    ("arms", EXAMPLE["arms"][::-1]),
    ("blocks/0/size", 9),
    ("blocks/0/weight", 2),
    ("blocks", EXAMPLE["blocks"][::-1]),
    ("strata/0/code", "all"),
    ("strata/0/slots", 241),
    ("strata", EXAMPLE["strata"][::-1]),
]


@pytest.mark.parametrize(("where", "value"), ANOTHER)
def test_every_part_of_a_design_and_its_order_are_in_its_hash(where: str, value: Any) -> None:
    after = Design.from_bytes(canon(put(where, value)))

    assert after.sha256 != Design.from_bytes(canon(EXAMPLE)).sha256


DROP = object()
MANY_ARMS = [{"code": f"A{number}", "ratio": 1} for number in range(17)]
MANY_BLOCKS = [{"size": 3 * number, "weight": 1} for number in range(1, 18)]
MANY_STRATA = [{"code": f"s{number}", "slots": 1} for number in range(1_001)]
MANY_SLOTS = [
    {"code": code, "slots": slots} for code, slots in (("a", 1_000_000), ("b", 1_000_000), ("c", 1))
]

ID = "must be 1-64 of A-Z a-z 0-9 . _ / -"
LIST = "must be an integer from 1 to 9,999"
HEX32 = "must be 64 lower-case hexadecimal digits"
ARM = "must be 1-32 of A-Z a-z 0-9 . _ + -"
RATIO = "must be an integer from 1 to 16"
SIZE = "must be a multiple of 3, the sum of the ratios, up to 256"
WEIGHT = "must be an integer from 1 to 1,000"
CODE = "must be 1-200 characters in Unicode NFC, no control character"
SLOTS = "must be an integer from 1 to 1,000,000"

Row = tuple[str, Any, str, str]


def each(where: str, values: list[Any], path: str, rule: str) -> list[Row]:
    return [(where, value, path, rule) for value in values]


# What is put where (a key or index after the last slash may be new), the path, the rule.
BROKEN: list[Row] = [
    ("note", "x", "document", "the key 'note' is unknown"),
    ("Alg", "rac-gen/1", "document", "the key 'Alg' is unknown"),
    *((key, DROP, "document", f"the key {key!r} is missing") for key in EXAMPLE),
    ("alg", "rac-gen/0", "alg", "must be exactly rac-gen/1"),
    ("alg", 1, "alg", "must be exactly rac-gen/1"),
    *each("trial", ["", "x" * 65, "NCT 1", "NCT1\n", "NCT|1", "NCTé"], "trial", ID),
    *each("trial", [1, None, ["NCT1"]], "trial", "must be a string"),
    *each("list", [0, -1, 10_000], "list", LIST),
    *each("list", ["1", True, None], "list", "must be an integer"),
    *each("salt", ["", SALT[1:], SALT + "0", SALT.upper()], "salt", HEX32),
    ("salt", None, "salt", "must be a string"),
    *each("arms", [{}, "AB", None], "arms", "must be an array"),
    *each("arms", [[], EXAMPLE["arms"][:1]], "arms", "must be 2 to 16 arms"),
    ("arms", MANY_ARMS, "arms", "must be 2 to 16 arms"),
    ("arms/2", "C", "arms[2]", "must be an object"),
    ("arms/1/label", "x", "arms[1]", "the key 'label' is unknown"),
    ("arms/1/code", DROP, "arms[1]", "the key 'code' is missing"),
    ("arms/1/ratio", DROP, "arms[1]", "the key 'ratio' is missing"),
    *each("arms/1/code", ["", "x" * 33, "A|B", "A,B", "é"], "arms[1].code", ARM),
    *each("arms/0/code", ["A\n", " A", "A/B", '"A"', "A=1"], "arms[0].code", ARM),
    ("arms/0/code", 1, "arms[0].code", "must be a string"),
    ("arms/1/code", "A", "arms", "must be arms of different codes"),
    *each("arms/1/ratio", [0, -1, 17], "arms[1].ratio", RATIO),
    *each("arms/1/ratio", [True, "1", None], "arms[1].ratio", "must be an integer"),
    *each("blocks", [{}, 4, None], "blocks", "must be an array"),
    *each("blocks", [[], MANY_BLOCKS], "blocks", "must be 1 to 16 block types"),
    ("blocks/2", 9, "blocks[2]", "must be an object"),
    ("blocks/0/p", 1, "blocks[0]", "the key 'p' is unknown"),
    ("blocks/0/size", DROP, "blocks[0]", "the key 'size' is missing"),
    ("blocks/0/weight", DROP, "blocks[0]", "the key 'weight' is missing"),
    *each("blocks/1/size", [0, -3, 7, 258], "blocks[1].size", SIZE),
    *each("blocks/1/size", ["6", True], "blocks[1].size", "must be an integer"),
    *each("blocks/0/weight", [0, -1, 1_001], "blocks[0].weight", WEIGHT),
    ("blocks/0/weight", None, "blocks[0].weight", "must be an integer"),
    ("blocks/0/size", 6, "blocks", "must be different sizes"),
    *each("strata", [{}, "all", None], "strata", "must be an array"),
    *each("strata", [[], MANY_STRATA], "strata", "must be 1 to 1,000 strata"),
    ("strata", MANY_SLOTS, "strata", "must be at most 2,000,000 slots in all"),
    ("strata/2", ["x", 1], "strata[2]", "must be an object"),
    ("strata/1/cap", 1, "strata[1]", "the key 'cap' is unknown"),
    ("strata/1/code", DROP, "strata[1]", "the key 'code' is missing"),
    ("strata/1/slots", DROP, "strata[1]", "the key 'slots' is missing"),
    *each("strata/1/code", ["", "x" * 201, "a\nb", "a\x00"], "strata[1].code", CODE),
    *each("strata/1/code", ["\t", "a\x7f", "a\x85b", "\r"], "strata[1].code", CODE),
    ("strata/1/code", 1, "strata[1].code", "must be a string"),
    ("strata/1/code", EXAMPLE["strata"][0]["code"], "strata", "must be strata of different codes"),
    *each("strata/0/slots", [0, -1, 1_000_001], "strata[0].slots", SLOTS),
    *each("strata/0/slots", [False, "9"], "strata[0].slots", "must be an integer"),
]


def put(where: str, value: Any) -> Document:
    """Return the example with one thing put, added or dropped."""
    document = copy.deepcopy(EXAMPLE)
    *path, last = [int(step) if step.isdigit() else step for step in where.split("/")]
    place: Any = document
    for step in path:
        place = place[step]
    if value is DROP:
        del place[last]
    elif isinstance(place, list):
        place.insert(int(last), value)
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(("where", "value", "path", "rule"), BROKEN)
def test_a_broken_rule_is_refused_by_path_and_rule(
    where: str, value: Any, path: str, rule: str
) -> None:
    with pytest.raises(DesignError) as refusal:
        Design.from_bytes(canon(put(where, value)))

    assert str(refusal.value) == f"Design, {path}: {rule}."
    assert SALT not in str(refusal.value)


BUILT_BADLY: dict[str, tuple[Document, str]] = {
    "a trial id that is no text": ({"trial": 7}, "trial"),
    "a salt that is no text": ({"salt": None}, "salt"),
    "a list that is a float": ({"list": 1.0}, "list"),
    "a list that is true": ({"list": True}, "list"),
    "a weight that is true": ({"blocks": (BlockSize(4, True),)}, "blocks[0].weight"),
    "an arm's code that is no text": ({"arms": (Arm("A", 1), Arm(None, 1))}, "arms[1].code"),  # type: ignore[arg-type]  # what a careless caller does
    "a ratio that is a float": ({"arms": (Arm("A", 1), Arm("B", 1.0))}, "arms[1].ratio"),  # type: ignore[arg-type]  # likewise
    "a stratum's code that is no text": ({"strata": (Stratum(b"x", 1),)}, "strata[0].code"),  # type: ignore[arg-type]  # likewise
    "a stratum's code outside NFC": ({"strata": (Stratum("e\u0301", 1),)}, "strata[0].code"),
    "a lone surrogate": ({"strata": (Stratum("a\ud800", 1),)}, "strata[0].code"),
    "a size that fits another ratio": ({"blocks": (BlockSize(3, 1),)}, "blocks[0].size"),
}


@pytest.mark.parametrize(("changes", "path"), BUILT_BADLY.values(), ids=BUILT_BADLY.keys())
def test_a_design_that_breaks_a_rule_is_never_built(changes: Document, path: str) -> None:
    with pytest.raises(DesignError) as refusal:
        design_of(**changes)

    assert str(refusal.value).startswith(f"Design, {path}: must be ")


def test_replacing_a_part_checks_the_rules_again() -> None:
    with pytest.raises(DesignError, match="multiple of 2"):
        replace(design_of(), blocks=(BlockSize(5, 1),))
    assert replace(design_of(), list=2).sha256 != design_of().sha256


AT_THE_BOUNDS: dict[str, Document] = {
    "a trial id of 64": {"trial": "x" * 64},
    "a trial id of one": {"trial": "x"},
    "list 9,999": {"list": 9_999},
    "16 arms": {
        "arms": tuple(Arm(f"A{number}", 16) for number in range(16)),
        "blocks": (BlockSize(256, 1),),
    },
    "a code of 32": {"arms": (Arm("x" * 32, 1), Arm("._+-", 1))},
    "codes that differ in case": {"arms": (Arm("a", 1), Arm("A", 1))},
    "16 block types": {"blocks": tuple(BlockSize(2 * n, 1_000) for n in range(1, 17))},
    "a block of 256": {"blocks": (BlockSize(256, 1),)},
    "the smallest block": {"blocks": (BlockSize(2, 1),)},
    "1,000 strata of 2,000": {"strata": tuple(Stratum(f"s{n}", 2_000) for n in range(1_000))},
    "two strata of 1,000,000": {"strata": (Stratum("a", 1_000_000), Stratum("b", 1_000_000))},
    "one slot": {"strata": (Stratum("a", 1),)},
    "a stratum's code of 200": {"strata": (Stratum("肝" * 200, 1),)},
    "a stratum's code with a bar, a comma and quotes": {"strata": (Stratum('a|b,"c"', 1),)},
}


@pytest.mark.parametrize("changes", AT_THE_BOUNDS.values(), ids=AT_THE_BOUNDS.keys())
def test_a_design_at_the_bounds_is_built_and_read_back(changes: Document) -> None:
    design = design_of(**changes)

    assert Design.from_bytes(design.to_bytes()) == design


GOOD = canon(EXAMPLE)
SPOILT: dict[str, bytes] = {
    "nothing": b"",
    "an array": b"[]",
    "text": b'"rac-gen/1"',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "a line end": GOOD + b"\n",
    "a CR LF": GOOD + b"\r\n",
    "trailing bytes": GOOD + b"{}",
    "white space": GOOD.replace(b",", b", ", 1),
    "the list twice": GOOD.replace(b'"list":1', b'"list":1,"list":1'),
    "another list first": GOOD.replace(b'"list":1', b'"list":2,"list":1'),
    "a ratio twice": GOOD.replace(b'"ratio":2', b'"ratio":2,"ratio":2'),
    "a list as a float": GOOD.replace(b'"list":1', b'"list":1.0'),
    "a list with an exponent": GOOD.replace(b'"list":1', b'"list":1e0'),
    "a list with a leading zero": GOOD.replace(b'"list":1', b'"list":01'),
    "a list of 5,000 digits": GOOD.replace(b'"list":1', b'"list":' + b"9" * 5_000),
    "a list beyond 2^53": GOOD.replace(b'"list":1', b'"list":9007199254740993'),
    "strata nested deep": GOOD.replace(b'"strata":[', b'"strata":[' + b"[" * 90 + b"]" * 90 + b","),
    "keys out of order": GOOD[:-1].replace(b'"alg":"rac-gen/1",', b"") + b',"alg":"rac-gen/1"}',
    "a stratum's code outside NFC": GOOD.replace("其".encode(), "e\u0301".encode()),
    "a stratum's code with a lone surrogate": GOOD.replace("其".encode(), b"\\ud800"),
    "a stratum's code with an encoded surrogate": GOOD.replace("其".encode(), b"\xed\xa0\x80"),
    "bytes that are not UTF-8": GOOD.replace("其".encode(), b"\xff"),
    "UTF-16": GOOD.decode().encode("utf-16"),
}


@pytest.mark.parametrize("data", SPOILT.values(), ids=SPOILT.keys())
def test_bytes_that_are_not_the_one_spelling_are_refused(data: bytes) -> None:
    assert data != GOOD
    with pytest.raises(CanonError, match="design") as refusal:
        Design.from_bytes(data)

    assert SALT not in str(refusal.value)


def test_a_salt_is_fresh_unless_one_is_given() -> None:
    fresh = [
        Design("EXAMPLE-01", 1, TWO_ARMS, (BlockSize(4, 1),), (Stratum("all", 12),))
        for _ in range(20)
    ]

    assert len({design.salt for design in fresh}) == 20
    assert len({design.sha256 for design in fresh}) == 20


@pytest.mark.parametrize(
    ("trial", "is_test"),
    [("TEST-1", True), ("TEST-", True), ("TEST", False), ("test-1", False), ("X-TEST-1", False)],
)
def test_only_an_id_that_starts_with_test_is_a_trial_for_testing(trial: str, is_test: bool) -> None:
    assert design_of(trial=trial).is_test is is_test
