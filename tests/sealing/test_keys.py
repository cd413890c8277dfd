import copy
import os
import pickle
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alloc_service.core.canon import canon
from alloc_service.errors import (
    KeyFileError,
    KeyLostError,
    KeysBrokenError,
    KeysExistError,
    KeysLinkError,
    KeysLooseError,
    KeysMissingError,
    KeysOwnerError,
    KeysStrangerError,
    KeysUnfinishedError,
    UnknownKidError,
)
from alloc_service.log.note import Verifier, open_note
from alloc_service.sealing.keys import ServerKeys, create_keys, load_keys, rotate_sealing_key
from alloc_service.sealing.wrap import key_id


def key_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*-*.key*"))


def sealing_file(directory: Path) -> Path:
    return next(directory.glob("sealing-*"))


def signing_file(directory: Path) -> Path:
    return next(directory.glob("signing-*"))


def to_pem(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_keys_are_made_private_in_a_checked_out_directory(directory: Path) -> None:
    create_keys(directory)

    assert directory.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert made.pop("README.md") == made.pop(".gitignore") == 0o644
    assert set(made.values()) == {0o600}
    assert len(made) == 3


def test_keys_are_made_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "keys"

    created = create_keys(path)

    assert load_keys(path).kid == created.kid
    assert path.stat().st_mode & 0o777 == 0o700


def test_keys_come_back_as_they_were_made(directory: Path) -> None:
    created = create_keys(directory)

    loaded = load_keys(directory)

    assert (loaded.kid, loaded.public_key) == (created.kid, created.public_key)
    assert loaded.verify_key == created.verify_key
    assert loaded.kids == (loaded.kid,)
    assert loaded.kid == key_id(loaded.public_key)
    note = "text\n\n" + created.signer("log.example").sign("text\n")
    open_note(note, [Verifier("log.example", loaded.verify_key)])
    assert "text\n\n" + loaded.signer("log.example").sign("text\n") == note
    private = loaded.unwrap_key(loaded.kid)
    assert private.public_key().public_bytes_raw() == loaded.public_key


def test_two_servers_never_share_a_key(tmp_path: Path) -> None:
    made = [create_keys(tmp_path / name) for name in ("one", "two")]

    assert len({keys.public_key for keys in made} | {keys.verify_key for keys in made}) == 4


def test_openssl_reads_the_plain_files(directory: Path, keys: ServerKeys) -> None:
    for file, public in (
        (sealing_file(directory), keys.public_key),
        (signing_file(directory), keys.verify_key),
    ):
        der = subprocess.run(
            ["openssl", "pkey", "-in", file, "-pubout", "-outform", "DER"],
            check=True,
            capture_output=True,
        ).stdout
        assert der[-32:] == public


def test_server_keys_are_neither_shown_nor_pickled_nor_copied(
    directory: Path, keys: ServerKeys
) -> None:
    secret = keys.unwrap_key(keys.kid).private_bytes_raw()
    assert repr(keys) == str(keys) == f"ServerKeys(kid={keys.kid!r}, …)"
    assert secret.hex() not in repr(keys)
    assert sealing_file(directory).read_text().splitlines()[1] not in repr(keys)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(keys)


def test_keys_are_never_overwritten(directory: Path, keys: ServerKeys) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    with pytest.raises(KeysExistError):
        create_keys(directory)

    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert load_keys(directory).kid == keys.kid


def test_of_many_that_make_keys_at_once_one_succeeds(directory: Path) -> None:
    start, made, refused = threading.Barrier(8), list[ServerKeys](), list[KeysExistError]()

    def make() -> None:
        start.wait()
        try:
            made.append(create_keys(directory))
        except KeysExistError as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(made), len(refused)) == (1, 7)
    assert load_keys(directory).kid == made[0].kid
    assert len(key_names(directory)) == 2


def test_a_service_without_keys_is_told_to_make_them(tmp_path: Path, directory: Path) -> None:
    directory.chmod(0o700)

    for path in (directory, tmp_path / "nowhere"):
        with pytest.raises(KeysMissingError) as caught:
            load_keys(path)
        assert str(path) in str(caught.value)
        assert "Run `alloc init`" in str(caught.value)


@pytest.mark.usefixtures("keys")
def test_a_loose_directory_stops_the_start(directory: Path) -> None:
    directory.chmod(0o755)

    for use in (load_keys, rotate_sealing_key):
        with pytest.raises(KeysLooseError, match=f"chmod 0700 {directory}"):
            use(directory)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("name", ["sealing-*", "signing-*", "current"])
def test_a_loose_file_stops_the_start(directory: Path, name: str) -> None:
    path = next(directory.glob(name))
    path.chmod(0o640)

    with pytest.raises(KeysLooseError, match=f"chmod 0600 {path}"):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("name", ["sealing-*", "signing-*", "current"])
def test_a_linked_file_stops_the_start(directory: Path, tmp_path: Path, name: str) -> None:
    path = next(directory.glob(name))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeysLinkError, match=path.name):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
def test_a_linked_directory_stops_the_start(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)

    with pytest.raises(KeysLinkError):
        load_keys(tmp_path / "link")
    with pytest.raises(KeysLinkError):
        create_keys(tmp_path / "link")


@pytest.mark.usefixtures("keys")
def test_another_owner_stops_the_start(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)

    with pytest.raises(KeysOwnerError, match=f"chown {user} {directory}"):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "name", ["notes.txt", "sealing-0.key", "sealing-0123456789abcdef.key.bak", "key.pem", "Current"]
)
def test_a_stranger_among_the_keys_stops_the_start(directory: Path, name: str) -> None:
    path = directory / name
    path.write_text("")
    path.chmod(0o600)

    with pytest.raises(KeysStrangerError) as caught:
        load_keys(directory)
    assert f"`mv -n {path} {directory.parent}`" in str(caught.value)


@pytest.mark.usefixtures("keys")
def test_what_an_interrupted_run_left_is_named_with_its_removal(directory: Path) -> None:
    path = directory / ".unfinished-current"
    path.write_text("")

    with pytest.raises(KeysStrangerError, match=f"`rm {path}`"):
        load_keys(directory)


@pytest.mark.parametrize("missing", [["current"], ["current", "sealing"], ["current", "signing"]])
def test_an_interrupted_making_is_finished_and_keeps_what_is_there(
    directory: Path, keys: ServerKeys, missing: list[str]
) -> None:
    for prefix in missing:
        next(directory.glob(f"{prefix}*")).unlink()
    (directory / ".unfinished-x.key").write_text("")
    kept = {path.name: path.read_bytes() for path in directory.glob("*.key") if path.name[0] != "."}

    finished = create_keys(directory)

    assert {name: (directory / name).read_bytes() for name in kept} == kept
    assert (finished.kid == keys.kid) == ("sealing" not in missing)
    assert (finished.verify_key == keys.verify_key) == ("signing" not in missing)
    assert len(key_names(directory)) == 2


@pytest.mark.usefixtures("keys")
def test_keys_without_a_choice_are_not_used(directory: Path) -> None:
    (directory / "current").unlink()

    with pytest.raises(KeysUnfinishedError, match="Run `alloc init` again"):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
def test_an_interrupted_making_in_a_loose_directory_is_not_finished(directory: Path) -> None:
    (directory / "current").unlink()
    directory.chmod(0o755)

    with pytest.raises(KeysLooseError):
        create_keys(directory)


def test_a_choice_lost_among_several_keys_is_not_guessed(directory: Path, keys: ServerKeys) -> None:
    rotated = rotate_sealing_key(directory)
    choice = (directory / "current").read_bytes()
    (directory / "current").unlink()

    with pytest.raises(KeysUnfinishedError, match="from the backup"):
        create_keys(directory)

    (directory / "current").write_bytes(choice)
    (directory / "current").chmod(0o600)
    assert load_keys(directory).kid == rotated.kid != keys.kid


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("kind", "otherwise"),
    [("sealing", "sealed again from their escrow"), ("signing", "nothing else makes it again")],
)
def test_a_lost_key_is_named_and_not_replaced(directory: Path, kind: str, otherwise: str) -> None:
    path = next(directory.glob(f"{kind}-*"))
    kept = path.rename(directory.parent / "backup")

    with pytest.raises(KeyLostError, match=f"cp -p BACKUP {path}`; .*{otherwise}"):
        load_keys(directory)
    with pytest.raises(KeysExistError):
        create_keys(directory)

    shutil.copy2(kept, path)
    load_keys(directory)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        to_pem(Ed25519PrivateKey.generate()),
        to_pem(X25519PrivateKey.generate()) + b"\n",
        to_pem(X25519PrivateKey.generate()) * 2,
        b" " * 10_000 + to_pem(X25519PrivateKey.generate()),
    ],
)
def test_a_file_that_is_not_the_plain_key_of_its_kind_is_refused(
    directory: Path, data: bytes
) -> None:
    sealing_file(directory).write_bytes(data)

    with pytest.raises(KeysBrokenError, match="kind"):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
def test_the_encrypted_pkcs8_of_the_library_is_not_read(directory: Path) -> None:
    encrypted = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    sealing_file(directory).write_bytes(encrypted)

    with pytest.raises(KeysBrokenError, match="plain PKCS#8"):
        load_keys(directory)


@pytest.mark.usefixtures("keys")
def test_a_key_under_anothers_name_is_refused(directory: Path) -> None:
    sealing_file(directory).write_bytes(to_pem(X25519PrivateKey.generate()))

    with pytest.raises(KeysBrokenError, match="another key than its name says"):
        load_keys(directory)


def test_a_choice_that_is_not_spelled_as_one_is_refused(directory: Path, keys: ServerKeys) -> None:
    signing = key_id(keys.verify_key)
    good = {"sealing": keys.kid, "signing": signing, "v": "rac-keys/1"}
    assert (directory / "current").read_bytes() == canon(good)

    for bad in (
        b"",
        b"[]",
        canon(good) + b"\n",
        canon({**good, "v": "rac-keys/2"}),
        canon({**good, "extra": "x"}),
        canon({"sealing": keys.kid, "v": "rac-keys/1"}),
        canon({**good, "sealing": 7}),
    ):
        (directory / "current").write_bytes(bad)
        with pytest.raises(KeysBrokenError, match="current"):
            load_keys(directory)


def test_a_key_that_is_not_here_is_named(keys: ServerKeys) -> None:
    with pytest.raises(UnknownKidError, match="0123456789abcdef"):
        keys.unwrap_key("0123456789abcdef")


@pytest.mark.usefixtures("keys")
def test_no_refusal_quotes_a_key(directory: Path) -> None:
    secret = sealing_file(directory).read_text().splitlines()[1]
    shutil.copy(sealing_file(directory), directory / "sealing-0123456789abcdef.key")

    with pytest.raises(KeyFileError) as caught:
        load_keys(directory)

    assert secret not in f"{caught.value!r} {caught.value.facts}"
