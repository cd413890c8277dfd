import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]  # the library ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alloc_service.core.canon import canon
from alloc_service.core.design import Design
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import CustodiansError, EscrowError
from alloc_service.sealing.escrow import escrow_text, open_escrow, parse_escrow_text, write_escrow

NAMES = ("archive", "dmc", "statistician")
PAIRS = (("archive", "dmc"), ("archive", "statistician"), ("dmc", "statistician"))
REVEALS = ("1" * 64, "a" * 64)
BEACON = "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587"


@dataclass(frozen=True)
class Custodian:
    """A custodian's own identity file and the recipient that is handed out."""

    identity: str
    recipient: str

    @classmethod
    def fresh(cls) -> "Custodian":
        identity = pyrage.x25519.Identity.generate()
        return cls(str(identity), str(identity.to_public()))


CUSTODIANS = {name: Custodian.fresh() for name in NAMES}
RECIPIENTS = {name: custodian.recipient for name, custodian in CUSTODIANS.items()}


@pytest.fixture(scope="module")
def text(design: Design, seed: Seed) -> bytes:
    return escrow_text(design, seed, REVEALS, BEACON)


@pytest.fixture(scope="module")
def files(text: bytes) -> dict[str, bytes]:
    return write_escrow(text, RECIPIENTS)


@pytest.fixture
def altered(text: bytes) -> Callable[..., bytes]:
    """Return a writer of texts with other values, spelled canonically."""

    def write(**change: Any) -> bytes:
        document = json.loads(text)
        document.update(change)
        return canon({key: value for key, value in document.items() if value != "absent"})

    return write


def test_the_text_is_spelled_as_documented(text: bytes, design: Design, seed: Seed) -> None:
    document = design.to_bytes().decode()

    assert text.decode() == (
        f'{{"alg":"rac-escrow/1","beacon":"{BEACON}","design":{document},'
        f'"reveals":["{REVEALS[0]}","{REVEALS[1]}"],"seed":"{seed.digits}"}}'
    )


def test_without_a_ceremony_there_are_no_reveals_and_no_beacon(design: Design, seed: Seed) -> None:
    text = escrow_text(design, seed)

    assert b'"beacon":null' in text
    assert b'"reveals":[]' in text
    assert parse_escrow_text(text).to_bytes() == text


def test_the_text_gives_the_list_again(text: bytes, design: Design, seed: Seed) -> None:
    kept = parse_escrow_text(text)

    assert (kept.design, kept.seed, kept.reveals, kept.beacon) == (design, seed, REVEALS, BEACON)
    assert kept.to_bytes() == text
    assert generate(kept.design, kept.seed).root == generate(design, seed).root


def test_each_pair_of_custodians_opens_its_file(files: dict[str, bytes], text: bytes) -> None:
    assert sorted(files) == [f"seed.{first}+{second}.age" for first, second in PAIRS]
    for (first, second), (name, data) in zip(PAIRS, sorted(files.items()), strict=True):
        identities = (CUSTODIANS[first].identity, CUSTODIANS[second].identity)
        assert open_escrow(data, *identities, name).to_bytes() == text


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_no_other_pair_and_no_single_custodian_opens_a_file(
    files: dict[str, bytes], first: str, second: str
) -> None:
    for name, data in files.items():
        if name == f"seed.{first}+{second}.age":
            continue
        with pytest.raises(EscrowError):
            open_escrow(data, CUSTODIANS[first].identity, CUSTODIANS[second].identity, name)


def test_a_wrong_identity_is_named_by_its_layer_and_file(
    files: dict[str, bytes], seed: Seed
) -> None:
    name = "seed.archive+dmc.age"
    archive, dmc = CUSTODIANS["archive"].identity, CUSTODIANS["dmc"].identity

    for identities, layer in (
        ((dmc, archive), "outer layer, for the custodian named first"),
        ((archive, archive), "inner layer, for the custodian named second"),
        (("AGE-SECRET-KEY-1", dmc), "outer layer"),
        ((archive, ""), "inner layer"),
    ):
        with pytest.raises(EscrowError, match=layer) as caught:
            open_escrow(files[name], *identities, name)
        said = f"{caught.value} {caught.value.facts}"
        assert name in said
        for secret in (archive, dmc, seed.digits, "AGE-SECRET-KEY-1Q"):
            assert secret not in said


def test_every_changed_byte_of_a_file_is_refused(files: dict[str, bytes]) -> None:
    data = files["seed.archive+dmc.age"]
    identities = (CUSTODIANS["archive"].identity, CUSTODIANS["dmc"].identity)

    for index in range(0, len(data), 11):
        changed = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
        with pytest.raises(EscrowError):
            open_escrow(changed, *identities)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_debians_age_opens_each_file_for_its_pair(  # noqa: PLR0917 - fixtures come by name
    age_binary: str, files: dict[str, bytes], text: bytes, tmp_path: Path, first: str, second: str
) -> None:
    for name, custodian in CUSTODIANS.items():
        (tmp_path / f"{name}.key").write_text(f"# {name}\n{custodian.identity}\n")
    path = tmp_path / f"seed.{first}+{second}.age"
    path.write_bytes(files[path.name])

    command = f'"{age_binary}" -d -i {first}.key {path.name} | "{age_binary}" -d -i {second}.key'
    opened = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)

    assert opened.stdout == text


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_debians_age_opens_no_file_for_one_custodian(
    age_binary: str, files: dict[str, bytes], tmp_path: Path, first: str, second: str
) -> None:
    path = tmp_path / "file.age"
    for name, custodian in CUSTODIANS.items():
        key = tmp_path / f"{name}.key"
        key.write_text(custodian.identity + "\n")
        data = files[f"seed.{first}+{second}.age"]
        for _layer in range(2):
            path.write_bytes(data)
            done = subprocess.run(
                [age_binary, "-d", "-i", key, path], check=False, capture_output=True
            )
            assert b"rac-escrow" not in done.stdout
            data = done.stdout
        assert done.returncode != 0


def test_the_same_text_is_never_encrypted_alike_twice(text: bytes, files: dict[str, bytes]) -> None:
    assert not set(files.values()) & set(write_escrow(text, RECIPIENTS).values())


def test_the_order_in_which_custodians_are_given_says_nothing(
    text: bytes, files: dict[str, bytes]
) -> None:
    turned = dict(reversed(RECIPIENTS.items()))

    assert set(write_escrow(text, turned)) == set(files)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_there_are_exactly_three_custodians(text: bytes, count: int) -> None:
    recipients = {f"custodian-{at}": Custodian.fresh().recipient for at in range(count)}

    with pytest.raises(CustodiansError, match="3"):
        write_escrow(text, recipients)


@pytest.mark.parametrize("name", ["", "DMC", "a b", "a+b", "../dmc", "dmc\n", "d" * 33, "é"])
def test_an_odd_name_of_a_custodian_is_refused(text: bytes, name: str) -> None:
    recipients = dict(list(RECIPIENTS.items())[:2])

    with pytest.raises(CustodiansError, match="name"):
        write_escrow(text, {**recipients, name: Custodian.fresh().recipient})


@pytest.mark.parametrize(
    "recipient",
    [RECIPIENTS["dmc"], RECIPIENTS["dmc"].upper(), f" {RECIPIENTS['dmc']}\n"],
    ids=["the same", "in capitals", "with space around"],
)
def test_one_key_cannot_stand_for_two_custodians(text: bytes, recipient: str) -> None:
    with pytest.raises(CustodiansError, match="one key for two"):
        write_escrow(text, {**RECIPIENTS, "archive": recipient})


@pytest.mark.parametrize(
    "recipient",
    ["", "age1", CUSTODIANS["dmc"].identity, "ssh-ed25519 AAAA"],
    ids=["nothing", "a beginning", "an identity", "another kind"],
)
def test_what_is_no_recipient_is_refused_and_not_repeated(text: bytes, recipient: str) -> None:
    with pytest.raises(CustodiansError, match="archive: a recipient") as caught:
        write_escrow(text, {**RECIPIENTS, "archive": recipient})
    assert CUSTODIANS["dmc"].identity not in str(caught.value)


def test_what_is_no_escrow_text_is_not_put_in_escrow() -> None:
    with pytest.raises(EscrowError):
        write_escrow(b"{}", RECIPIENTS)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"alg": "rac-escrow/2"}, "spelled as rac-escrow/1"),
        ({"alg": "absent"}, "spelled as rac-escrow/1"),
        ({"extra": 1}, "spelled as rac-escrow/1"),
        ({"beacon": 7}, "must be texts"),
        ({"beacon": "7"}, "64"),
        ({"beacon": ""}, "64"),
        ({"reveals": None}, "array"),
        ({"reveals": "a" * 64}, "array"),
        ({"reveals": [7]}, "must be texts"),
        ({"reveals": ["A" * 64]}, "64"),
        ({"seed": None}, "must be texts"),
        ({"seed": "5EED" * 16}, "seed is none"),
        ({"seed": "5" * 64}, "seed is none"),
        ({"design": None}, "design breaks a rule"),
        ({"design": {}}, "design breaks a rule"),
        ({"design": {"alg": "SECRET"}}, "design breaks a rule"),
    ],
)
def test_a_text_that_breaks_a_rule_is_refused_and_not_quoted(
    altered: Callable[..., bytes], change: dict[str, Any], rule: str
) -> None:
    with pytest.raises(EscrowError, match=rule) as caught:
        parse_escrow_text(altered(**change))
    for secret in ("SECRET", "5EED", "55555", "AAAAA"):
        assert secret not in str(caught.value)


@given(cut=st.integers(0, 400))
def test_a_text_cut_short_or_spelled_otherwise_is_refused(text: bytes, cut: int) -> None:
    spaced = text.replace(b'"alg":', b'"alg": ', 1)
    for odd in (text[:cut], spaced, text + b"\n", b" " + text, b"[]", b"\xff" + text):
        with pytest.raises(EscrowError):
            parse_escrow_text(odd)


@pytest.mark.parametrize("beacon", ["", "x", BEACON.upper()])
def test_a_beacon_that_is_no_hash_is_refused(design: Design, seed: Seed, beacon: str) -> None:
    with pytest.raises(EscrowError, match="64"):
        escrow_text(design, seed, beacon=beacon)


def test_what_is_kept_is_hidden_from_reprs(text: bytes) -> None:
    assert repr(parse_escrow_text(text)) == "EscrowedList(…)"
