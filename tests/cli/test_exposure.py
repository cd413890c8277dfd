"""The search of the database's bytes finds what must not be there, wherever it is put."""

import hashlib
from pathlib import Path

import pytest

from alloc_service.cli.demo.exposure import search
from alloc_service.core.design import Design
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.core.seed import Seed
from alloc_service.trial.definition import as_test, shipped_definition

DEFINITION = as_test(shipped_definition())
SEED = Seed(hashlib.sha256(b"a seed").hexdigest())


@pytest.fixture(scope="module")
def made() -> GeneratedList:
    return generate(DEFINITION.design(), SEED)


def failed(made: GeneratedList, *contents: bytes, folder: Path) -> list[str]:
    files = []
    for number, content in enumerate(contents):
        files.append(folder / str(number))
        files[-1].write_bytes(content)
    return [item.name for item in search(files, made, SEED, DEFINITION) if not item.ok]


def test_public_bytes_and_noise_hold_nothing(made: GeneratedList, tmp_path: Path) -> None:
    noise = hashlib.sha512(b"noise").digest() * 100

    assert failed(made, noise, DEFINITION.public_bytes(), noise, folder=tmp_path) == []


def secrets_of(design: Design) -> dict[str, bytes]:
    return {
        "seed": SEED.digits.encode(),
        "salt": bytes.fromhex(design.salt),
        "block sizes": b'{"size":4,"weight":1}',
        "arm of a slot": b"17|MSC|0f",
        "arms' names": b'{"enrolment":"7d9f","arm":"MSC","slot":3}',
    }


@pytest.mark.parametrize("name", sorted(secrets_of(DEFINITION.design())))
def test_each_secret_is_found_in_whichever_file_it_lies(
    made: GeneratedList, tmp_path: Path, name: str
) -> None:
    secret = secrets_of(made.design)[name]

    found = failed(made, b"a page", b"another" + secret + b"page", folder=tmp_path)

    assert found == [name]


def test_an_opening_and_its_nonce_are_found(made: GeneratedList, tmp_path: Path) -> None:
    opening = made.opening(3, 239)

    whole = failed(made, opening.text.encode(), folder=tmp_path)
    nonce = failed(made, opening.nonce.encode(), folder=tmp_path)

    assert whole == ["openings", "nonces", "arm of a slot"]
    assert nonce == ["nonces"]


def test_a_definition_that_a_page_cuts_in_two_is_still_public(
    made: GeneratedList, tmp_path: Path
) -> None:
    public = DEFINITION.public_bytes()
    at = public.index(b'"MSC"')

    for cut in (at - 2, at + 7):
        assert failed(made, public[:cut] + b"\0\0" + public[cut:], folder=tmp_path) == []


def test_what_is_found_says_how_often(made: GeneratedList, tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(DEFINITION.public_bytes() * 3)

    details = {item.name: item.detail for item in search([tmp_path / "0"], made, SEED, DEFINITION)}

    assert details["openings"] == "none of the 960 slots in clear found"
    assert details["arms' names"].startswith("6 found, all in the trial's public definition")
