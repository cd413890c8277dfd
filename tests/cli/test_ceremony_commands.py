"""`alloc ceremony`: a whole ceremony typed by its parties, and what is refused on the way."""

import hashlib
import hmac
import itertools
import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from alloc_service.core.canon import canon
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.keys import load_keys
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.shares import OwnShare
from tests.support.served_sealer import Served, short_folder
from tests.support.shell import HOST, TRIAL, House, Outcome, Shell

PARTIES = {"dmc": "dmc", "sponsor": "manager", "statistician": "stat"}


class Table:
    """The people around a ceremony: each types commands of their own."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell = shell
        self.folder = folder
        self.pairs = {name: make_identity() for name in ("archive", "dmc", "statistician")}
        self.identity, self.recipient = make_identity()
        (folder / "ceremony.key").write_text(f"{self.identity}\n")
        self.id, self.design_sha256 = "", ""

    @property
    def custodians(self) -> list[str]:
        return [
            part
            for name, (_, recipient) in self.pairs.items()
            for part in ("--custodian", f"{name}={recipient}")
        ]

    def freeze(self, *more: object) -> Outcome:
        trial = self.folder / "trial.toml"
        trial.write_text(self.shell("trial", "example").out, "utf-8")
        outcome = self.shell(
            "ceremony", "freeze", "--design-from", trial, "--test", "--to", self.recipient,
            *self.custodians, *more, by="stat",
        )  # fmt: skip
        self.read()
        return outcome

    def read(self) -> Mapping[str, object]:
        shown = json.loads(self.shell("ceremony", "show", TRIAL, "--json", by="dmc").out)
        if shown:
            self.id, self.design_sha256 = shown[-1]["ceremony"], shown[-1]["design_sha256"]
            return dict(shown[-1])
        return {}

    def draw(self, party: str) -> str:
        outcome = self.shell(
            "ceremony", "draw", self.id, "--design-sha256", self.design_sha256,
            "--party", party, "--out", f"{party}.share",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        found = re.search(r"Commitment +([0-9a-f]{64})", outcome.out)
        assert found is not None
        return found[1]

    def step(self, name: str, *more: object, by: str) -> Outcome:
        outcome = self.shell("ceremony", name, TRIAL, self.id, *more, by=by)
        assert outcome.code == 0, outcome.err
        return outcome

    def commit(self) -> None:
        for party, username in PARTIES.items():
            self.step("commit", party, self.draw(party), by=username)

    def deposit(self) -> None:
        for party, username in PARTIES.items():
            wrapped = self.shell(
                "ceremony", "wrap", f"{party}.share", "--to", self.recipient, *self.custodians,
                "--out", party,
            )  # fmt: skip
            assert wrapped.code == 0, wrapped.err
            self.step("deposit", party, party, by=username)

    def reveal(self) -> None:
        for party, username in PARTIES.items():
            self.step("reveal", party, f"{party}/reveal.{party}.age", by=username)

    def finish(self, *more: object) -> Outcome:
        key = self.folder / "ceremony.key"
        return self.shell(
            "ceremony", "finish", TRIAL, self.id, "--identity", key, "--escrow-dir", "escrow",
            *more, by="stat",
        )  # fmt: skip


@pytest.fixture
def table(staffed: House, shell: Shell, tmp_path: Path) -> Table:
    del staffed
    return Table(shell, tmp_path)


def test_a_ceremony_is_held_by_commands_from_freezing_to_the_sealed_list(table: Table) -> None:
    assert table.freeze("--out", "design.json").code == 0
    table.commit()
    table.deposit()
    table.step("announce", "--public-string", "index at the close", by="stat")
    said = table.step("beacon", "--text", "3,141.59", by="dmc")
    table.reveal()

    done = table.finish("--design", "design.json")

    assert done.code == 0, done.err
    assert "was not verified here" in said.out
    shown = table.read()
    assert shown["step"] == "sealed"
    shares = [
        OwnShare.from_bytes(Path(f"{party}.share").read_bytes(), party).share.digits
        for party in sorted(PARTIES)
    ]
    beacon = hashlib.sha256(b"3,141.59").hexdigest()
    message = "|".join(["rac-seed/1", *shares, beacon]).encode()
    seed = hmac.new(str(shown["doc_sha256"]).encode(), message, "sha256").hexdigest()
    escrow = open_escrow(
        Path("escrow/seed.archive+dmc.age").read_bytes(),
        table.pairs["archive"][0],
        table.pairs["dmc"][0],
    )
    assert escrow.seed.digits == seed
    assert hashlib.sha256(Path("design.json").read_bytes()).hexdigest() == table.design_sha256


def test_a_drawn_share_is_its_owners_alone_and_is_not_shown(table: Table) -> None:
    table.freeze()
    commitment = table.draw("dmc")

    path = Path("dmc.share")
    own = OwnShare.from_bytes(path.read_bytes(), path.name)
    assert own.commitment == commitment
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_share_is_made_of_dice(
    table: Table, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolls = "".join(itertools.islice(itertools.cycle("14253"), 100))
    draw = ("ceremony", "draw", "list-1/c", "--design-sha256", "d" * 64, "--party", "dmc", "--dice")
    typed = tmp_path / "rolls.txt"
    told = {rolls: "", rolls[1:]: "99 rolls are too few", "é" * 100: "one of 1 to 6"}
    for text, rule in told.items():
        typed.write_text(text, "utf-8")
        with typed.open() as file:
            monkeypatch.setattr("sys.stdin", file)
            outcome = shell(*draw, "--out", f"{len(rule)}.share")
        assert outcome.code == bool(rule)
        assert rule in outcome.err

    own = OwnShare.from_bytes(Path("0.share").read_bytes(), "share")
    assert own.share.digits == hashlib.sha256(rolls.encode()).hexdigest()
    assert sorted(path.name for path in Path().glob("*.share")) == ["0.share"]
    del table


def test_a_share_is_never_written_over_another(table: Table) -> None:
    table.freeze()
    table.draw("dmc")

    again = table.shell(
        "ceremony", "draw", table.id, "--design-sha256", table.design_sha256,
        "--party", "dmc", "--out", "dmc.share",
    )  # fmt: skip

    assert again.code == 1
    assert "a file of this name is there" in again.err


def test_a_party_that_stays_away_is_stood_in_for_by_two_custodians(table: Table) -> None:
    table.freeze()
    table.commit()
    table.deposit()
    table.step("announce", by="stat")
    for party in ("dmc", "statistician"):
        reveal = f"{party}/reveal.{party}.age"
        table.step("reveal", party, reveal, by=PARTIES[party])
    alone = table.finish()
    assert alone.code == 1
    assert "sponsor has not revealed" in alone.err

    done = table.finish("--share", "sponsor.share")

    assert done.code == 0, done.err


def test_a_false_share_is_named_and_nothing_is_made(table: Table) -> None:
    table.freeze()
    table.commit()
    table.deposit()
    table.step("announce", by="stat")
    other = Path("sponsor.share").read_text().replace('"share":"', '"share":"0')
    Path("sponsor.share").write_text(other[: other.index('"share":"') + 73] + '"}')
    wrapped = table.shell(
        "ceremony", "wrap", "sponsor.share", "--to", table.recipient, *table.custodians,
        "--out", "false",
    )  # fmt: skip
    assert wrapped.code == 0, wrapped.err
    for party, username in PARTIES.items():
        folder = "false" if party == "sponsor" else party
        table.step("reveal", party, f"{folder}/reveal.{party}.age", by=username)

    done = table.finish()

    assert done.code == 1
    assert "sponsor reveals another value than it committed to" in done.err
    assert table.read()["step"] == "finish"


def test_a_ceremony_is_dropped_with_a_reason_and_another_is_opened(table: Table) -> None:
    table.freeze()
    table.commit()
    first = table.id
    assert table.shell("ceremony", "drop", TRIAL, table.id, "because", by="stat").code == 2
    assert "a party has withdrawn" in table.step("drop", "party-withdrew", by="stat").out

    opened = table.shell(
        "ceremony", "open", TRIAL, 1, "--to", table.recipient, *table.custodians, by="stat"
    )

    assert opened.code == 0, opened.err
    table.read()
    assert table.id != first
    shown = table.shell("ceremony", "show", TRIAL, by="dmc").out
    assert "it was dropped" in shown
    assert "the parties commit" in shown


def test_a_beacon_is_chosen_in_one_way(table: Table) -> None:
    table.freeze()
    table.commit()
    announce = ("ceremony", "announce", TRIAL, table.id)
    both = table.shell(*announce, "--drand", "next", "--public-string", "x", by="stat")
    nonsense = table.shell(*announce, "--drand", "soon", by="stat")
    past = table.shell(*announce, "--drand", "1000", by="stat")

    assert (both.code, nonsense.code, past.code) == (2, 2, 1)
    assert "at least an hour ahead" in past.err
    shown = table.step("announce", "--drand", "next", by="stat").out
    assert "drand quicknet, round" in shown
    early = table.shell("ceremony", "beacon", TRIAL, table.id, "ab" * 32, by="dmc")
    assert early.code == 1
    beacon = ("ceremony", "beacon", TRIAL, table.id)
    assert table.shell(*beacon, "--signature", "x", "--text", "y", by="dmc").code == 2


def test_nothing_is_shown_before_a_ceremony_is_opened(table: Table) -> None:
    shown = table.shell("ceremony", "show", TRIAL, by="dmc")

    assert shown.code == 0
    assert "No ceremony was opened yet." in shown.err


def test_the_frozen_design_is_not_written_over_a_file(table: Table) -> None:
    Path("design.json").write_text("mine")

    refused = table.freeze("--out", "design.json")

    assert refused.code == 1
    assert table.read() == {}


def test_whoever_approves_finds_the_seed_to_be_the_ceremonys(table: Table) -> None:
    table.freeze()
    table.commit()
    early = table.shell("ceremony", "document", TRIAL, table.id, "--out", "c.json", by="dmc")
    assert early.code == 1
    assert "is not announced" in early.err
    table.deposit()
    table.step("announce", "--public-string", "index", by="stat")
    table.step("beacon", "--text", "3,141.59", by="dmc")
    table.reveal()
    assert table.finish().code == 0
    table.step("document", "--out", "ceremony.json", by="second")
    for name in ("archive", "dmc"):
        Path(f"{name}.key").write_text(table.pairs[name][0])
    regenerate = (
        "list", "regenerate", "--escrow", "escrow/seed.archive+dmc.age", "--root-only",
        "--identity", "archive.key", "--identity", "dmc.key", "--ceremony",
    )  # fmt: skip

    done = table.shell(*regenerate, "ceremony.json")

    assert done.code == 0, done.err
    assert str(table.read()["doc_sha256"]) in done.err
    whole = json.loads(Path("ceremony.json").read_text())
    parties = whole["parties"]
    spoiled = {
        "another design": whole | {"design_sha256": "d" * 64},
        "not a share of each party": whole | {"parties": parties[:2]},
        "another value": whole | {"ceremony": "list-1/other"},
        "has no beacon": whole | {"beacon": None},
    }
    for rule, document in spoiled.items():
        Path("bad.json").write_bytes(canon(document))
        refused = table.shell(*regenerate, "bad.json")
        assert refused.code == 1
        assert rule in refused.err


def test_over_a_socket_the_hosts_command_gives_the_design_and_the_ceremony_ends(
    table: Table, shell: Shell, staffed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = staffed.settings
    sealer = LocalSealer(load_keys(settings.keys), settings.anchors, HOST)
    with short_folder() as folder:
        served = Served(folder, sealer)
        monkeypatch.setenv("ALLOC_SEALER_SOCKET", str(served.path))
        table.freeze()
        table.commit()
        table.deposit()
        table.step("announce", by="stat")
        table.reveal()

        refused = table.finish()
        words = " ".join(refused.err.split())
        asked = words.partition("runs `alloc sealer design ")[2].partition("`")[0].split()
        opened = shell("sealer", "design", *asked)
        Path("design.json").write_text(opened.out)
        done = table.finish("--design", "design.json")
        served.close()

    assert (refused.code, "[design-at-host]" in refused.err) == (1, True)
    assert opened.code == 0, opened.err
    assert done.code == 0, done.err
    assert table.read()["step"] == "sealed"
    log = shell("log", "show", TRIAL, "--json", by="dmc").out
    assert log.count("design.read") == 1
