"""The published vector, small lists, and trials at each stage for every test of sealing."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import GeneratedList, generate
from alloc_service.core.seed import Seed
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import ServerKeys, create_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.package import SealedList, seal_list
from tests.support.sealed_trial import (
    ListInHand,
    Reach,
    SealedTrial,
    reach_at_once,
    seal_small_list,
)
from tests.support.served_sealer import SealerAtItsHost, Served, short_folder

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="session")
def vector() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / "seal.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def seed() -> Seed:
    return Seed.fresh()


@pytest.fixture(scope="session")
def design() -> Design:
    return Design(
        trial="TEST-NCT01728727",
        list=2,
        arms=(Arm("EXPERIMENTAL-ARM", 1), Arm("CONTROL-ARM", 1)),
        blocks=(BlockSize(4, 1), BlockSize(6, 2)),
        strata=(Stratum("cp=9-10;meld=<20", 7), Stratum("cp=9-10;meld=≥20", 1), Stratum("x", 5)),
    )


@pytest.fixture(scope="session")
def origin(design: Design) -> str:
    return f"rac.example.org/{design.trial}/audit"


@pytest.fixture(scope="session")
def private_key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


@pytest.fixture(scope="session")
def public_key(private_key: X25519PrivateKey) -> bytes:
    return private_key.public_key().public_bytes_raw()


@pytest.fixture(scope="session")
def generated(design: Design, seed: Seed) -> GeneratedList:
    return generate(design, seed)


@pytest.fixture(scope="session")
def sealed(generated: GeneratedList, public_key: bytes, origin: str) -> SealedList:
    return seal_list(generated, public_key, origin)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory as a checkout of the source leaves it."""
    path = tmp_path / "keys"
    path.mkdir(0o755)
    for name in ("README.md", ".gitignore"):
        (path / name).write_text("# keys/\n")
        (path / name).chmod(0o644)
    return path


@pytest.fixture
def keys(directory: Path) -> ServerKeys:
    return create_keys(directory)


@pytest.fixture(scope="session")
def age_binary() -> str:
    """Return the path of Debian's age; its absence is a failure where CI runs."""
    found = shutil.which("age")
    if found is None:
        reason = "age is not installed here; `apt-get install age` brings it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def server_keys(tmp_path_factory: pytest.TempPathFactory) -> ServerKeys:
    return create_keys(tmp_path_factory.mktemp("server") / "keys")


@pytest.fixture(scope="session")
def small_list(server_keys: ServerKeys) -> ListInHand:
    return seal_small_list(server_keys)


@pytest.fixture(scope="session")
def begun(
    tmp_path_factory: pytest.TempPathFactory, server_keys: ServerKeys, small_list: ListInHand
) -> SealedTrial:
    directory = tmp_path_factory.mktemp("begun") / "anchors"
    Register.create(directory, server_keys.kid)
    trial = SealedTrial(server_keys, directory, small_list)
    trial.begin()
    for _ in range(3):
        trial.log.add_site()
    trial.follow()
    return trial


@pytest.fixture(scope="session")
def sealed_stage(tmp_path_factory: pytest.TempPathFactory, begun: SealedTrial) -> SealedTrial:
    trial = begun.copy_to(tmp_path_factory.mktemp("sealed") / "anchors")
    trial.seal()
    return trial


@pytest.fixture(scope="session")
def active_stage(
    tmp_path_factory: pytest.TempPathFactory, sealed_stage: SealedTrial
) -> SealedTrial:
    trial = sealed_stage.copy_to(tmp_path_factory.mktemp("active") / "anchors")
    trial.accept()
    trial.activate()
    trial.assign()
    trial.follow()
    return trial


@pytest.fixture
def reach(request: pytest.FixtureRequest) -> Iterator[Reach]:
    """Return how the sealer of a trial is reached: at once, or, where a file of tests asks for
    both, through a socket that a server in this process listens at."""
    if getattr(request, "param", "local") == "local":
        yield reach_at_once
        return
    with contextlib.ExitStack() as stack:

        def behind_a_socket(sealer: LocalSealer) -> LocalSealer:
            served = Served(stack.enter_context(short_folder()), sealer)
            stack.callback(served.close)
            return cast("LocalSealer", SealerAtItsHost(served.path, sealer))

        yield behind_a_socket


@pytest.fixture
def anchors(tmp_path: Path, server_keys: ServerKeys) -> Path:
    """Return a directory with a register and no anchor."""
    directory = tmp_path / "anchors"
    Register.create(directory, server_keys.kid)
    return directory


@pytest.fixture
def new_trial(
    server_keys: ServerKeys, anchors: Path, small_list: ListInHand, reach: Reach
) -> SealedTrial:
    """Return a trial of which nothing is logged yet."""
    return reached(SealedTrial(server_keys, anchors, small_list), reach)


@pytest.fixture
def trial(begun: SealedTrial, tmp_path: Path, reach: Reach) -> SealedTrial:
    """Return a trial whose log is trial.created and three sites, all followed."""
    return reached(begun.copy_to(tmp_path / "anchors"), reach)


@pytest.fixture
def sealed_trial(sealed_stage: SealedTrial, tmp_path: Path, reach: Reach) -> SealedTrial:
    """Return a trial whose list is sealed and approved, and not accepted."""
    return reached(sealed_stage.copy_to(tmp_path / "anchors"), reach)


@pytest.fixture
def active_trial(active_stage: SealedTrial, tmp_path: Path, reach: Reach) -> SealedTrial:
    """Return a trial whose list is active, with one slot assigned, all followed."""
    return reached(active_stage.copy_to(tmp_path / "anchors"), reach)


def reached(trial: SealedTrial, reach: Reach) -> SealedTrial:
    if reach is not reach_at_once:
        trial.reach_by(reach)
        if trial.log.entries:
            trial.follow()
    return trial
