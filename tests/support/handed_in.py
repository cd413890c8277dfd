"""What a person hands to `alloc` as files: for each a command, and a good file for it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from alloc_service.core.ceremony import CeremonyDocument, Share, combine, commit
from alloc_service.core.generate import generate
from alloc_service.core.listfile import write_csv
from alloc_service.sealing import age
from alloc_service.sealing.escrow import escrow_text, write_escrow
from alloc_service.sealing.shares import OwnShare
from alloc_service.trial.definition import as_test, shipped_definition
from tests.support.shell import (
    ANSWERS,
    CONSENT,
    FACTS,
    HOST,
    TRIAL,
    House,
    Outcome,
    Shell,
    enrol_somebody,
)
from tests.support.witnesses import GrowingLog, WitnessServer


@dataclass
class Case:
    """One command that takes a file.

    Attributes:
        path: The file's.
        run: Runs the command; the file is damaged or whole.
        secrets: What must never be repeated.
        harmless: Damages that change nothing of what is meant, and are taken.
        named: What names the file in the answer, if not its own name.
        rules: What is said of a file that is opened as a whole or not at all.
        once: Whether the good file can be handed in once alone.
    """

    path: Path
    run: Callable[[], Outcome]
    secrets: tuple[str, ...] = ()
    harmless: frozenset[str] = field(default_factory=frozenset)
    named: str = ""
    rules: str = ""
    once: bool = False


Build = Callable[["Desk"], Case]


class Desk:
    """A trial, its files, and a shell, for whoever builds a case."""

    def __init__(self, house: House, shell: Shell, folder: Path) -> None:
        self.house, self.shell, self.folder = house, shell, folder
        self.design = as_test(shipped_definition()).design(1)
        self.shares = {name: Share.fresh() for name in ("dmc", "sponsor")}
        commitments = {
            name: commit(self.design.sha256, "list-1/c", name, share)
            for name, share in self.shares.items()
        }
        self.ceremony = CeremonyDocument("list-1/c", self.design.sha256, commitments, None)
        self.seed = combine(self.ceremony, self.shares, "")
        self.pairs = {name: age.make_identity() for name in ("archive", "dmc", "statistician")}
        self.recipients = {name: pair[1] for name, pair in self.pairs.items()}
        reveals = [self.shares[name].digits for name in self.ceremony.parties]
        text = escrow_text(self.design, self.seed, reveals, None)
        for name, data in write_escrow(text, self.recipients).items():
            self.put(name, data)
        for name, (identity, _) in self.pairs.items():
            self.put(f"{name}.key", f"# created: now\n{identity}\n".encode())
        self.put("design.json", self.design.to_bytes())
        self.put("seed.txt", f"{self.seed.digits}\n".encode())
        self.put("ceremony.json", self.ceremony.to_bytes())

    def put(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def regenerate(self, *more: object) -> Outcome:
        return self.shell("list", "regenerate", "--root-only", *more)

    @property
    def files(self) -> tuple[object, ...]:
        return ("--design", self.folder / "design.json", "--seed-file", self.folder / "seed.txt")

    @property
    def escrow(self) -> tuple[object, ...]:
        keys = (part for name in ("archive", "dmc") for part in ("--identity", f"{name}.key"))
        named = [item if item == "--identity" else self.folder / str(item) for item in keys]
        return ("--escrow", self.folder / "seed.archive+dmc.age", *named)

    @property
    def secret(self) -> tuple[str, ...]:
        shares = (share.digits[:16] for share in self.shares.values())
        identities = (identity[15:40] for identity, _ in self.pairs.values())
        return (self.seed.digits[:16], self.design.salt[:16], *shares, *identities)


def design(desk: Desk) -> Case:
    return Case(
        desk.folder / "design.json", partial(desk.regenerate, *desk.files), desk.secret,
        frozenset({"a line end after it", "crlf"}),
    )  # fmt: skip


def seed(desk: Desk) -> Case:
    return Case(
        desk.folder / "seed.txt", partial(desk.regenerate, *desk.files), desk.secret,
        frozenset({"a line end after it", "a space after it", "crlf"}),
        rules="exactly 64 characters of 0-9 and a-f",
    )  # fmt: skip


def escrow(desk: Desk) -> Case:
    path = desk.folder / "seed.archive+dmc.age"
    rules = "this is no binary age file|the file does not open"
    return Case(path, partial(desk.regenerate, *desk.escrow), desk.secret, rules=rules)


def identity(desk: Desk) -> Case:
    return Case(
        desk.folder / "dmc.key", partial(desk.regenerate, *desk.escrow), desk.secret,
        frozenset({"a line end after it", "a space after it", "crlf"}),
        rules="must hold one identity|this is no X25519 identity",
    )  # fmt: skip


def ceremony(desk: Desk) -> Case:
    path = desk.folder / "ceremony.json"
    return Case(path, partial(desk.regenerate, *desk.escrow, "--ceremony", path), desk.secret)


def share(desk: Desk) -> Case:
    own = OwnShare("list-1/c", desk.design.sha256, "dmc", desk.shares["dmc"])
    path = desk.put("dmc.share", own.to_bytes())
    custodians = [
        part for name, key in desk.recipients.items() for part in ("--custodian", f"{name}={key}")
    ]

    def run() -> Outcome:
        to = desk.recipients["dmc"]
        return desk.shell("ceremony", "wrap", path, "--to", to, *custodians, "--out", "wrapped")

    return Case(path, run, desk.secret)


def csv(desk: Desk) -> Case:
    path = desk.folder / "list.csv"
    with path.open("wb") as file:
        write_csv(generate(desk.design, desk.seed), file)
    run = partial(desk.shell, "list", "verify", "--csv", path, *desk.files)
    return Case(path, run, desk.secret)


def definition(desk: Desk) -> Case:
    path = desk.put("trial.toml", desk.shell("trial", "example").out)
    harmless = {"a line end after it", "a space after it", "crlf", "byte order mark"}
    rules = "end of document|is missing and must be given"
    run = partial(desk.shell, "trial", "check", path)
    return Case(path, run, (), frozenset(harmless), rules=rules)


def form(desk: Desk) -> Case:
    consent = {"time": CONSENT, "version": "1"}
    document = {"answers": ANSWERS, "consent": consent, "facts": FACTS, "participant": "P-00777"}
    path = desk.put("form.json", json.dumps(document, indent=1))
    harmless = {"a line end after it", "a space after it", "crlf"}
    run = partial(desk.shell, "enrol", TRIAL, path, by="doc")
    return Case(path, run, ("P-00777",), frozenset(harmless), once=True)


def policy(desk: Desk) -> Case:
    path = desk.put("trial.policy", desk.shell("log", "policy", TRIAL).out)
    desk.shell("log", "bundle", TRIAL, "--out", desk.folder / "evidence.zip", by="dmc")
    given = ("--bundle", desk.folder / "evidence.zip", "--policy", path)
    harmless = {"a line end after it", "a space after it"}
    run = partial(desk.shell, "log", "verify", *given)
    return Case(path, run, (), frozenset(harmless), rules="it has no quorum line")


def bundle(desk: Desk) -> Case:
    case = policy(desk)
    rules = "archive: |it is cut|CRC-32"
    return Case(desk.folder / "evidence.zip", case.run, rules=rules)


def export(desk: Desk, name: str) -> Case:
    made = desk.shell("log", "export", TRIAL, "--out", desk.folder / "log", by="dmc")
    assert made.code == 0, made.err
    path = desk.folder / "log" / name
    key = (desk.folder / "log" / "log.vkey").read_text().strip()
    given = () if name == "log.vkey" else ("--key", key)
    named = {"entries.ndjson": r"file|log", "checkpoint": "checkpoint"}.get(name, "")
    harmless = {"a line end after it", "a space after it", "crlf"} if name == "log.vkey" else set()
    return Case(
        path, partial(desk.shell, "log", "verify", "--export", desk.folder / "log", *given), (),
        frozenset(harmless), named, r"name\+id\+base64|verifier key is not base64",
    )  # fmt: skip


def receipt(desk: Desk) -> Case:
    enrol_somebody(desk.shell)
    assert desk.shell("allocate", TRIAL, "P-001", by="doc").code == 0
    status = json.loads(desk.shell("status", "--json").out)["trials"][0]
    shown = desk.shell("log", "show", TRIAL, "--json", by="dmc").out
    (enrolment,) = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", shown))
    path = desk.folder / "full.receipt"
    made = desk.shell("receipt", "full", TRIAL, enrolment, "--out", path, by="dmc")
    assert made.code == 0, made.err
    slots = ",".join(str(stratum.slots) for stratum in desk.design.strata)
    check = ("receipt", "check", path, "--key", status["vkey"], "--root", desk.house.root)
    run = partial(desk.shell, *check, "--slots", slots, "--json")
    arm = json.loads(run().out)["arm"]
    return Case(path, run, (f'"arm":"{arm}"', f"|{arm}|"))


def request(desk: Desk) -> Case:
    log, folder = GrowingLog(), desk.folder / "w"
    made = desk.shell("witness", "init", folder, "--name", "w.example.org", "--log", log.key.vkey)
    assert made.code == 0, made.err
    path = desk.put("request.txt", log.request(0, 5).data)
    out = desk.folder / "response.txt"

    def run() -> Outcome:
        out.unlink(missing_ok=True)
        return desk.shell("witness", "cosign", folder, path, "--out", out)

    return Case(path, run)


def response(desk: Desk) -> Case:
    witness = WitnessServer(desk.folder / "witness")
    status = json.loads(desk.shell("status", "--json").out)["trials"][0]
    desk.shell("witness", "add-log", witness.folder, status["vkey"])
    place = ("--witness", witness.public.vkey, "")
    given = ("--mode", "follow", *place)
    set_ = desk.shell("log", "witnesses", "set", TRIAL, *given, by="manager", second="dmc")
    assert set_.code == 0, set_.err
    asked, path = desk.folder / "request.txt", desk.folder / "response.txt"
    ask = ("--witness", witness.public.name, "--out", asked)
    assert desk.shell("log", "witnesses", "request", TRIAL, *ask, by="dmc").code == 0
    assert desk.shell("witness", "cosign", witness.folder, asked, "--out", path).code == 0
    return Case(path, partial(desk.shell, "log", "witnesses", "take", TRIAL, path, by="dmc"))


def seen(desk: Desk) -> Case:
    case = response(desk)
    recover = ("sealer", "recover", TRIAL, "--seen", case.path)
    return Case(case.path, partial(desk.shell, *recover, by="ada", second="manager"))


def drill(desk: Desk) -> Case:
    report = {
        "alg": "rac-drill/1", "blob_opened": True, "list": 1, "log_verified": True,
        "origin": f"rac.example.org/{TRIAL}/audit", "root": desk.house.root, "root_equal": True,
        "size": 9,
    }  # fmt: skip
    path = desk.put("drill.json", json.dumps(report, separators=(",", ":"), sort_keys=True))
    log = ("drill", "log", TRIAL, path)
    return Case(path, partial(desk.shell, *log, by="stat", second="dmc"))


def backup(desk: Desk) -> Case:
    path = desk.folder / "alloc.zip"
    assert desk.shell("backup", path, by="ada").code == 0
    rules = "it is damaged, or is no part of a backup|bytes follow the archive's end"
    return Case(path, partial(desk.shell, "restore", "--check", path), rules=rules)


def key_file(desk: Desk) -> Case:
    (path,) = (desk.house.home / "keys").glob("sealing-*.key")
    middle = path.read_text().splitlines()[1][20:40]
    rules = "this is not the plain PKCS#8 PEM of a key"
    return Case(path, partial(desk.shell, "status"), (middle,), rules=rules)


def current(desk: Desk) -> Case:
    path = desk.house.home / "keys" / "current"
    return Case(path, partial(desk.shell, "status"), rules="it is not spelled as rac-keys/1")


def witness_file(desk: Desk, name: str, rules: str, *harmless: str) -> Case:
    case = request(desk)
    path = desk.folder / "w" / name
    secrets = (path.read_text().splitlines()[1][20:40],) if name == "witness.key" else ()
    named = f"{re.escape(name)}|there is no witness here|add-log"
    return Case(path, case.run, secrets, frozenset(harmless), named, rules, once=True)


def witness_policy(desk: Desk) -> Case:
    # A witness reads the `log` lines alone.
    harmless = ("truncated by a byte", "a line end after it", "a space after it", "a nul after it")
    rules = "does not follow|this is no policy"
    return witness_file(desk, "policy.txt", rules, *harmless, "crlf", "junk after it")


def package(desk: Desk) -> Case:
    path = desk.folder / "list.package"
    status = json.loads(desk.shell("status", "--json").out)
    toml = desk.put("t.toml", desk.shell("trial", "example").out)
    custodians = [
        part for name, key in desk.recipients.items() for part in ("--custodian", f"{name}={key}")
    ]
    made = desk.shell(
        "list", "generate", "--offline", "--design-from", toml, "--test", "--list", 2,
        "--out", path, "--sealing-key", status["sealing_key"],
        "--origin", f"{HOST}/{TRIAL}/audit", "--escrow-dir", desk.folder / "e2", *custodians,
    )  # fmt: skip
    assert made.code == 0, made.err
    rules = "no readable ZIP archive|not the one spelling of an archive"
    return Case(path, partial(desk.shell, "list", "import", path, by="stat"), rules=rules)


CASES: Mapping[str, Build] = {
    "design": design,
    "seed": seed,
    "escrow": escrow,
    "identity": identity,
    "ceremony document": ceremony,
    "share": share,
    "list as CSV": csv,
    "trial definition": definition,
    "form": form,
    "policy": policy,
    "bundle": bundle,
    "exported entries": lambda desk: export(desk, "entries.ndjson"),
    "exported checkpoint": lambda desk: export(desk, "checkpoint"),
    "exported key": lambda desk: export(desk, "log.vkey"),
    "receipt": receipt,
    "witness request": request,
    "witness response": response,
    "note for a recovery": seen,
    "drill report": drill,
    "backup": backup,
    "server key": key_file,
    "current": current,
    "witness key": lambda desk: witness_file(desk, "witness.key", "this is no Ed25519 key"),
    "witness public key": lambda desk: witness_file(
        desk, "witness.vkey", "this is no witness's key"
    ),
    "witness policy": witness_policy,
    "package": package,
}
