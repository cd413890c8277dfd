"""Every page in every state: no violation of WCAG 2.2 A and AA that axe finds, 320 px wide."""

from collections.abc import Callable

from tests.browser.person import PARTICIPANTS, Person

Open = Callable[..., Person]


def test_no_page_of_the_physician_s_way_violates_a_rule(open_browser: Open) -> None:
    person = open_browser()
    page = person.page
    page.goto("/sign-in")
    person.check_access("sign in")
    page.fill("#username", "doc")
    page.fill("#password", "wrong wrong wrong")
    person.press("Sign in")
    person.check_access("sign in, refused")
    person.sign_in()
    person.check_access("start")
    page.goto(PARTICIPANTS)
    person.check_access("no participants")
    page.get_by_role("link", name="Enrol a participant").click()
    person.check_access("consent")
    person.press("Save and go on")
    person.check_access("consent, refused")
    person.begin("P-001")
    person.check_access("facts")
    page.fill("[id='fact.bilirubin']", "70")
    page.select_option("[name='unit.bilirubin']", "mg/dL")
    page.fill("[id='fact.age']", "forty")
    person.press("Save and go on")
    person.check_access("facts, refused")
    person.begin("P-002")
    person.type_facts()
    person.check_access("eligibility")
    person.press("Save and go on")
    person.check_access("check, not eligible")
    page.goto(page.url.replace("/check", "/eligibility"))
    person.answer()
    person.check_access("check")
    page.fill("#username", "doc")
    page.fill("#password", "wrong wrong wrong")
    person.press("Sign and request the allocation")
    person.check_access("check, refused")
    person.request()
    person.check_access("allocation")
    page.emulate_media(media="print")
    person.check_access("allocation, in print")
    page.emulate_media(media="screen")
    page.goto(PARTICIPANTS)
    person.check_access("participants")
    page.get_by_role("link", name="P-002").click()
    person.check_access("check, allocated")
    for address in ("/account", "/help", "/nothing-here", "/enrolments/" + "0" * 32 + "/check"):
        page.goto(address)
        person.check_access(address)

    assert {name: found for name, found in person.seen.items() if found} == {}
    assert len(person.seen) == 20


def test_the_offset_in_the_hour_of_a_change_of_the_clock_violates_no_rule(doc: Person) -> None:
    doc.begin("P-001")
    doc.page.go_back()
    doc.fill({"consent_day": "1988-09-11", "consent_hour": "01:30"})
    doc.press("Save and go on")

    assert doc.page.locator("#consent_offset").is_visible()
    doc.check_access("consent, offset")
    assert doc.seen["consent, offset"] == []


def test_a_page_that_violates_rules_is_found_out(open_browser: Open) -> None:
    person = open_browser()
    person.page.set_content(
        '<p style="color: #ccc; width: 900px">pale<img src="x.png"></p>'
        '<table><tr><td>1</table><p class="error">wrong</p>'
    )

    person.check_access("bad")

    person.page.set_content('<section class="problem"><a href="#gone">wrong</a></section>')
    person.check_access("bad link")

    rules = " ".join(person.seen["bad"])
    assert "leads nowhere: #gone" in person.seen["bad link"]
    assert all(
        rule in rules
        for rule in (
            "dark color-contrast",
            "image-alt",
            "document-title",
            "320",
            "no caption",
            "no summary",
        )
    )
