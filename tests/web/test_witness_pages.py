"""The page of a trial's witnesses, the line about them, and what a physician sees at the gate."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pyotp
import pytest

from alloc_service.log.note import Witness
from alloc_service.sealing.witness import WitnessDesk
from alloc_service.services import witnesses
from alloc_service.services.recovery import TwoPeople
from tests.support.browser import Browser
from tests.support.installation import Installation, password_of
from tests.support.witnesses import WitnessServer, saying, set_gate, sign_key

PAGE = "/trials/TEST-SMALL/witnesses"
LOG = "/trials/TEST-SMALL/log"
ARMS = "/trials/TEST-SMALL/arms"

Browse = Callable[..., Browser]


@pytest.fixture
def witness(active: Installation, tmp_path: Path) -> Iterator[WitnessServer]:
    server = WitnessServer(tmp_path / "witness")
    server.follow(active.deps.sealer.log_key(active.origin))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gated(active: Installation, witness: WitnessServer) -> Installation:
    set_gate(active, witness)
    return active


def signed_by(username: str, form: str = "") -> dict[str, object]:
    return {f"second{form}": username, f"password{form}": password_of(username)}


def policy(witness: WitnessServer, mode: str = "gate", **changed: object) -> dict[str, object]:
    fields = {"mode": mode, "quorum": "", "vkey1": witness.public.vkey, "url1": witness.url}
    return {**fields, **signed_by("dmc"), **changed}


def test_two_people_set_a_gate_and_the_log_names_both(
    active: Installation, witness: WitnessServer, browse: Browse
) -> None:
    manager = browse("manager")
    manager.get("/")
    assert f'href="{PAGE}"' in manager.page
    manager.get(PAGE)
    assert "No witness: two histories for two readers would not show." in manager.words

    manager.post(f"{PAGE}/policy", policy(witness))

    assert manager.answer.status_code == 200
    assert "The witnesses are set." in manager.words
    (entry,) = active.entries("witness.policy")
    assert (entry.actor_id, entry.body["second"]["id"]) == ("p-manager", "p-dmc")
    assert entry.body["quorum"] == 1
    manager.post(f"{PAGE}/collect")
    assert f"{witness.public.name} has confirmed the log as it is now." in manager.words
    size = len(active.entries())
    assert f"Confirmed: {size} of {size} entries" in manager.words
    assert password_of("dmc") not in manager.page


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"mode": "maybe"}, ("mode", 422)),
        ({"quorum": "x"}, ("quorum", 422)),
        ({"quorum": "2"}, ("mode", 409)),
        ({"vkey1": "x"}, ("vkey1", 422)),
        ({"url1": "ftp://x"}, ("url1", 422)),
        ({"vkey2": "x", "url2": "ftp://x"}, ("vkey2", 422)),
        (
            {"vkey3": Witness("w.example.org/3", sign_key("3")).verifier.vkey, "url3": "ftp://x"},
            ("url3", 422),
        ),
        ({"password": "wrong"}, ("password", 422)),
        ({"second": "nobody"}, ("password", 422)),
        (signed_by("manager"), ("second", 422)),
        (signed_by("doc"), ("second", 403)),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_beside_its_field(
    active: Installation,
    witness: WitnessServer,
    browse: Browse,
    changed: dict[str, object],
    wrong: tuple[str, int],
) -> None:
    manager = browse("manager")
    manager.get(PAGE)

    manager.post(f"{PAGE}/policy", {**policy(witness), **changed})

    assert (*manager.errors, manager.answer.status_code) == wrong
    assert not active.entries("witness.policy")
    assert 'type="password" value=""' in manager.page


def test_tries_at_the_second_persons_password_are_few(
    witness: WitnessServer, browse: Browse
) -> None:
    manager = browse("manager")
    manager.get(PAGE)
    for _ in range(6):
        manager.post(f"{PAGE}/policy", policy(witness, password="wrong"))

    assert "tried too often" in manager.errors["password"]


def test_a_second_person_with_a_second_factor_gives_its_code(
    active: Installation, witness: WitnessServer, browse: Browse
) -> None:
    dmc = browse("dmc")
    dmc.get("/account/second-factor")
    dmc.post("/account/second-factor")
    (secret,) = [word for word in dmc.words.split() if len(word) == 32 and word.isupper()]
    code = pyotp.TOTP(secret).at(active.clock.now)
    dmc.post("/account/second-factor/confirm", {"code": code})
    active.clock.advance(minutes=2)
    manager = browse("manager")
    manager.get(PAGE)

    manager.post(f"{PAGE}/policy", policy(witness))
    assert "no code of it was typed" in manager.errors["password_code"]
    manager.post(f"{PAGE}/policy", policy(witness, password_code=code))
    assert "was used already" in manager.errors["password_code"]
    assert not active.entries("witness.policy")
    fresh = pyotp.TOTP(secret).at(active.clock.now)
    manager.post(f"{PAGE}/policy", policy(witness, password_code=fresh))

    assert "The witnesses are set." in manager.words
    assert fresh not in manager.page
    (entry,) = active.entries("witness.policy")
    assert entry.body["second"]["id"] == "p-dmc"


def test_witnesses_are_taken_off_with_what_stood_in_the_form(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    manager = browse("manager")
    manager.get(PAGE)
    assert witness.public.vkey in manager.page

    manager.post(f"{PAGE}/policy", policy(witness, "off", quorum="1"))

    assert gated.state().policy.mode == "off"


def test_the_gate_is_suspended_by_two_and_ended_by_one(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    witness.stop()
    dmc = browse("dmc")
    dmc.get(PAGE)
    fields = {"hours": "2", "code": "power", "reason": "No power there."}

    dmc.post(f"{PAGE}/suspend", {**fields, **signed_by("manager", "-of-gate")})

    told = "The gate is suspended until 2026-03-02 04:00:00 UTC, by p-dmc (dmc, XA01)"
    assert told in dmc.words
    assert "Until 2026-03-02 04:00:00 UTC allocations wait for no witness." in dmc.words
    dmc.get(LOG)
    assert told in dmc.words
    assert gated.allocate().randomization_number == 1
    dmc.get(PAGE)
    dmc.post(f"{PAGE}/resume")
    assert "Allocations wait for the witness again." in dmc.words
    dmc.post(f"{PAGE}/resume")
    assert dmc.answer.status_code == 409


@pytest.mark.parametrize("step", ["policy", "suspend"])
def test_after_the_sessions_end_a_form_goes_on_without_the_second_persons_password(
    gated: Installation, browse: Browse, step: str
) -> None:
    dmc = browse("dmc")
    dmc.get(PAGE)
    fields = {"hours": "2", "code": "power", "reason": "No power there.", "mode": "off"}
    gated.clock.advance(hours=1)
    form = "-of-gate" if step == "suspend" else ""
    dmc.post(f"{PAGE}/{step}", {**fields, **signed_by("manager", form)})
    assert dmc.answer.status_code == 401

    own = {"username": "dmc", "password": password_of("dmc")}
    dmc.post("/sign-in", {**dmc.hidden, **own})

    assert dmc.title == "Go on where you were"
    assert dmc.hidden[f"second{form}"] == "manager"
    assert dmc.hidden["reason"] == "No power there."
    assert not [name for name in dmc.hidden if "password" in name]
    assert password_of("manager") not in dmc.page


@pytest.mark.parametrize(
    ("changed", "fields", "status"),
    [
        ({"hours": "0"}, {"hours"}, 422),
        ({"hours": "x", "code": "A B", "reason": ""}, {"hours", "code", "reason"}, 422),
        (signed_by("dmc", "-of-gate"), {"second-of-gate"}, 422),
        (signed_by("stat", "-of-gate"), {"second-of-gate"}, 403),
    ],
)
def test_what_is_wrong_with_a_suspension_is_said(
    gated: Installation,
    browse: Browse,
    changed: dict[str, object],
    fields: set[str],
    status: int,
) -> None:
    dmc = browse("dmc")
    dmc.get(PAGE)
    good = {"hours": "2", "code": "power", "reason": "No power there."}

    dmc.post(f"{PAGE}/suspend", {**good, **signed_by("manager", "-of-gate"), **changed})

    assert dmc.answer.status_code == status
    assert set(dmc.errors) == fields
    assert not gated.entries("gate.suspended")


def test_a_gate_that_was_taken_off_meanwhile_cannot_be_suspended(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    dmc = browse("dmc")
    dmc.get(PAGE)
    dmc.post(f"{PAGE}/policy", {**policy(witness, "off"), **signed_by("manager")})
    good = {"hours": "2", "code": "power", "reason": "No power there."}

    dmc.post(f"{PAGE}/suspend", {**good, **signed_by("manager", "-of-gate")})

    assert dmc.answer.status_code == 409
    assert gated.state().policy.mode == "off"


def test_a_request_is_downloaded_and_a_response_taken(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    dmc = browse("dmc")
    dmc.get(PAGE)
    token = dmc.token
    dmc.post(f"{PAGE}/request", {"name": witness.public.name})
    request = dmc.answer.get_data()
    assert WitnessDesk(witness.folder).answer(request, lambda: 1_700_000_000).status == 200
    note = witness.note().encode()

    for data, status in ((b"garbage", 422), (note, 200)):
        dmc.get(PAGE)
        file = (BytesIO(data), "response.txt")
        dmc.post(f"{PAGE}/response", {"csrf_token": token, "file": file})
        assert dmc.answer.status_code == status
    assert f"{witness.public.name} has confirmed the log up to entry" in dmc.words
    dmc.post(f"{PAGE}/response")
    assert dmc.answer.status_code == 422
    assert gated.deps.sealer.status(gated.origin).frozen == ""


def test_who_does_not_confirm_is_named(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    assert gated.state().policy.mode == "gate"
    witness.wrap = saying("500 Internal Server Error", b"<b>oops</b>")
    dmc = browse("dmc")
    dmc.get(PAGE)
    dmc.post(f"{PAGE}/collect")

    assert f"{witness.public.name} has not: it refused (500)." in dmc.words


def test_a_physician_at_the_gate_is_told_that_nothing_is_lost(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    draft = gated.enrol()
    witness.stop()
    doc = browse("doc")
    doc.get(f"/enrolments/{draft.id}/check")

    doc.post(
        f"/enrolments/{draft.id}/allocation",
        {"username": "doc", "password": password_of("doc")},
    )

    assert doc.answer.status_code == 503
    assert "This waits for the trial's witness" in doc.words
    assert "Nothing is lost" in doc.words
    assert "Connection refused" in doc.words
    assert f'href="/enrolments/{draft.id}/check"' in doc.page
    assert "call the data monitoring committee or the trial manager" in doc.words
    assert "7Q" not in doc.content
    assert gated.spent() == 1
    witness.start()
    doc.get("/")
    doc.post(f"/enrolments/{draft.id}/allocation/again")
    assert doc.answer.status_code == 200
    assert "7Q" in doc.content
    assert gated.spent() == 1


def test_the_committee_at_the_gate_is_told_nothing_of_a_participant(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    gated.allocate()
    witness.stop()
    dmc = browse("dmc")
    dmc.get(ARMS)

    dmc.post(ARMS, {"purpose": "dmc-meeting-1"})

    assert dmc.answer.status_code == 503
    assert "This waits for the trial's witness" in dmc.words
    assert "What is in the log stays in the log." in dmc.words
    assert "participant" not in dmc.words
    assert "/enrolments/" not in dmc.page


def test_a_suspended_gate_is_told_on_every_page_of_the_committee(
    gated: Installation, witness: WitnessServer, browse: Browse
) -> None:
    witness.stop()
    browsers = [browse("dmc"), browse("doc")]
    people = TwoPeople(gated.people["dmc"], gated.people["manager"])
    witnesses.suspend(gated.deps, people, gated.trial, hours=2, code="down", reason="no power")
    places = [LOG, f"{LOG}/0", f"{LOG}/checks", ARMS, PAGE]
    places += [f"/trials/TEST-SMALL/{page}" for page in ("regenerations", "totals", "ceremonies")]

    for place in places:
        browsers[0].get(place)
        assert "The gate is suspended until" in browsers[0].words, place
        assert "Until then allocations open without the witnesses." in browsers[0].words, place
        assert "No allocation opens before the witnesses" not in browsers[0].words, place
    browsers[1].get(LOG)
    assert "The gate is suspended until" not in browsers[1].words


def test_every_page_of_oversight_says_how_far_the_log_is_confirmed(
    active: Installation, witness: WitnessServer, browse: Browse
) -> None:
    set_gate(active, witness, mode="follow")
    witnesses.collect(active.deps, active.people["dmc"], active.trial)
    active.allocate()
    size = len(active.entries())
    told = f"The witnesses confirm the log later. Confirmed: {size - 1} of {size} entries"
    dmc = browse("dmc")
    for path in (LOG, f"{LOG}/0", f"{LOG}/checks", ARMS, "/trials/TEST-SMALL/regenerations"):
        dmc.get(path)
        assert told in dmc.words, path
    dmc.post(f"{LOG}/checks")
    assert told in dmc.words
    doc = browse("doc")
    doc.get(LOG)
    assert "Confirmed:" not in doc.words


def test_a_log_that_does_not_fold_still_shows_its_pages(
    gated: Installation, browse: Browse
) -> None:
    gated.attack("UPDATE log_entry SET data = :data WHERE seq = 3", data=b"{}")
    dmc = browse("dmc")
    dmc.get(LOG)

    assert dmc.answer.status_code == 200
    assert "cannot be read" in dmc.words
