"""The register: made once, read whole or not at all, and it only grows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.errors import AnchorsExposedError, RegisterError
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys, create_keys, rotate_sealing_key
from alloc_service.sealing.local import LocalSealer
from tests.support import children
from tests.support.sealed_trial import HOST, ORIGIN, SealedTrial


def test_a_new_register_holds_its_key_and_no_origin(anchors: Path, server_keys: ServerKeys) -> None:
    register = Register(anchors)

    register.check(server_keys.kid)

    assert register.origins() == []


def test_a_register_is_never_made_anew(anchors: Path) -> None:
    before = (anchors / "register").read_bytes()

    with pytest.raises(RegisterError, match="one already"):
        Register.create(anchors, "0" * 16)

    assert (anchors / "register").read_bytes() == before


def test_no_register_is_made_beside_anchors_that_lost_theirs(trial: SealedTrial) -> None:
    (trial.anchors / "register").unlink()

    with pytest.raises(RegisterError, match="missing beside anchors"):
        Register.create(trial.anchors, trial.keys.kid)


def test_a_missing_register_beside_existing_keys_stops_the_start(trial: SealedTrial) -> None:
    (trial.anchors / "register").unlink()

    with pytest.raises(RegisterError, match="missing beside existing keys"):
        trial.another_sealer()


def test_a_missing_directory_of_anchors_stops_the_start(trial: SealedTrial) -> None:
    shutil.rmtree(trial.anchors)

    with pytest.raises(RegisterError, match="missing beside existing keys"):
        trial.another_sealer()


def test_a_register_of_other_keys_stops_the_start(anchors: Path, tmp_path: Path) -> None:
    others = create_keys(tmp_path / "other-keys")

    with pytest.raises(RegisterError, match=f"the sealing key {others.kid} is not in it"):
        LocalSealer(others, anchors, HOST)


def test_a_register_stays_that_of_its_keys_when_the_sealing_key_is_rotated(tmp_path: Path) -> None:
    first = create_keys(tmp_path / "keys")
    register = Register.create(tmp_path / "anchors", first.kid)
    rotated = rotate_sealing_key(tmp_path / "keys")

    LocalSealer(rotated, tmp_path / "anchors", HOST)  # the older key is among them still
    with pytest.raises(RegisterError):
        register.check(rotated.kid)
    for _ in range(2):
        register.add_kid(rotated.kid)

    register.check(rotated.kid)
    assert (tmp_path / "anchors" / "register").read_bytes().count(rotated.kid.encode()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"format":"rac-anchor/2","kid":"KID"}\n',
        b'{"format":"rac-anchor/1","kid":"KID"}',
        b'{"format":"rac-anchor/1","kid":"KID"}\n{"origin":',
        b'{"format":"rac-anchor/1","kid":"KID"}\n\n',
        b'{"format": "rac-anchor/1","kid":"KID"}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_register_that_is_not_whole_stops_the_start(
    anchors: Path, server_keys: ServerKeys, content: bytes
) -> None:
    (anchors / "register").write_bytes(content.replace(b"KID", server_keys.kid.encode()))

    with pytest.raises(RegisterError):
        LocalSealer(server_keys, anchors, HOST)


def test_a_register_that_cannot_be_read_stops_the_start(
    anchors: Path, server_keys: ServerKeys
) -> None:
    (anchors / "register").rename(anchors / "elsewhere")
    (anchors / "register").symlink_to(anchors / "elsewhere")

    with pytest.raises(RegisterError, match="cannot be read"):
        LocalSealer(server_keys, anchors, HOST)


def test_anchors_that_others_can_reach_stop_the_start(
    anchors: Path, server_keys: ServerKeys
) -> None:
    anchors.chmod(0o750)

    with pytest.raises(AnchorsExposedError, match="chmod 0700"):
        LocalSealer(server_keys, anchors, HOST)


def test_an_origin_is_registered_once(anchors: Path) -> None:
    register = Register(anchors)
    register.add_origin(ORIGIN)

    with pytest.raises(RegisterError, match="registered already"):
        register.add_origin(ORIGIN)

    assert register.origins() == [ORIGIN]


def test_processes_that_register_at_once_lose_no_origin(anchors: Path) -> None:
    def register(child: int) -> Callable[[], None]:
        def add() -> None:
            for number in range(5):
                Register(anchors).add_origin(f"{HOST}/TEST-{child}-{number}/audit")

        return add

    assert children.run_all(register(child) for child in range(4)) == [0] * 4
    assert len(set(Register(anchors).origins())) == 20
