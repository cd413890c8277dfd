from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from alloc_service.app import create_app
from alloc_service.config import Settings
from alloc_service.errors import ConfigError, KeysMissingError
from alloc_service.sealing.keys import create_keys
from alloc_service.sealing.register import Register
from alloc_service.services import accounts, health, trials
from alloc_service.services.accounts import NewAccount
from alloc_service.services.deps import open_from_environment
from alloc_service.storage.engine import Database
from alloc_service.trial.definition import as_test, shipped_definition

PASSWORD = "correct horse battery staple"
ORIGIN = "rac.example.org/TEST-NCT01728727/audit"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    environ = {"ALLOC_HOST": "rac.example.org", "ALLOC_HOME": str(tmp_path)}
    settings = Settings.from_environment(environ)
    settings.anchors.parent.mkdir(parents=True)
    Register.create(settings.anchors, create_keys(settings.keys).kid)
    Database(settings.database_url).upgrade()
    return environ


@pytest.fixture
def with_a_trial(environ: Mapping[str, str]) -> Mapping[str, str]:
    deps = open_from_environment(environ)
    new = NewAccount("admin", "p-admin", "Ada Admin", "XA01")
    accounts.create_first_administrator(deps, new, PASSWORD)
    administrator = accounts.authenticate(deps, "admin", PASSWORD)
    trials.create(deps, administrator, as_test(shipped_definition()))
    return environ


def ask(environ: Mapping[str, str]) -> FlaskClient:
    return create_app(environ).test_client()


def test_a_missing_setting_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="ALLOC_HOST"):
        create_app({})


def test_missing_keys_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysMissingError, match="alloc init"):
        create_app({"ALLOC_HOST": "rac.example.org", "ALLOC_HOME": str(tmp_path)})


def test_a_service_whose_trials_can_allocate_is_well(with_a_trial: Mapping[str, str]) -> None:
    answer = ask(with_a_trial).get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "well", "problems": []})


def test_a_frozen_trial_is_told_by_its_code_and_not_by_its_name(
    with_a_trial: Mapping[str, str],
) -> None:
    client = ask(with_a_trial)
    deps = open_from_environment(with_a_trial)
    for anchor in Settings.from_environment(with_a_trial).anchors.glob("*.anchor"):
        anchor.unlink()
    assert deps.sealer.status(ORIGIN).frozen

    answer = client.get("/healthz")

    assert (answer.status_code, answer.json) == (503, {"status": "unwell", "problems": ["frozen"]})
    assert set(health.check(deps)) == {"TEST-NCT01728727"}


def test_a_refusal_becomes_a_problem_with_its_code(with_a_trial: Mapping[str, str]) -> None:
    client = ask(with_a_trial)
    (Path(with_a_trial["ALLOC_HOME"]) / "var" / "alloc.db").unlink()

    answer = client.get("/healthz")

    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["code"] == "database-unreachable"


def test_every_answer_is_hardened(with_a_trial: Mapping[str, str]) -> None:
    client = ask(with_a_trial)

    for path in ("/healthz", "/nothing-here"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'self'; base-uri 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
