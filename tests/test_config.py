"""Settings: what is missing or wrong stops the start, and no secret is in a text."""

from pathlib import Path

import pytest

from alloc_service.config import Settings
from alloc_service.errors import ConfigError


def settings(**variables: str) -> Settings:
    return Settings.from_environment({"ALLOC_HOST": "rac.example.org", **variables})


def test_without_more_than_a_host_everything_lies_below_the_working_directory() -> None:
    here = Path.cwd()

    found = settings()

    assert found == Settings(
        database_url=f"sqlite:///{here}/var/alloc.db",
        keys=here / "keys",
        anchors=here / "var/anchors",
        host="rac.example.org",
        web_secret=here / "var/web-secret",
    )


def test_relative_paths_lie_below_home_and_absolute_ones_where_they_say(tmp_path: Path) -> None:
    found = settings(
        ALLOC_HOME=str(tmp_path),
        ALLOC_DATABASE_URL="sqlite:///data/trial.db",
        ALLOC_KEYS="/etc/alloc/keys",
        ALLOC_ANCHORS="elsewhere",
    )

    assert found.database_url == f"sqlite:///{tmp_path}/data/trial.db"
    assert found.keys == Path("/etc/alloc/keys")
    assert found.anchors == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alloc:hush@db.example.org:5432/alloc?sslmode=verify-full",
        "postgresql://alloc@/alloc?host=/run/postgresql",
        "postgresql+psycopg:///alloc",
        "sqlite:////srv/alloc/var/alloc.db",
    ],
)
def test_a_url_of_either_kind_is_taken_as_it_is(url: str) -> None:
    assert settings(ALLOC_DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alloc.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///folder/",
        "sqlite:///:memory:",
        "sqlite:///file::memory:",
        "sqlite:///alloc.db?mode=memory",
        "mysql://alloc:hush@db.example.org/alloc",
        "postgresql://alloc:hush@db.example.org",
        "postgresql://alloc:hush@db.example.org/",
        "postgresql://alloc:hush@[db/alloc",
        "postgresql://alloc:hush@db/al\0loc",
    ],
)
def test_any_other_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^ALLOC_DATABASE_URL: must .*Example: ") as refused:
        settings(ALLOC_DATABASE_URL=url)

    assert "hush" not in str(refused.value)
    assert refused.value.facts["variable"] == "ALLOC_DATABASE_URL"


@pytest.mark.parametrize("host", ["rac.example.org", "localhost", "a-b.c1.example", "x" * 63])
def test_a_host_name_is_taken(host: str) -> None:
    assert settings(ALLOC_HOST=host).host == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "RAC.example.org",
        "https://rac.example.org",
        "rac.example.org/",
        "rac.example.org:443",
        "rac example",
        "-rac.example",
        "rac..example",
        "räc.example",
        "rac.example.org\n",
        "x" * 64,
        ".".join(["x" * 60] * 5),
    ],
)
def test_what_is_no_host_name_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^ALLOC_HOST: .*can never change.*rac\.example\.org"):
        settings(ALLOC_HOST=host)


def test_a_host_has_no_default() -> None:
    with pytest.raises(ConfigError, match="ALLOC_HOST"):
        Settings.from_environment({})


@pytest.mark.parametrize("variable", ["ALLOC_HOME", "ALLOC_KEYS", "ALLOC_ANCHORS"])
@pytest.mark.parametrize("value", ["", "  ", "a\0b"])
def test_an_empty_folder_name_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: "):
        settings(**{variable: value})


def test_a_home_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ALLOC_HOME: must name a folder that exists"):
        settings(ALLOC_HOME=str(tmp_path / "none"))


def test_the_repr_shows_no_password() -> None:
    found = settings(ALLOC_DATABASE_URL="postgresql://alloc:hush@db.example.org/alloc")

    assert "hush" not in repr(found)
    assert "rac.example.org" in repr(found)
