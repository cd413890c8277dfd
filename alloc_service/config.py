"""Settings, read once from the environment: what is missing or wrong stops the start.

| variable           | default                      | what it is                                  |
|--------------------|------------------------------|---------------------------------------------|
| ALLOC_HOST         | none, required               | the host name that every log's origin bears |
| ALLOC_HOME         | the working directory        | what relative paths are relative to         |
| ALLOC_DATABASE_URL | sqlite:///var/alloc.db       | SQLite file, or PostgreSQL                  |
| ALLOC_KEYS         | keys                         | folder of the key files                     |
| ALLOC_ANCHORS      | var/anchors                  | folder of the sealer's anchors              |
| ALLOC_SEALER_SOCKET | unset                       | where a sealer of its own process answers   |
| ALLOC_PASSPHRASE_FILE | unset                     | file with the passphrase of the key files   |
| ALLOC_WEB_SECRET   | var/web-secret               | file with the secret of the pages           |
| ALLOC_RECEIPTS     | unset                        | folder that gets each allocation's receipt  |
| ALLOC_PROXIES      | 0                            | reverse proxies in front of the pages       |
| ALLOC_PLAIN_HTTP   | unset                        | `yes`: pages without TLS, on loopback alone |

There is no default secret. A database URL may hold a password: it is in no repr and in no
refusal, which names the variable, the rule and an example, never the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from alloc_service.errors import ConfigError

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_LONGEST_HOST = 253

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are; every path is absolute.

    Attributes:
        database_url: `sqlite:////absolute/path` or `postgresql://…`; may hold a password.
        keys: Folder of the key files.
        anchors: Folder of the sealer's anchors; never in the database's backup.
        host: Host name in the origin of every log of this installation.
        web_secret: File with what the keys of the pages come from.
        sealer_socket: Where a sealer in a process of its own answers; none where the sealer is
            in the service's process.
        passphrase_file: File with the passphrase of the key files, if any.
        receipts: Folder that gets each allocation's receipt, if any.
    """

    database_url: str = field(repr=False)
    keys: Path
    anchors: Path
    host: str
    web_secret: Path
    sealer_socket: Path | None = None
    passphrase_file: Path | None = None
    receipts: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check every setting.

        Args:
            environ: The environment, as `os.environ`.

        Raises:
            ConfigError: A variable is missing or breaks its rule.
        """
        home = _home(environ)
        return cls(
            database_url=_database_url(environ, home),
            keys=_folder(environ, "ALLOC_KEYS", "keys", home),
            anchors=_folder(environ, "ALLOC_ANCHORS", "var/anchors", home),
            host=_host(environ),
            web_secret=_folder(environ, "ALLOC_WEB_SECRET", "var/web-secret", home),
            sealer_socket=_optional(environ, "ALLOC_SEALER_SOCKET", home),
            passphrase_file=_optional(environ, "ALLOC_PASSPHRASE_FILE", home),
            receipts=_optional(environ, "ALLOC_RECEIPTS", home),
        )


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the pages are reached.

    Attributes:
        proxies: How many reverse proxies stand in front and name the client truly.
        plain_http: Whether cookies go without TLS; for a trial run on one machine.
    """

    proxies: int
    plain_http: bool

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "WebSettings":
        """Read and check both.

        Raises:
            ConfigError: A variable breaks its rule.
        """
        proxies, plain = environ.get("ALLOC_PROXIES", "0"), environ.get("ALLOC_PLAIN_HTTP", "")
        if not re.fullmatch(r"[0-9]", proxies, re.ASCII):
            rule = "must be the number of reverse proxies in front of the pages, 0 to 9"
            raise ConfigError(variable="ALLOC_PROXIES", rule=rule, example="1")
        if plain not in {"", "yes"}:
            rule = "must be yes, for a trial run on one machine, or unset"
            raise ConfigError(variable="ALLOC_PLAIN_HTTP", rule=rule, example="yes")
        return cls(int(proxies), plain == "yes")


def _home(environ: Mapping[str, str]) -> Path:
    home = Path(_path_text(environ, "ALLOC_HOME", ".")).absolute()
    if not home.is_dir():
        raise ConfigError(
            variable="ALLOC_HOME", rule="must name a folder that exists", example="/srv/alloc"
        )
    return home


def _folder(environ: Mapping[str, str], variable: str, default: str, home: Path) -> Path:
    return home / _path_text(environ, variable, default)


def _optional(environ: Mapping[str, str], variable: str, home: Path) -> Path | None:
    return _folder(environ, variable, "", home) if variable in environ else None


def _path_text(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable, default)
    if not text.strip() or "\0" in text:
        raise ConfigError(
            variable=variable,
            rule="must name a place, or be unset",
            example=f"/srv/alloc/{default}",
        )
    return text


def _host(environ: Mapping[str, str]) -> str:
    host = environ.get("ALLOC_HOST", "")
    if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise ConfigError(
            variable="ALLOC_HOST",
            rule=(
                "must be set to this installation's host name, lower-case and without scheme, "
                "port or path; it is part of every log's origin and can never change"
            ),
            example="rac.example.org",
        )
    return host


def _database_url(environ: Mapping[str, str], home: Path) -> str:
    url = environ.get("ALLOC_DATABASE_URL", f"{_SQLITE}var/alloc.db")
    if url.startswith(_SQLITE):
        return _SQLITE + str(home / _sqlite_path(url))
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _POSTGRESQL and len(parts.path) > 1 and "\0" not in url
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(
            variable="ALLOC_DATABASE_URL",
            rule="must name a SQLite file or a PostgreSQL database",
            example="postgresql://alloc@/alloc?host=/run/postgresql",
        )
    return url


def _sqlite_path(url: str) -> str:
    path = url.removeprefix(_SQLITE)
    # A database in memory would forget every allocation; `?` would be an option, not a name.
    if not path or path.endswith("/") or ":memory:" in path or re.search(r"[?#\0]", path):
        raise ConfigError(
            variable="ALLOC_DATABASE_URL",
            rule="must name a file on disk after sqlite:/// (four slashes for an absolute path)",
            example="sqlite:////srv/alloc/var/alloc.db",
        )
    return path
