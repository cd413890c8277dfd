"""A seed ceremony in a browser, each step and each refusal: no rule violated anywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alloc_service.core.ceremony import Share
from alloc_service.sealing import shares
from alloc_service.sealing.age import make_identity
from alloc_service.sealing.shares import OwnShare
from tests.browser.looking import HERE, Visit, look, press, require_none
from tests.browser.person import Person
from tests.support.shell import CUSTODIANS

CEREMONY = f"{HERE}/ceremonies/2"
DESIGN = {"number": "2", "slots": "12", "size1": "4", "weight1": "1", "size2": "6", "weight2": "1"}
SOURCE = "Index of 2 March at the close, as exchange.example.org publishes it"


class Ceremony:
    """A ceremony under way in browsers, and what lies on the parties' own machines.

    Args:
        folder: For the files that are handed in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = folder / "ceremony.key"
        identity, self.recipient = make_identity()
        self.key.write_text(f"{identity}\n")
        self.custodians = {name: make_identity()[1] for name in CUSTODIANS}
        self._own: dict[str, OwnShare] = {}

    def fields(self, prefix: str = "") -> dict[str, str]:
        """Return what is typed to open it: the statistician's key, and the custodians."""
        named = enumerate(sorted(self.custodians.items()), start=1)
        typed = {
            f"{prefix}{what}{at}": text
            for at, (name, key) in named
            for what, text in (("name", name), ("key", key))
        }
        return {"recipient": self.recipient, **typed}

    def draw(self, person: Person, party: str) -> dict[str, str]:
        """Draw a party's share for the ceremony that is shown; return what is typed."""
        ceremony, design = person.page.locator("dl.rows dd").all_inner_texts()[:2]
        self._own[party] = OwnShare(ceremony, design, party, Share.fresh())
        return {"party": party, "commitment": self._own[party].commitment}

    def wrap(self, party: str) -> tuple[list[Path], Path]:
        """Encrypt a party's share; return the files of its deposit and of its reveal."""
        own = self._own[party]
        deposit = shares.write_deposit(own, self.custodians)
        reveal = {shares.reveal_name(party): shares.write_reveal(own, self.recipient)}
        for name, data in {**deposit, **reveal}.items():
            (self._folder / name).write_bytes(data)
        return [self._folder / name for name in deposit], self._folder / next(iter(reveal))


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(tmp_path)


def freeze(stat: Person, ceremony: Ceremony) -> None:
    stat.page.goto(f"{HERE}/lists/new")
    stat.fill(DESIGN)
    stat.press("See what this design does")
    press(stat, "Freeze the design and open a ceremony", "freeze, refused")
    fields = ceremony.fields("ceremony-")
    press(stat, "Freeze the design and open a ceremony", "frozen", fields)


def commit(person: Person, ceremony: Ceremony, party: str) -> None:
    look(person, CEREMONY)
    press(person, "Commit", "commitment, refused", {"party": "Not one!"})
    assert set(summary(person)) == {"#party", "#commitment"}
    press(person, "Commit", "committed", ceremony.draw(person, party))


def deposit(person: Person, ceremony: Ceremony, party: str) -> None:
    person.page.goto(CEREMONY)
    press(person, "Deposit", "deposit, refused")
    person.page.set_input_files("#deposit", ceremony.wrap(party)[0])
    press(person, "Deposit", "deposited")


def reveal(person: Person, ceremony: Ceremony, party: str) -> None:
    person.page.goto(CEREMONY)
    press(person, "Hand in", "reveal, refused")
    person.page.set_input_files("#reveal", ceremony.wrap(party)[1])
    press(person, "Hand in", "handed in")


def summary(person: Person) -> list[str]:
    """Return where the summary of errors leads; it has the focus."""
    assert "problem" in str(person.page.evaluate("document.activeElement.className"))
    links = person.page.locator(".problem a").all()
    return [str(link.get_attribute("href")) for link in links]


def test_no_page_of_a_seed_ceremony_violates_a_rule(visit: Visit, ceremony: Ceremony) -> None:
    stat, dmc = visit("stat"), visit("dmc")
    look(dmc, f"{HERE}/ceremonies")
    assert "There is no seed ceremony yet." in dmc.words
    freeze(stat, ceremony)
    look(stat, f"{HERE}/lists", f"{HERE}/ceremonies")
    stat.page.goto(CEREMONY)
    assert "If a key above is wrong, open another" in stat.words
    commit(stat, ceremony, "statistician")
    commit(dmc, ceremony, "dmc")
    for person, party in ((stat, "statistician"), (dmc, "dmc")):
        deposit(person, ceremony, party)
    stat.page.goto(CEREMONY)
    press(stat, "Announce", "announcement, refused")
    stat.page.check("[value=public-string]")
    press(stat, "Announce", "announcement without a source")
    assert summary(stat) == ["#source"]
    stat.page.check("[value=public-string]")
    press(stat, "Announce", "announced", {"source": SOURCE})
    look(dmc, f"{CEREMONY}?beacon")
    press(dmc, "Log the value", "beacon, refused")
    assert summary(dmc) == ["#proof"]
    press(dmc, "Log the value", "beacon, given", {"proof": "3,141.59"})
    for person, party in ((stat, "statistician"), (dmc, "dmc")):
        reveal(person, ceremony, party)
    stat.page.goto(CEREMONY)
    press(stat, "Make and seal the list", "list, refused")
    stat.page.set_input_files("#identity", ceremony.key)
    press(stat, "Make and seal the list", "list made")
    look(dmc, f"{CEREMONY}?sealed", f"{HERE}/ceremonies?sealed")
    assert "Its list is sealed." in dmc.words

    require_none(stat, 16)
    require_none(dmc, 13)


def test_no_page_of_a_dropped_ceremony_violates_a_rule(visit: Visit, ceremony: Ceremony) -> None:
    stat, dmc = visit("stat"), visit("dmc")
    freeze(stat, ceremony)
    commit(stat, ceremony, "statistician")
    commit(dmc, ceremony, "dmc")
    stat.page.goto(CEREMONY)
    suggested = stat.page.input_value("#round")
    stat.page.check("[value=drand]")
    press(stat, "Announce", "round, refused", {"round": "1000"})
    assert summary(stat) == ["#round"]
    stat.page.check("[value=drand]")
    press(stat, "Announce", "announced", {"round": suggested})
    press(stat, "Drop the ceremony", "drop, refused")
    late = visit("dmc")
    late.page.goto(CEREMONY)
    stat.page.select_option("#reason", "party-withdrew")
    press(stat, "Drop the ceremony", "dropped")
    late.page.set_input_files("#deposit", ceremony.wrap("dmc")[0])
    press(late, "Deposit", "too late")
    assert summary(late) == ["#now"]
    look(dmc, f"{CEREMONY}?dropped", f"{HERE}/ceremonies")
    press(stat, "Open another ceremony", "another, refused")
    press(stat, "Open another ceremony", "another", ceremony.fields())
    assert "A party has withdrawn" in stat.words

    require_none(stat, 11)
    require_none(dmc, 5)
    require_none(late, 1)


def test_a_party_commits_and_deposits_without_javascript(
    visit: Visit, open_browser: Callable[..., Person], ceremony: Ceremony
) -> None:
    freeze(visit("stat"), ceremony)
    dmc = open_browser("dmc", java_script_enabled=False)
    dmc.sign_in()
    dmc.page.goto(CEREMONY)

    dmc.fill(ceremony.draw(dmc, "dmc"))
    dmc.press("Commit")
    dmc.page.set_input_files("#deposit", ceremony.wrap("dmc")[0])
    dmc.press("Deposit")

    assert "The share of dmc is deposited." in dmc.words
