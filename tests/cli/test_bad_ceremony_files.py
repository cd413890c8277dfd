"""The files of a ceremony's parties, damaged: refused by name, at once or at their opening."""

from pathlib import Path

import pytest

from tests.cli.test_ceremony_commands import PARTIES, Table
from tests.support.damages import DAMAGES
from tests.support.shell import TRIAL, House, Outcome, Shell

# A file that only its recipient can open is taken as long as it begins and is as long as one.
SEALED = {"truncated by a byte", "truncated to a half", "a line end after it", "junk after it"}
SHOWN = {"empty", "utf-16", "utf-16 without a mark", "byte order mark", "far too large"}


@pytest.fixture
def table(staffed: House, shell: Shell, tmp_path: Path) -> Table:
    del staffed
    table = Table(shell, tmp_path)
    table.freeze("--out", "design.json")
    table.commit()
    return table


def wrap(table: Table) -> None:
    for party in PARTIES:
        wrapped = table.shell(
            "ceremony", "wrap", f"{party}.share", "--to", table.recipient, *table.custodians,
            "--out", party,
        )  # fmt: skip
        assert wrapped.code == 0, wrapped.err


def require_refused(table: Table, outcome: Outcome, name: str) -> None:
    assert outcome.code in {1, 2}
    assert name in outcome.err
    assert "Traceback" not in outcome.err
    for party in PARTIES:
        share = Path(f"{party}.share").read_text()
        assert share[share.index('"share":"') + 9 :][:16] not in outcome.err
    assert table.identity[15:40] not in outcome.err


@pytest.mark.parametrize("damage", sorted(SHOWN))
def test_a_deposit_that_is_no_age_file_is_refused_by_its_name(table: Table, damage: str) -> None:
    wrap(table)
    path = Path("dmc/deposit.dmc.archive+dmc.age")
    whole = path.read_bytes()
    deposit = ("ceremony", "deposit", TRIAL, table.id, "dmc", "dmc")

    path.write_bytes(DAMAGES[damage](whole))
    require_refused(table, table.shell(*deposit, by="dmc"), path.name)
    path.unlink()
    require_refused(table, table.shell(*deposit, by="dmc"), path.name)
    path.mkdir()
    require_refused(table, table.shell(*deposit, by="dmc"), path.name)

    path.rmdir()
    path.write_bytes(whole)
    assert table.shell(*deposit, by="dmc").code == 0


@pytest.mark.parametrize("damage", sorted(SEALED | SHOWN))
def test_a_damaged_reveal_is_refused_by_its_name_at_once_or_at_the_end(
    table: Table, damage: str
) -> None:
    table.deposit()
    table.step("announce", by="stat")
    path = Path("dmc/reveal.dmc.age")
    whole = path.read_bytes()
    reveal = ("ceremony", "reveal", TRIAL, table.id, "dmc", path)

    path.write_bytes(DAMAGES[damage](whole))
    taken = table.shell(*reveal, by="dmc")

    if damage in SHOWN:
        require_refused(table, taken, path.name)
        path.write_bytes(whole)
        assert table.shell(*reveal, by="dmc").code == 0
        return
    assert taken.code == 0
    for party in ("sponsor", "statistician"):
        table.step("reveal", party, f"{party}/reveal.{party}.age", by=PARTIES[party])
    refused = table.finish("--design", "design.json")
    require_refused(table, refused, path.name)
    assert table.read()["step"] == "finish"
    assert table.finish("--design", "design.json", "--share", "dmc.share").code == 1  # it is in


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_an_opened_share_that_is_damaged_is_refused_by_its_name(table: Table, damage: str) -> None:
    path = Path("sponsor.share")
    whole = path.read_bytes()
    changed = DAMAGES[damage](whole)
    if changed == whole:
        assert damage == "crlf"  # it holds no line end
        return
    other = Path("damaged.share")
    other.write_bytes(changed)

    refused = table.finish("--design", "design.json", "--share", other)

    require_refused(table, refused, other.name)


def test_a_ceremony_without_a_party_and_odd_beacons_are_refused_with_their_rule(
    shell: Shell, staffed: House, tmp_path: Path
) -> None:
    del staffed
    table = Table(shell, tmp_path)
    table.freeze()
    announce = ("ceremony", "announce", TRIAL, table.id)

    nobody = table.shell(*announce, by="stat")
    assert (nobody.code, "a ceremony has 1 to" in nobody.err) == (1, True)
    table.commit()
    for given, rule in (
        (("--drand", "0"), "is from 1 to"),
        (("--drand", "1000"), "at least an hour ahead"),
        (("--drand", "999999999999"), "is from 1 to"),
        (("--public-string", ""), "1 to 500 characters"),
        (("--public-string", "x" * 501), "1 to 500 characters"),
    ):
        refused = table.shell(*announce, *given, by="stat")
        assert (refused.code, rule in refused.err) == (1, True), refused.err
    table.deposit()
    table.step("announce", "--public-string", "index", by="stat")
    for value in ("", "ab", "ab" * 31, "ab" * 33, "xy" * 32, "é" * 64):
        refused = table.shell("ceremony", "beacon", TRIAL, table.id, value, by="dmc")
        assert (refused.code, "[bad-ceremony]" in refused.err) == (1, True), refused.err
    assert table.read()["step"] == "beacon"
