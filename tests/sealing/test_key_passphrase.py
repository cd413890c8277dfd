import shutil
from pathlib import Path

import pytest

from alloc_service.errors import KeyFileError, KeyLostError, KeysPassphraseError
from alloc_service.sealing.keys import are_protected, create_keys, load_keys
from alloc_service.sealing.wrap import key_id

pytestmark = pytest.mark.usefixtures("locking_cheaply")

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def protected_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a protected directory, made once: scrypt takes its second on purpose."""
    path = tmp_path_factory.mktemp("protected") / "keys"
    create_keys(path, PASSPHRASE)
    return path


@pytest.fixture
def protected(protected_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(protected_once, tmp_path / "protected"))


def key_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*-*.key*"))


def sealing_file(directory: Path) -> Path:
    return next(directory.glob("sealing-*"))


def signing_file(directory: Path) -> Path:
    return next(directory.glob("signing-*"))


def test_protected_keys_open_with_their_passphrase_alone(protected: Path) -> None:
    keys = load_keys(protected, PASSPHRASE)

    assert key_names(protected) == sorted(
        [f"sealing-{keys.kid}.key.age", f"signing-{key_id(keys.verify_key)}.key.age"]
    )
    for wrong in ("another passphrase", ""):
        with pytest.raises(KeysPassphraseError, match="does not open") as caught:
            load_keys(protected, wrong)
        assert PASSPHRASE not in str(caught.value)
    with pytest.raises(KeysPassphraseError, match="none was given"):
        load_keys(protected)
    signing_file(protected).rename(protected.parent / "backup")
    with pytest.raises(KeyLostError, match=r"signing-[0-9a-f]{16}\.key\.age`"):
        load_keys(protected, PASSPHRASE)
    for path in protected.iterdir():
        assert b"PRIVATE KEY" not in path.read_bytes()


def test_keys_say_whether_they_are_protected(protected: Path, directory: Path) -> None:
    assert are_protected(protected)
    create_keys(directory / "plain")
    assert not are_protected(directory / "plain")
    with pytest.raises(KeyFileError):
        are_protected(directory / "none")


def test_a_changed_protected_key_is_refused(protected: Path) -> None:
    path = sealing_file(protected)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(KeysPassphraseError, match="or the file was changed"):
        load_keys(protected, PASSPHRASE)


@pytest.mark.usefixtures("keys")
def test_a_passphrase_that_protects_nothing_is_refused(directory: Path) -> None:
    path = sealing_file(directory)

    with pytest.raises(KeysPassphraseError) as caught:
        load_keys(directory, PASSPHRASE)
    assert f"`age -p -o {path}.age {path} && rm {path}`" in str(caught.value)
    (directory / "current").unlink()
    with pytest.raises(KeysPassphraseError):
        create_keys(directory, PASSPHRASE)
    assert not (directory / "current").exists()


@pytest.mark.parametrize("weak", ["", "eleven char", "a passphrase\n", "\udcff" * 12])
def test_a_weak_or_odd_passphrase_protects_nothing(directory: Path, weak: str) -> None:
    with pytest.raises(KeysPassphraseError, match="12 printable"):
        create_keys(directory, weak)

    assert key_names(directory) == []
