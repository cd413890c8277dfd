"""`alloc witness`: a folder and nothing else; by file, where no network leads to the service."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.log.note import Verifier, open_cosigned
from alloc_service.sealing.witness_folder import note_path
from tests.support.shell import Outcome, Shell
from tests.support.witnesses import NAME, ORIGIN, GrowingLog

LOG, OTHER_HISTORY = GrowingLog(), GrowingLog(history="two")
Cosign = Callable[..., Outcome]
pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "a long passphrase of the committee"


@pytest.fixture
def folder(tmp_path: Path, shell: Shell) -> Path:
    made = shell("witness", "init", tmp_path / "w", "--name", NAME, "--log", LOG.key.vkey)
    assert made.code == 0
    return tmp_path / "w"


@pytest.fixture
def cosign(folder: Path, tmp_path: Path, shell: Shell) -> Cosign:
    def run(log: GrowingLog, old: int, size: int, *more: object) -> Outcome:
        request, out = tmp_path / "request", tmp_path / f"response-{log.history}-{old}-{size}"
        request.write_bytes(log.request(old, size).data)
        return shell("witness", "cosign", folder, request, "--out", out, *more)

    return run


def test_a_witness_is_made_and_says_its_public_key(folder: Path, shell: Shell) -> None:
    status = json.loads(shell("witness", "status", folder, "--json").out)

    key = Verifier.parse(status["vkey"])
    assert key.name == NAME
    assert [item["size"] for item in status["logs"]] == [0]
    shown = shell("witness", "status", folder)
    assert key.vkey in shown.out
    assert "nothing yet" in shown.out


def test_a_witness_without_a_log_says_how_to_add_one(tmp_path: Path, shell: Shell) -> None:
    made = shell("witness", "init", tmp_path / "w", "--name", NAME)
    assert made.code == 0
    assert "alloc witness add-log" in shell("witness", "status", tmp_path / "w").out

    assert shell("witness", "add-log", tmp_path / "w", LOG.key.vkey).code == 0

    assert ORIGIN in shell("witness", "status", tmp_path / "w").out
    assert "[bad-note]" in shell("witness", "add-log", tmp_path / "w", "x").err


def test_a_request_by_file_gets_a_response_by_file(
    folder: Path, tmp_path: Path, shell: Shell, cosign: Cosign
) -> None:
    assert cosign(LOG, 0, 5).code == 0

    note = (tmp_path / "response-one-0-5").read_text()
    public = Verifier.parse(json.loads(shell("witness", "status", folder, "--json").out)["vkey"])
    checkpoint, names = open_cosigned(note, LOG.key, [public])
    assert (checkpoint.size, names) == (5, (NAME,))
    assert note_path(folder, ORIGIN).read_text() == note
    assert f"{ORIGIN} 5 " in " ".join(shell("witness", "status", folder).out.split())


@pytest.mark.parametrize(
    ("log", "old", "size"), [(LOG, 0, 9), (OTHER_HISTORY, 5, 9), (OTHER_HISTORY, 5, 5)]
)
def test_a_request_that_does_not_fit_gets_what_was_seen(
    tmp_path: Path, cosign: Cosign, log: GrowingLog, old: int, size: int
) -> None:
    cosign(LOG, 0, 5)

    refused = cosign(log, old, size)

    assert refused.code == 1
    response = tmp_path / f"response-{log.history}-{old}-{size}"
    assert response.read_text() == (tmp_path / "response-one-0-5").read_text()


def test_a_request_that_is_none_gets_no_response(
    folder: Path, tmp_path: Path, shell: Shell, cosign: Cosign
) -> None:
    assert cosign(GrowingLog(label="forger"), 0, 5).code == 1
    assert cosign(LOG, 3, 4).code == 1
    (tmp_path / "request").write_text("old")
    garbage = shell("witness", "cosign", folder, tmp_path / "request", "--out", tmp_path / "r")

    assert garbage.code == 1
    assert "did not understand" in garbage.err
    assert not list(tmp_path.glob("response-*"))
    assert not (tmp_path / "r").exists()


def test_a_response_is_never_written_over_a_file(cosign: Cosign) -> None:
    cosign(LOG, 0, 5)

    again = cosign(LOG, 0, 5)

    assert "[output-file]" in again.err


def test_a_passphrase_is_asked_for_where_one_protects_the_key(tmp_path: Path, shell: Shell) -> None:
    folder, request = tmp_path / "w", tmp_path / "request"
    options = ("--log", LOG.key.vkey, "--passphrase-fd", "{fd}")
    made = shell("witness", "init", folder, "--name", NAME, *options, lines=[PASSPHRASE])
    assert made.code == 0
    request.write_bytes(LOG.request(0, 5).data)
    asked = ("witness", "cosign", folder, request, "--out", tmp_path / "response")

    assert "give --passphrase-fd N" in shell(*asked).err
    assert "[keys-passphrase]" in shell(*asked, "--passphrase-fd", "{fd}", lines=["wrong"]).err
    assert shell(*asked, "--passphrase-fd", "{fd}", lines=[PASSPHRASE]).code == 0
    assert (
        "give --passphrase-fd N"
        in shell("witness", "init", tmp_path / "v", "--name", NAME, "--protect").err
    )


@pytest.mark.parametrize("bind", ["8700", "127.0.0.1:0", "127.0.0.1:70000", "a b:1", "./x"])
def test_a_place_to_listen_is_host_and_port(folder: Path, shell: Shell, bind: str) -> None:
    outcome = shell("witness", "serve", folder, "--bind", bind)

    assert outcome.code == 2
    assert "127.0.0.1:8700" in outcome.err


def test_there_is_nothing_to_serve_in_another_folder(tmp_path: Path, shell: Shell) -> None:
    for arguments in (("serve", tmp_path), ("status", tmp_path / "no")):
        assert "[witness-folder]" in shell("witness", *arguments).err


def test_a_changed_key_is_told_to_the_witness_by_its_keeper(
    folder: Path, tmp_path: Path, shell: Shell, cosign: Cosign
) -> None:
    newer = GrowingLog(label="next")
    cosign(LOG, 0, 5)

    refused = cosign(newer, 5, 8)
    assert refused.code == 1
    assert "`alloc witness add-log FOLDER VKEY --changed`" in " ".join(refused.err.split())
    assert not (tmp_path / "response-one-5-8").exists()
    unsaid = shell("witness", "add-log", folder, newer.key.vkey)
    assert "[witness-folder]" in unsaid.err
    assert "ask its statistician and its manager" in " ".join(unsaid.err.split())
    assert shell("witness", "add-log", folder, newer.key.vkey, "--changed").code == 0

    assert cosign(newer, 5, 9).code == 0
    status = json.loads(shell("witness", "status", folder, "--json").out)
    assert [item["log"] for item in status["logs"]] == [newer.key.vkey]
