"""The physician's way: enrol in steps, check, sign, see one allocation; Back and again."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest

from alloc_service.app import build_app
from alloc_service.config import WebSettings
from tests.support.browser import Browser
from tests.support.installation import Installation, password_of, type_shipped

PARTICIPANTS = "/trials/TEST-SMALL/sites/XA01/participants"
ENROL = "/trials/TEST-SMALL/sites/XA01/enrol"
CONSENT = {"consent_day": "2026-03-01", "consent_hour": "09:15", "consent_version": "1"}
FACTS = {"fact.age": "45", "fact.severity": "mild"}
ANSWERS = {"answer.written": "yes", "answer.cancer": "no"}
SIGNED = {"username": "doc", "password": password_of("doc")}
LABELS = ("Sunrise", "Moonset")

Browse = Callable[..., Browser]


def draft(doc: Browser, participant: str = "P-001") -> UUID:
    """Enrol up to the check page; return the enrolment's id."""
    doc.get(ENROL)
    doc.post(ENROL, {"participant": participant, **CONSENT})
    assert doc.title == "Facts", doc.words
    doc.post(doc.answer.request.path, FACTS)
    assert doc.title == "Eligibility", doc.words
    doc.post(doc.answer.request.path, ANSWERS)
    assert doc.title == "Check and sign", doc.words
    return UUID(doc.answer.request.path.split("/")[2])


def request(doc: Browser, enrolment: UUID) -> str:
    """Sign and request; return the arm's label that is shown."""
    doc.post(f"/enrolments/{enrolment}/allocation", SIGNED)
    assert doc.answer.status_code == 200, doc.words
    (label,) = [label for label in LABELS if f'<h1 id="arm">{label}</h1>' in doc.page]
    return label


def test_a_participant_is_enrolled_in_steps_checked_signed_and_allocated(
    active: Installation, doc: Browser
) -> None:
    enrolment = draft(doc)
    assert "severity=mild" in doc.words
    assert active.spent() == 0

    label = request(doc, enrolment)

    (entry,) = active.entries("slot.assigned")
    assert entry.body["enrolment"] == str(enrolment)
    assert doc.title == "Allocation"
    for told in ("P-001, site XA01", "Randomization number 1", "Dr doc (p-doc), physician",
                 "2026-03-02 10:00:00 +08:00 (2026-03-02 02:00:00 UTC)", "1 week 2026-03-09",
                 "I have checked this record"):  # fmt: skip
        assert told in doc.words
    assert label in LABELS


def test_back_reload_and_a_second_press_show_the_same_allocation(
    active: Installation, doc: Browser
) -> None:
    enrolment = draft(doc)
    first = request(doc, enrolment)

    assert request(doc, enrolment) == first  # reload sends the form again
    doc.get(f"/enrolments/{enrolment}/check")  # Back
    assert "It is shown again as it was made, never drawn again" in doc.words
    assert not any(label in doc.page for label in LABELS)
    doc.post(f"/enrolments/{enrolment}/allocation/again")
    assert f'<h1 id="arm">{first}</h1>' in doc.page
    assert len(active.entries("slot.assigned")) == 1
    assert len(active.entries("slot.reread")) == 2


def test_the_arm_is_in_no_address_title_or_header_and_the_page_is_never_kept(
    doc: Browser,
) -> None:
    label = request(doc, draft(doc))

    assert label not in doc.title
    assert label not in str(doc.answer.headers) + doc.answer.request.url
    assert doc.answer.headers["Cache-Control"] == "no-store"
    assert doc.answer.headers["Referrer-Policy"] == "no-referrer"


def test_every_allocation_is_told_in_a_page_of_the_same_length(doc: Browser) -> None:
    lengths, labels = set(), set()
    for number in range(1, 7):
        labels.add(request(doc, draft(doc, f"P-{number:03}")))
        lengths.add(len(doc.answer.data))
        # The length is reckoned on that each of these stands once.
        assert sum(doc.page.count(word) for word in LABELS) == 1
        assert sum(doc.page.count(word) for word in ("SUNRISE-7Q", "MOONSET-7Q")) == 1
        assert sum(doc.page.count(word) for word in ("Get up.", "Lie down.")) == 1

    assert labels == set(LABELS)
    (length,) = lengths
    assert length % 1_024 == 0


def test_a_step_that_is_refused_keeps_what_was_typed_and_names_field_and_rule(
    active: Installation, doc: Browser
) -> None:
    doc.get(ENROL)
    doc.post(ENROL, {**CONSENT, "participant": "Zhang San", "consent_day": "03/01/2026",
                     "consent_version": "7"})  # fmt: skip

    assert doc.answer.status_code == 422
    assert doc.page.startswith("<!doctype html>")
    assert doc.title.startswith("Error:")
    assert doc.errors["participant"].startswith("Participant number: it must be 1-32 of")
    assert doc.errors["consent_day"] == "Date of consent: write it as 2026-03-02."
    assert "version 1" in doc.errors["consent_version"]
    assert 'value="Zhang San"' in doc.page
    assert 'value="03/01/2026"' in doc.page
    assert "There is a problem" in doc.words
    assert active.ask("SELECT count(*) FROM enrolment") == [(0,)]


def test_a_participant_number_is_used_once(doc: Browser) -> None:
    draft(doc)
    doc.get(ENROL)
    doc.post(ENROL, {"participant": "P-001", **CONSENT})

    assert doc.answer.status_code == 422
    assert "P-001" in doc.errors["participant"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("１７", ""),
        ("45,5", "write a whole number"),
        ("1,234", "this can be read in two ways"),
        ("forty", "write a plain number"),
        ("999", "it must be 0 to 120"),
        ("4\x005", ""),
        ("<b>45</b>", ""),
        ("{{ 7 * 7 }}", ""),
        ("\u202e54", ""),
        ("4" * 10_000, "at most 64 characters"),
    ],
)
def test_a_number_is_read_as_people_write_it_or_asked_for_again(
    doc: Browser, typed: str, told: str
) -> None:
    enrolment = draft(doc)

    doc.get(f"/enrolments/{enrolment}/facts")
    doc.post(f"/enrolments/{enrolment}/facts", {**FACTS, "fact.age": typed})

    if typed == "１７":
        assert doc.title == "Eligibility"
        return
    assert doc.answer.status_code == 422
    assert doc.errors["fact.age"].startswith("Age: ")
    assert told in doc.errors["fact.age"]
    assert "<b>45" not in doc.page
    assert 'value="49"' not in doc.page


def test_what_is_wrong_with_facts_is_told_in_the_order_of_the_page(shipped: Installation) -> None:
    app = build_app(shipped.deps, WebSettings(proxies=0, plain_http=True))
    doc = Browser(app.test_client())
    doc.sign_in("doc")
    path = f"/enrolments/{shipped.enrol(type_shipped()).id}/facts"
    doc.get(path)

    doc.post(path, {"fact.inr": "1,234", "fact.creatinine": "none", "fact.age": "forty"})

    fields = ["fact.age", "fact.inr", "fact.creatinine"]
    assert list(doc.errors) == fields
    assert re.findall(r'<li><a href="#([^"]+)"', doc.page) == fields


def test_an_unlikely_value_is_asked_for_and_can_be_confirmed(doc: Browser) -> None:
    enrolment = draft(doc)
    doc.get(f"/enrolments/{enrolment}/facts")

    doc.post(f"/enrolments/{enrolment}/facts", {**FACTS, "fact.age": "90"})
    assert "fact.age" in doc.errors
    assert 'name="confirm" value="age"' in doc.page
    doc.post(f"/enrolments/{enrolment}/facts", {**FACTS, "fact.age": "90", "confirm": "age"})

    assert doc.title == "Eligibility"
    doc.get(f"/enrolments/{enrolment}/check")
    assert "90 years (unlikely, and confirmed)" in doc.words


def test_an_ineligible_participant_is_told_so_and_can_not_be_signed_for(doc: Browser) -> None:
    enrolment = draft(doc)
    doc.get(f"/enrolments/{enrolment}/eligibility")
    doc.post(f"/enrolments/{enrolment}/eligibility", {**ANSWERS, "answer.cancer": "yes"})

    assert "This record cannot be allocated as it stands" in doc.words
    assert "Not satisfied: cancer" in doc.words
    assert "Sign and request" not in doc.words


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"username": "doc", "password": "not my long password"}, "is wrong"),
        ({"username": "nobody", "password": "not my long password"}, "is wrong"),
        ({"username": "", "password": ""}, "is wrong"),
    ],
)
def test_without_the_right_password_nothing_is_signed(
    active: Installation, doc: Browser, fields: dict[str, str], told: str
) -> None:
    enrolment = draft(doc)

    doc.post(f"/enrolments/{enrolment}/allocation", fields)

    assert doc.answer.status_code == 403
    assert told in doc.errors["password"]
    assert fields["password"] not in doc.page or not fields["password"]
    assert active.spent() == 0


def test_another_one_s_signature_is_refused(active: Installation, doc: Browser) -> None:
    active.add_account("twin", "p-twin")
    enrolment = draft(doc)

    doc.post(
        f"/enrolments/{enrolment}/allocation",
        {"username": "twin", "password": password_of("twin")},
    )

    assert doc.answer.status_code == 403
    assert "signature is of another person" in doc.words
    assert active.spent() == 0


def test_a_paused_trial_refuses_and_says_nothing_of_slots(
    active: Installation, doc: Browser
) -> None:
    enrolment = draft(doc)
    active.change_state("pause")

    doc.post(f"/enrolments/{enrolment}/allocation", SIGNED)

    assert doc.answer.status_code == 409
    assert "slot" not in doc.words.replace("no slot is spent", "").replace("No slot", "")
    assert active.spent() == 0


def test_a_record_that_was_signed_has_no_change_links_any_more(doc: Browser) -> None:
    enrolment = draft(doc)
    request(doc, enrolment)

    for step in ("consent", "facts", "eligibility"):
        doc.get(f"/enrolments/{enrolment}/{step}")
        assert doc.answer.request.path == f"/enrolments/{enrolment}/check"
        assert ">Change<" not in doc.page


def test_the_list_shows_status_and_next_visit_and_finds_by_number(doc: Browser) -> None:
    request(doc, draft(doc, "P-001"))
    draft(doc, "Q-002")

    doc.get(PARTICIPANTS)
    assert "P-001 Allocated 2026-03-02 1 week, 2026-03-09" in doc.words
    assert "Q-002 Draft" in doc.words
    doc.get(f"{PARTICIPANTS}?q=q-0")
    assert "P-001" not in doc.words
    doc.get(f"{PARTICIPANTS}?q=<script>")
    assert "<script>”" not in doc.page
    assert not any(label in doc.page for label in LABELS)


def test_the_receipt_comes_as_a_file_and_names_no_arm(active: Installation, doc: Browser) -> None:
    enrolment = draft(doc)
    label = request(doc, enrolment)

    answer = doc.client.post(f"/enrolments/{enrolment}/receipt", data={"csrf_token": doc.token})

    assert answer.headers["Content-Disposition"] == "attachment; filename=P-001.receipt"
    text = answer.get_data(as_text=True)
    assert active.origin in text
    assert label not in text
    assert re.search(r"^index \d+$", text, re.MULTILINE)
    assert active.entries("slot.reread") == []


def test_a_receipt_of_a_draft_is_refused(doc: Browser) -> None:
    enrolment = draft(doc)

    doc.post(f"/enrolments/{enrolment}/receipt")

    assert doc.answer.status_code == 409


def test_a_physician_of_another_site_sees_none_of_it(doc: Browser, browse: Browse) -> None:
    enrolment = draft(doc)
    far = browse("far")

    for path in (PARTICIPANTS, f"/enrolments/{enrolment}/check"):
        far.get(path)
        assert far.answer.status_code == 403
        assert "P-001" not in far.words


def test_a_participant_who_is_not_there_is_told_as_a_page_that_is_not(doc: Browser) -> None:
    doc.get(f"/enrolments/{UUID(int=9)}/check")

    assert doc.answer.status_code == 404
    assert f"There is no enrolment {UUID(int=9)}. Look at the address" in doc.words


def test_a_signing_whose_answer_is_lost_is_shown_again(active: Installation, doc: Browser) -> None:
    enrolment = draft(doc)
    answer = doc.client.post(
        f"/enrolments/{enrolment}/allocation", data={"csrf_token": doc.token, **SIGNED}
    )
    assert answer.status_code == 200

    doc.get(f"/enrolments/{enrolment}/check")
    assert "This participant has an allocation" in doc.words
    assert active.spent() == 1


def test_a_form_after_the_session_s_end_goes_on_with_what_was_typed(
    active: Installation, doc: Browser
) -> None:
    doc.get(ENROL)
    active.clock.advance(hours=1)

    doc.post(ENROL, {"participant": "P-009", **CONSENT})
    assert doc.answer.status_code == 401
    assert doc.title == "Sign in"
    doc.post("/sign-in", {**doc.hidden, **SIGNED})
    assert doc.title == "Go on where you were"
    doc.post(ENROL, doc.hidden)

    assert doc.title == "Facts"
    assert active.ask("SELECT participant FROM enrolment") == [("P-009",)]


def test_a_kept_form_is_never_given_to_somebody_else_and_holds_no_password(
    active: Installation, doc: Browser
) -> None:
    enrolment = draft(doc)
    active.clock.advance(hours=1)
    doc.post(f"/enrolments/{enrolment}/allocation", SIGNED)
    assert doc.answer.status_code == 401
    assert password_of("doc") not in doc.page
    kept = doc.hidden

    doc.post("/sign-in", {**kept, "username": "dmc", "password": password_of("dmc")})

    assert doc.title == "Start"
    assert active.spent() == 0
