"""`alloc sealer serve, unlock, accept, design, reseal, rotate` and `alloc web-secret`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alloc_service.cli.sealing_host import user_id
from alloc_service.log.bundle_archive import read_members
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from tests.support.served_sealer import (
    Served,
    short_folder,
)
from tests.support.shell import HOST, TRIAL, House, Shell

ORIGIN = f"{HOST}/{TRIAL}/audit"
pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "correct horse battery"


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[House], Path]]:
    """Return a function that moves the sealer of a house behind a socket, which the shell asks."""
    with short_folder() as folder:
        served: list[Served] = []

        def move(house: House) -> Path:
            settings = house.settings
            sealer = LocalSealer(load_keys(settings.keys), settings.anchors, HOST)
            served.append(Served(folder, sealer))
            monkeypatch.setenv("ALLOC_SEALER_SOCKET", str(served[0].path))
            return served[0].path

        yield move
        for one in served:
            one.close()


def test_a_process_without_keys_starts_with_a_secret_of_the_pages_alone(
    active: House, shell: Shell, apart: Callable[[House], Path], tmp_path: Path
) -> None:
    apart(active)
    (active.home / "keys").rename(tmp_path / "gone")
    (active.home / "var" / "web-secret").unlink()

    assert "`alloc web-secret`" in shell("status").err
    assert shell("web-secret").code == 0
    secret = active.home / "var" / "web-secret"
    kept = secret.read_text()
    assert (len(kept), secret.stat().st_mode & 0o777) == (65, 0o600)
    assert "is there already and is kept" in shell("web-secret").out
    assert secret.read_text() == kept
    assert shell("status").code == 0
    assert shell("sealer", "status").code == 0


def test_the_secret_that_is_written_down_where_the_keys_are_is_the_one_in_use(
    active: House, shell: Shell
) -> None:
    secret = active.home / "var" / "web-secret"
    secret.unlink()

    assert shell("web-secret").code == 0
    assert bytes.fromhex(secret.read_text()) == load_keys(active.settings.keys).derive("rac-web/1")


def test_an_activation_over_a_socket_names_the_command_that_accepts(
    sealed: House, shell: Shell, apart: Callable[[House], Path]
) -> None:
    apart(sealed)
    assert shell("list", "approve", TRIAL, 1, "--root", sealed.root, by="second").code == 0

    refused = shell("list", "activate", TRIAL, 1, by="manager")
    assert refused.code == 1
    assert f"alloc sealer accept {ORIGIN} 1 {sealed.root}" in " ".join(refused.err.split())
    assert shell("sealer", "accept", ORIGIN, 1, sealed.root).code == 0
    assert shell("list", "activate", TRIAL, 1, by="manager").code == 0


def test_a_design_is_opened_on_the_host_once_its_look_is_logged(
    active: House, shell: Shell, apart: Callable[[House], Path]
) -> None:
    apart(active)

    refused = " ".join(shell("design", "show", TRIAL, 1, by="stat").err.split())
    seq = refused.partition(f"alloc sealer design {ORIGIN} ")[2].partition("`")[0]
    opened = shell("sealer", "design", ORIGIN, seq)
    assert json.loads(opened.out)["trial"] == TRIAL
    assert shell("sealer", "design", ORIGIN, 0).code == 1
    assert shell("sealer", "design", f"{HOST}/TEST-X/audit", seq).code == 1


def test_a_list_is_sealed_anew_on_the_host_alone(
    active: House, shell: Shell, apart: Callable[[House], Path], tmp_path: Path
) -> None:
    apart(active)
    files = active.write_escrow(tmp_path / "escrow")
    source = (
        "--escrow", tmp_path / "escrow" / "seed.archive+dmc.age",
        "--identity", files["archive"], "--identity", files["dmc"],
    )  # fmt: skip

    refused = shell("list", "reseal", *source, by="stat")
    assert "`alloc sealer reseal`" in " ".join(refused.err.split())
    assert "is sealed anew" in shell("sealer", "reseal", *source, by="stat").out


def test_an_unblinded_bundle_with_designs_is_made_on_the_host_alone(
    active: House, shell: Shell, apart: Callable[[House], Path]
) -> None:
    apart(active)

    refused = shell("log", "bundle", TRIAL, "--out", "a.zip", "--unblinded", by="stat")
    assert f"`alloc sealer bundle {TRIAL} --out FILE`" in " ".join(refused.err.split())
    assert not Path("a.zip").exists()
    assert "log.exported" not in shell("log", "show", TRIAL, "--json", by="dmc").out

    made = shell("sealer", "bundle", TRIAL, "--out", "a.zip", by="stat")
    assert made.code == 0, made.err
    assert "lists/1/design.json" in read_members(Path("a.zip").read_bytes())
    Path("policy").write_text(shell("log", "policy", TRIAL).out)
    assert shell("log", "verify", "--bundle", "a.zip", "--policy", "policy").code == 0


@pytest.mark.parametrize("options", [(), ("--signing",)])
def test_a_key_is_changed_by_an_administrator(
    active: House, shell: Shell, options: tuple[str, ...]
) -> None:
    before = load_keys(active.settings.keys)

    assert shell("sealer", "rotate", *options, by="manager").code == 1
    done = shell("sealer", "rotate", *options, by="ada")

    after = load_keys(active.settings.keys)
    assert (done.code, done.err) == (0, "")
    assert (after.kid != before.kid, after.verify_key != before.verify_key) == (
        not options,
        bool(options),
    )
    assert shell("log", "verify", TRIAL, by="ada").code == 0
    assert shell("status").code == 0


def test_a_lost_key_is_replaced_and_what_must_be_sealed_again_is_named(
    active: House, shell: Shell, tmp_path: Path
) -> None:
    keys = active.settings.keys
    assert shell("sealer", "rotate", "--lost", by="ada").code == 1  # it is there
    assert shell("sealer", "rotate", "--lost", "--signing", by="ada").code == 2
    next(keys.glob("sealing-*.key")).unlink()
    assert "key-lost" in shell("status").err

    done = shell("sealer", "rotate", "--lost", by="ada")

    assert done.code == 0
    assert f"list 1 of {TRIAL} has a sealing whose key is lost" in " ".join(done.err.split())
    files = active.write_escrow(tmp_path / "escrow")
    again = shell(
        "list", "reseal", "--escrow", tmp_path / "escrow" / "seed.archive+dmc.age",
        "--identity", files["archive"], "--identity", files["dmc"], by="stat",
    )  # fmt: skip
    assert again.code == 0


def test_the_sealers_place_is_named_where_it_is_not_set(shell: Shell, active: House) -> None:
    del active
    assert "ALLOC_SEALER_SOCKET" in shell("sealer", "serve", "--for-user", "0").err
    assert "ALLOC_SEALER_SOCKET" in shell("sealer", "unlock").err


def test_a_user_is_named_or_numbered() -> None:
    assert (user_id("root"), user_id("64001")) == (0, 64_001)


@pytest.mark.usefixtures("active")
def test_a_user_whom_the_machine_does_not_know_is_wrong_use(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOC_SEALER_SOCKET", "/nowhere/socket")

    assert shell("sealer", "serve", "--for-user", "nobody-of-this-name").code == 2


def test_commands_of_the_host_take_the_passphrase_from_its_file(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    monkeypatch.setenv("ALLOC_HOST", HOST)
    monkeypatch.setenv("ALLOC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALLOC_PASSPHRASE_FILE", str(secret))
    made = shell(
        "init", "--user", "ada", "--person", "P-1", "--name", "Ada", "--organization", "XA01",
        "--password-fd", "{fd}", lines=["ada has a long password"],
    )  # fmt: skip
    assert made.code == 0
    assert len(list((tmp_path / "home" / "keys").glob("*.key.age"))) == 2

    assert shell("status").code == 0
    assert shell("sealer", "rotate", by="ada").code == 0
    monkeypatch.delenv("ALLOC_PASSPHRASE_FILE")
    assert "keys-passphrase" in shell("sealer", "rotate", by="ada").err
    monkeypatch.setenv("ALLOC_PASSPHRASE_FILE", str(tmp_path / "nowhere"))
    assert "no passphrase can be read here" in shell("status").err
