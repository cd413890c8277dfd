"""The pages of a seed ceremony: each step in its form, for whom it is, refused with its rule."""

import io
import re
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from alloc_service.core.ceremony import Drand, Share
from alloc_service.sealing import age, shares
from alloc_service.sealing.shares import OwnShare
from alloc_service.services import ceremonies
from tests.support.browser import Browser
from tests.support.ceremonies import PARTIES, Held, begin
from tests.support.installation import Installation
from tests.support.pages import browse_as

PLACE = "/trials/TEST-SMALL/ceremonies"
DESIGN = {"number": "1", "slots": "6", "size1": "2", "weight1": "1", "size2": "4", "weight2": "1"}


@pytest.fixture
def staffed(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial without any list."""
    return open_stage("staffed")


@pytest.fixture
def held(staffed: Installation) -> Held:
    return begin(staffed)


def browse(held: Held, username: str) -> Browser:
    return browse_as(held.installation, username, f"{PLACE}/1")


def custodians(held: Held, prefix: str = "") -> dict[str, str]:
    named = enumerate(sorted(held.keys.custodians.items()), start=1)
    return {
        f"{prefix}{what}{at}": text
        for at, (name, key) in named
        for what, text in (("name", name), ("key", key))
    }


def named(files: Mapping[str, bytes]) -> list[tuple[io.BytesIO, str]]:
    return [(io.BytesIO(data), name) for name, data in files.items()]


def test_a_ceremony_is_held_on_pages_from_freezing_to_the_sealed_list(held: Held) -> None:
    here = held.installation
    stat = browse_as(here, "stat", "/trials/TEST-SMALL/lists/new")
    recipient = {"recipient": held.keys.recipient}
    stat.post("/trials/TEST-SMALL/lists/freeze", DESIGN | recipient | custodians(held, "ceremony-"))
    assert stat.title == "The design is frozen"
    assert "&#34;blocks&#34;" in stat.page
    (entry,) = here.entries("design.frozen")
    browsers = {party: browse(held, username) for party, username in PARTIES.items()}

    for party, browser in browsers.items():
        held.id = browser.hidden["ceremony"]
        held.own[party] = OwnShare(held.id, entry.body["design_sha256"], party, Share.fresh())
        fields = {"ceremony": held.id, "party": party, "commitment": held.own[party].commitment}
        browser.post(f"{PLACE}/1/commit", fields)
        assert f"{party} is committed." in browser.words
    for party, browser in browsers.items():
        files = named(shares.write_deposit(held.own[party], held.keys.custodians))
        fields = {"ceremony": held.id, "party": party}
        browser.post(f"{PLACE}/1/deposit", {**fields, "deposit": files})
        assert f"The share of {party} is deposited." in browser.words
    ahead = Drand.after(here.clock.now + timedelta(hours=2))
    stat.get(f"{PLACE}/1")
    assert f'value="{ahead.round}"' in stat.page
    choice = {"ceremony": held.id, "beacon": "drand", "round": str(ahead.round)}
    stat.post(f"{PLACE}/1/announce", choice)
    assert "The ceremony is announced." in stat.words
    here.clock.advance(hours=3)
    browsers = {party: browse(held, username) for party, username in PARTIES.items()}
    browsers["dmc"].post(f"{PLACE}/1/beacon", {"ceremony": held.id, "value": "ab" * 32})
    assert "nothing of it was verified here" in browsers["dmc"].words
    for party, browser in browsers.items():
        browser.get(f"{PLACE}/1")
        data = shares.write_reveal(held.own[party], held.keys.recipient)
        fields = {"ceremony": held.id, "party": party}
        browser.post(f"{PLACE}/1/reveal", {**fields, "reveal": (io.BytesIO(data), "r.age")})
        assert f"The share of {party} is handed in." in browser.words
    stat = browse(held, "stat")
    identity = io.BytesIO(held.identity.encode())
    stat.post(f"{PLACE}/1/finish", {"ceremony": held.id, "identity": (identity, "c.key")})

    assert stat.title == "The list is sealed"
    (sealed,) = here.entries("list.sealed")
    assert sealed.body["root"] in stat.page
    assert held.identity not in stat.page
    for own in held.own.values():
        assert own.share.digits not in stat.page


def test_each_sees_the_forms_that_are_theirs(held: Held) -> None:
    held.freeze().commit("dmc")
    words = {name: browse(held, name).words for name in ("stat", "dmc", "manager", "admin")}

    assert "Announce the ceremony" in words["stat"]
    assert "Take part as a party" in words["stat"]
    assert "Deposit your share" in words["dmc"]
    assert "Take part as a party" not in words["dmc"]
    assert "Take part as a party" in words["manager"]
    assert "Announce" not in words["manager"]
    assert "Take part as a party" not in words["admin"]


def test_who_opened_it_with_a_wrong_key_opens_another_in_its_place(held: Held) -> None:
    held.freeze()
    first, stat = held.id, browse(held, "stat")
    assert "If a key above is wrong, open another" in stat.words
    assert "If a key above is wrong" not in browse(held, "dmc").words

    stat.post(f"{PLACE}/1/open", {"recipient": held.keys.recipient, **custodians(held)})

    assert "Another ceremony is open." in stat.words
    assert stat.hidden["ceremony"].startswith("list-1/ceremony-2-")
    assert f"{first} : Nobody has committed to it" in stat.words
    stat.get(PLACE)
    assert stat.words.count("Nobody has committed to it") == 1


def test_of_two_open_ceremonies_the_page_shows_the_one_that_a_party_joined(held: Held) -> None:
    held.freeze()
    first, stat = held.id, browse(held, "stat")
    stat.post(f"{PLACE}/1/open", {"recipient": held.keys.recipient, **custodians(held)})
    second = stat.hidden["ceremony"]

    held.commit("dmc")
    stat.get(f"{PLACE}/1")

    assert stat.hidden["ceremony"] == first
    assert f"{second} : Nobody has committed to it" in stat.words
    assert "Open another ceremony" not in stat.words


def test_the_page_shows_the_commands_of_a_party_ready_to_copy(held: Held) -> None:
    held.freeze()
    manager = browse(held, "manager")
    assert f"alloc ceremony draw {held.id} --design-sha256 {held.design.sha256}" in manager.words
    held.commit("sponsor")

    again = browse(held, "manager")

    assert f"alloc ceremony wrap sponsor.share --to {held.keys.recipient}" in again.words


def test_no_page_of_a_ceremony_tells_a_block_size(held: Held) -> None:
    held.until_revealed()
    for username in ("stat", "dmc", "manager", "admin"):
        browser = browse(held, username)
        for path in (f"{PLACE}/1", PLACE):
            browser.get(path)
            assert browser.answer.status_code == 200
            assert "blocks" not in browser.page
            assert "weight" not in browser.page


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"commitment": "x"}, "commitment", "64 digits"),
        ({"commitment": "A" * 63}, "commitment", "64 digits"),
        ({"party": "../x"}, "party", "1-32 of a-z 0-9 -"),
        ({"party": ""}, "party", "1-32 of a-z 0-9 -"),
        ({"ceremony": "list-1/other"}, "commitment", "list-1/other"),
    ],
)
def test_a_commitment_that_is_refused_is_kept_with_its_rule_beside_its_field(
    held: Held, change: dict[str, str], field: str, told: str
) -> None:
    held.freeze()
    dmc = browse(held, "dmc")

    typed = {"ceremony": held.id, "party": "dmc", "commitment": "ab" * 32} | change
    dmc.post(f"{PLACE}/1/commit", typed)

    assert dmc.answer.status_code == 422
    assert list(dmc.errors) == [field]
    assert told in dmc.errors[field]
    kept = typed["commitment"].lower()
    assert re.search(rf'name="commitment" type="text" value="{kept}"', dmc.page, re.IGNORECASE)
    assert not held.installation.entries("seed.committed")


def test_a_party_that_comes_twice_late_or_with_anothers_commitment_is_named(held: Held) -> None:
    held.freeze().commit("dmc")
    fields = {"ceremony": held.id, "party": "sponsor"}
    manager = browse(held, "manager")
    manager.post(f"{PLACE}/1/commit", fields | {"commitment": held.own["dmc"].commitment})
    assert "sponsor repeats another's commitment" in manager.errors["commitment"]
    held.deposit("dmc")

    manager.post(f"{PLACE}/1/commit", fields | {"commitment": "a" * 64})

    assert manager.answer.status_code == 422
    assert "sponsor is too late" in manager.errors["now"]
    assert "`alloc" not in manager.words
    assert 'id="now"' in manager.page
    assert "Take part as a party" not in manager.words


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({}, "beacon", "say whether there is a beacon"),
        ({"beacon": "drand", "round": "x"}, "round", "is from 1 to"),
        ({"beacon": "drand", "round": "1000"}, "round", "at least an hour ahead"),
        ({"beacon": "public-string", "source": " "}, "source", "1 to 500 characters"),
    ],
)
def test_a_beacon_that_is_none_is_refused_with_its_rule_beside_its_field(
    held: Held, typed: dict[str, str], field: str, told: str
) -> None:
    held.freeze().commit()
    stat = browse(held, "stat")

    stat.post(f"{PLACE}/1/announce", {"ceremony": held.id, **typed})

    assert stat.answer.status_code == 422
    assert told in stat.errors[field]
    assert not held.installation.entries("seed.announced")


def test_a_ceremony_without_a_party_is_not_announced(held: Held) -> None:
    held.freeze()
    stat = browse(held, "stat")

    stat.post(f"{PLACE}/1/announce", {"ceremony": held.id, "beacon": "none"})

    assert stat.answer.status_code == 422
    assert "1 to 16 parties" in stat.words


def test_a_public_string_is_typed_as_it_was_published(held: Held) -> None:
    held.freeze().commit().deposit()
    stat = browse(held, "stat")
    source = {"beacon": "public-string", "source": "index at the close"}
    stat.post(f"{PLACE}/1/announce", {"ceremony": held.id, **source})
    dmc = browse(held, "dmc")
    assert "index at the close" in dmc.words
    dmc.post(f"{PLACE}/1/beacon", {"ceremony": held.id, "value": "", "proof": ""})
    assert "give the text as published" in dmc.errors["proof"]

    dmc.post(f"{PLACE}/1/beacon", {"ceremony": held.id, "value": "", "proof": "3,141.59"})

    assert "published was not verified here" in dmc.words
    assert "3,141.59" in dmc.words


@pytest.mark.parametrize("field", ["deposit", "reveal"])
def test_a_file_that_is_no_sealed_file_is_refused(held: Held, field: str) -> None:
    held.freeze().commit()
    if field == "reveal":
        held.deposit().announce()
    dmc = browse(held, "dmc")
    files = dict.fromkeys(shares.deposit_names("dmc", held.keys.custodians), b"in clear")
    given: object = named(files) if field == "deposit" else (io.BytesIO(b"in clear"), "reveal")

    dmc.post(f"{PLACE}/1/{field}", {"ceremony": held.id, "party": "dmc", field: given})

    assert dmc.answer.status_code == 422
    assert "no binary age file" in dmc.errors[field]


def test_a_false_share_is_named_when_the_list_is_made(held: Held) -> None:
    held.freeze().commit().deposit().announce()
    held.own["sponsor"] = OwnShare(held.id, held.design.sha256, "sponsor", Share.fresh())
    held.reveal()
    stat = browse(held, "stat")
    identity = (io.BytesIO(held.identity.encode()), "ceremony.key")

    stat.post(f"{PLACE}/1/finish", {"ceremony": held.id, "identity": identity})

    assert stat.answer.status_code == 422
    assert "sponsor reveals another value than it committed to" in stat.errors["identity"]
    assert held.identity not in stat.page
    assert not held.installation.entries("list.sealed")


def test_the_statistician_brings_identity_design_and_a_share_that_custodians_opened(
    held: Held,
) -> None:
    held.freeze().commit().deposit().announce().reveal("dmc", "statistician")
    stat = browse(held, "stat")
    fields = {
        "ceremony": held.id,
        "identity": (io.BytesIO(held.identity.encode()), "ceremony.key"),
        "design": (io.BytesIO(held.design.to_bytes() + b"\n"), "design.json"),
        "share": (io.BytesIO(held.own["sponsor"].to_bytes()), "sponsor.share"),
    }

    stat.post(f"{PLACE}/1/finish", fields)

    assert stat.title == "The list is sealed"
    assert not held.installation.entries("design.read")


@pytest.mark.parametrize("field", ["share", "design"])
def test_a_file_that_is_no_share_or_no_design_is_refused_beside_its_field(
    held: Held, field: str
) -> None:
    held.until_revealed()
    stat = browse(held, "stat")
    fields = {
        "ceremony": held.id,
        "identity": (io.BytesIO(held.identity.encode()), "ceremony.key"),
        field: (io.BytesIO(b"{}"), "file"),
    }

    stat.post(f"{PLACE}/1/finish", fields)

    assert stat.answer.status_code == 422
    assert list(stat.errors) == [field]
    assert not held.installation.entries("list.sealed")


@pytest.mark.parametrize("identity", [b"", b"\xff\xfe", b"AGE-SECRET-KEY-1NONSENSE"])
def test_an_identity_that_is_none_is_refused_and_not_repeated(held: Held, identity: bytes) -> None:
    held.until_revealed()
    stat = browse(held, "stat")

    stat.post(f"{PLACE}/1/finish", {"ceremony": held.id, "identity": (io.BytesIO(identity), "key")})

    assert stat.answer.status_code == 422
    assert "identity" in stat.errors["identity"]
    assert "NONSENSE" not in stat.page


def test_a_ceremony_is_dropped_for_a_reason_and_another_is_opened(held: Held) -> None:
    held.freeze().commit()
    first, stat = held.id, browse(held, "stat")
    stat.post(f"{PLACE}/1/drop", {"ceremony": held.id, "reason": ""})
    assert "the reason must be one of" in stat.errors["reason"]
    stat.post(f"{PLACE}/1/drop", {"ceremony": held.id, "reason": "party-withdrew"})
    assert "It stays in the log." in stat.words
    assert "A party has withdrawn" in stat.words
    short = custodians(held) | {"name2": custodians(held)["name1"]}
    stat.post(f"{PLACE}/1/open", {"recipient": held.keys.recipient, **short})
    assert stat.answer.status_code == 422
    assert "a name of their own" in stat.errors["name1"]
    stat.post(f"{PLACE}/1/open", {"recipient": "age1x", **custodians(held)})
    assert "recipient" in stat.errors["recipient"]

    stat.post(f"{PLACE}/1/open", {"recipient": held.keys.recipient, **custodians(held)})

    assert "Another ceremony is open." in stat.words
    assert first in stat.words
    assert "list-1/ceremony-2-" in stat.words


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"recipient": "age1x"}, "recipient"),
        ({"ceremony-name2": ""}, "ceremony-name1"),
        ({"ceremony-key1": "age1x"}, "ceremony-name1"),
        ({"size1": "3"}, "size1"),
    ],
)
def test_a_design_is_not_frozen_with_a_wrong_key_or_block(
    held: Held, change: dict[str, str], field: str
) -> None:
    stat = browse_as(held.installation, "stat", "/trials/TEST-SMALL/lists/new")
    keys = {"recipient": held.keys.recipient, **custodians(held, "ceremony-")}
    keys["ceremony-name1"] = keys["ceremony-name1"] if "ceremony-name2" not in change else ""

    stat.post("/trials/TEST-SMALL/lists/freeze", DESIGN | keys | change)

    assert stat.answer.status_code == 422
    assert field in stat.errors
    assert not held.installation.entries("design.frozen")


def test_a_design_is_frozen_once(held: Held) -> None:
    held.freeze()
    stat = browse_as(held.installation, "stat", "/trials/TEST-SMALL/lists/new")
    recipient = {"recipient": age.make_identity()[1]}

    stat.post("/trials/TEST-SMALL/lists/freeze", DESIGN | recipient | custodians(held, "ceremony-"))

    assert stat.answer.status_code == 422
    assert stat.errors["number"] == "Nothing was changed: list 1 has a design already."
    stat.get("/trials/TEST-SMALL/lists")
    assert 'href="/trials/TEST-SMALL/ceremonies"' in stat.page


def test_a_list_without_a_ceremony_has_no_such_page(held: Held) -> None:
    dmc = browse_as(held.installation, "dmc", PLACE)
    assert "There is no seed ceremony yet." in dmc.words

    dmc.get(f"{PLACE}/7")

    assert dmc.answer.status_code == 404


def test_the_log_page_tells_of_a_dropped_ceremony(held: Held) -> None:
    held.freeze().commit()
    here = held.installation
    ceremonies.drop(here.deps, here.people["stat"], here.trial, held.id, "rehearsal")

    dmc = browse_as(here, "dmc", "/trials/TEST-SMALL/log")

    assert f"broke off the seed ceremony {held.id} (rehearsal)" in dmc.words
