"""An installation in a folder, and a shell that runs `alloc` in it.

Nothing in it is a stand-in; only Argon2 is made cheap where the program runs in the tests' own
process. Building one takes a second, so it is built once for each stage and copied for each test.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from argon2 import PasswordHasher

from alloc_service.cli.program import run
from alloc_service.config import Settings
from alloc_service.permissions import Grant, Role
from alloc_service.sealing.age import make_identity
from alloc_service.services import accounts, installation, lists, passwords, trials
from alloc_service.services.accounts import NewAccount, Person
from alloc_service.services.deps import Deps, open_deps
from alloc_service.services.passwords import Passwords
from alloc_service.trial.definition import as_test, shipped_definition

ROOT = Path(__file__).parents[2]
HOST = "rac.example.org"
TRIAL = "TEST-NCT01728727"
SITE = "XA01"
CUSTODIANS = ("archive", "dmc", "statistician")
ROLES = {
    "stat": Grant(Role.STATISTICIAN),
    "second": Grant(Role.SECOND_STATISTICIAN),
    "manager": Grant(Role.MANAGER),
    "dmc": Grant(Role.DMC),
    "doc": Grant(Role.PHYSICIAN, SITE),
    "doc2": Grant(Role.PHYSICIAN, SITE),
}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FACTS = {
    "age": "45",
    "bilirubin": "3.5 mg/dL",
    "albumin": "2.5 g/dL",
    "inr": "1.8",
    "creatinine": "1.1 mg/dL",
    "dialysis": "no",
    "ascites": "mild",
    "encephalopathy": "none",
}
ANSWERS = dict.fromkeys(("hbv-cirrhosis", "written-consent"), "yes") | dict.fromkeys(
    (
        "malignancy",
        "vital-organs",
        "pregnancy-lactation",
        "bacterial-infection",
        "follow-up-difficulty",
        "not-applicable",
    ),
    "no",
)
CONSENT = "2020-01-02 09:15"


Golden = Callable[[str, str], None]


class Outcome(NamedTuple):
    """What a run gave: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass
class House:
    """An installation in a folder.

    Attributes:
        home: ALLOC_HOME.
        escrow: The escrow's files of list 1.
        root: Its root.
        identities: Of its custodians, by name.
    """

    home: Path
    escrow: Mapping[str, bytes] = field(default_factory=dict)
    root: str = ""
    identities: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> Settings:
        """Return where everything is."""
        return Settings.from_environment(self.environ)

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables that name it."""
        return {"ALLOC_HOST": HOST, "ALLOC_HOME": str(self.home)}

    @contextlib.contextmanager
    def opened(self) -> Iterator[Deps]:
        """Open its services."""
        deps = open_deps(self.settings)
        yield deps
        deps.database.dispose()

    def person(self, deps: Deps, username: str) -> Person:
        """Return somebody who has proved who they are."""
        return accounts.authenticate(deps, username, password_of(username))

    def copied_to(self, home: Path) -> "House":
        """Return a copy of the whole installation in another folder."""
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        return House(home, self.escrow, self.root, self.identities)

    def write_escrow(self, folder: Path) -> dict[str, Path]:
        """Write escrow and identities to a folder; return the identity files by custodian."""
        folder.mkdir(exist_ok=True)
        for name, data in self.escrow.items():
            (folder / name).write_bytes(data)
        paths = {name: folder / f"{name}.key" for name in self.identities}
        for name, identity in self.identities.items():
            paths[name].write_text(f"# made for a test\n{identity}\n")
        return paths


def password_of(username: str) -> str:
    """Return the password that everybody's account has here."""
    return f"{username} has a long password"


def build_staffed(home: Path) -> House:
    """Return an installation with the shipped trial, as a test, and all its people."""
    house = House(home)
    new = NewAccount("ada", "P-ada", "Ada Admin", SITE)
    installation.initialize(house.settings, new, password_of("ada"))
    with house.opened() as deps:
        ada = house.person(deps, "ada")
        trials.create(deps, ada, as_test(shipped_definition()))
        for username, grant in ROLES.items():
            new = NewAccount(username, f"P-{username}", f"Dr {username}", SITE)
            once = accounts.add_account(deps, ada, new)
            accounts.change_password(deps, username, once, password_of(username))
            accounts.add_grant(deps, ada, TRIAL, username, grant)
    return house


def build_sealed(staffed: House, home: Path) -> House:
    """Return the trial with a list that nobody has approved yet."""
    house = staffed.copied_to(home)
    pairs = {name: make_identity() for name in CUSTODIANS}
    house.identities = {name: identity for name, (identity, _) in pairs.items()}
    recipients = {name: recipient for name, (_, recipient) in pairs.items()}
    with house.opened() as deps:
        design = as_test(shipped_definition()).design()
        made = lists.generate(deps, house.person(deps, "stat"), design, recipients)
    house.escrow, house.root = made.escrow, made.root
    return house


def build_active(sealed: House, home: Path) -> House:
    """Return the trial with an active list and an active site."""
    house = sealed.copied_to(home)
    with house.opened() as deps:
        lists.approve(deps, house.person(deps, "second"), TRIAL, 1, house.root)
        manager = house.person(deps, "manager")
        lists.activate(deps, manager, TRIAL, 1)
        trials.change_site(deps, manager, TRIAL, SITE, active=True)
    return house


class Shell:
    """Runs `alloc` in this process, in the environment that a test has set."""

    def __call__(
        self,
        *arguments: object,
        by: str | None = None,
        second: str | None = None,
        lines: Sequence[str] = (),
    ) -> Outcome:
        """Run one command.

        Args:
            arguments: Without the program's name; `{fd}` in one of them is replaced by the
                number of a descriptor that gives `lines`.
            by: Who acts, with the right password.
            second: The second person, likewise.
            lines: What a descriptor gives, line by line.
        """
        with contextlib.ExitStack() as stack:
            given = [str(argument) for argument in arguments]
            if lines:
                number = str(stack.enter_context(giving("\n".join(lines) + "\n")))
                given = [argument.replace("{fd}", number) for argument in given]
            for person, option in ((by, "as"), (second, "second")):
                if person is not None:
                    fd = stack.enter_context(giving(password_of(person) + "\n"))
                    prefix = "" if option == "as" else "second-"
                    given += [f"--{option}", person, f"--{prefix}password-fd", str(fd)]
            return _captured(given)


def enrol_somebody(shell: Shell, participant: str = "P-001", **changes: str) -> None:
    """Enrol an eligible participant of the shipped trial; facts change by name."""
    facts = {**FACTS, **changes}
    given = ["--participant", participant, "--consent-time", CONSENT, "--consent-version", "1"]
    given += [part for code, text in facts.items() for part in ("--fact", f"{code}={text}")]
    given += [part for code, text in ANSWERS.items() for part in ("--answer", f"{code}={text}")]
    assert shell("enrol", TRIAL, *given, by="doc").code == 0


@contextlib.contextmanager
def giving(text: str) -> Iterator[int]:
    """Return a descriptor from which a text can be read."""
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    try:
        yield reader
    finally:
        os.close(reader)


def _captured(arguments: Sequence[str]) -> Outcome:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments, os.environ)
    texts = []
    for stream in (out, err):
        stream.flush()
        raw = stream.detach()
        texts.append(raw.getvalue().decode("utf-8"))
    return Outcome(code, *texts)


def spawn(
    arguments: Sequence[object], environ: Mapping[str, str], **options: object
) -> "subprocess.CompletedProcess[bytes]":
    """Run `alloc` in a process of its own, as a script would."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # options are run's own
        command_line(arguments), env=process_environ(environ), capture_output=True, check=False,
        timeout=300, **options,
    )  # fmt: skip


def command_line(arguments: Sequence[object]) -> list[str]:
    """Return the command line of a process of its own."""
    return [sys.executable, "-m", "alloc_service.cli", *(str(item) for item in arguments)]


def process_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of such a process: this tree's package, and nothing of a shell."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **kept, **environ}


@contextlib.contextmanager
def hashing_cheaply() -> Iterator[None]:
    """Make Argon2 cheap in this process, while it lasts; the stored hashes say so themselves."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "PasswordHasher", cheap)
        yield


def cheap_passwords() -> Passwords:
    """Return Argon2 as cheap as it gets: what is tested is who may, not how long it takes."""
    return Passwords(CHEAP)


_STEADY = (
    (re.compile(r"(Schema +)\S+"), r"\1<version>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hex32>"),
    (re.compile(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}"), "+<key>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<kid>"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(Z| [+-]\d{2}:\d{2}| UTC)"), "<time>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}\b"), "<date>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{8}){2}\b"), "<one-time>"),
)


def steady(text: str, home: Path) -> str:
    """Return a text with everything that differs from run to run named instead."""
    text = text.replace(str(home), "<home>")
    for pattern, name in _STEADY:
        text = pattern.sub(name, text)
    return text
