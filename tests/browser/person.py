"""Somebody at a real browser: what they do, and what they see."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

from tests.support.shell import SITE, TRIAL, password_of

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
PARTICIPANTS = f"/trials/{TRIAL}/sites/{SITE}/participants"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Only colours differ in the dark, so only what looks at colours is run again there.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# What axe lets pass: a table that no caption names, a summary of errors that leads nowhere, and
# an error that is told where no summary names it.
_OWN_RULES = """() => [
    ...[...document.querySelectorAll("table")].filter((table) => !table.caption)
        .map((table) => "no caption: " + table.textContent.trim().slice(0, 40)),
    ...[...document.querySelectorAll(".problem a[href^='#']")]
        .filter((link) => !document.getElementById(link.hash.slice(1)))
        .map((link) => "leads nowhere: " + link.hash),
    ...[...document.querySelectorAll("p.error")]
        .filter(() => !document.querySelector(".problem"))
        .map((told) => "in no summary: " + told.textContent),
]"""
RULES = {
    "light": {"type": "tag", "values": TAGS},
    "dark": {"type": "rule", "values": OF_COLOURS},
}
# In the dark it is the same page, into which axe was brought already.
AXES = {"light": Axe(), "dark": Axe("axe.version")}
NUMBERS = {
    "age": ("45", ""),
    "bilirubin": ("3,5", "mg/dL"),
    "albumin": ("25", "g/L"),
    "inr": ("1.9", ""),
    "creatinine": ("1.1", "mg/dL"),
}
CHOICES = {"dialysis": "no", "ascites": "moderate-severe", "encephalopathy": "none"}
CONSENT = date(2020, 1, 2)
YES = ("hbv-cirrhosis", "written-consent")


class Person:
    """Somebody at a browser.

    Attributes:
        page: What they see.
        username: Who they are.
        password: Theirs.
        seen: The pages that were checked for accessibility, with what was found.
    """

    def __init__(self, page: Page, username: str, password: str = "") -> None:
        self.page = page
        self.username = username
        self.password = password or password_of(username)
        self.seen: dict[str, list[str]] = {}

    def sign_in(self) -> None:
        """Sign in, and come to the start page."""
        self.page.goto("/sign-in")
        self.page.fill("#username", self.username)
        self.page.fill("#password", self.password)
        self.press("Sign in")

    def press(self, button: str) -> None:
        """Press a button of the page's content, and come to the page that answers."""
        with self.page.expect_navigation():
            self._find("button", button).click()

    def follow(self, link: str) -> None:
        """Follow a link of the page's content, and come to where it leads."""
        with self.page.expect_navigation():
            self._find("link", link).click()

    def fill(self, fields: Mapping[str, str]) -> None:
        """Type into fields, by their ids."""
        for field, text in fields.items():
            self.page.fill(f"[id='{field}']", text)

    def download(self, button: str) -> tuple[str, bytes]:
        """Press a button that gives a file; return its name and what is in it."""
        with self.page.expect_download() as waiting:
            self._find("button", button).click()
        file = waiting.value
        return file.suggested_filename, Path(file.path()).read_bytes()

    def begin(self, participant: str, consent: date = CONSENT) -> None:
        """Begin an enrolment, and come to the facts."""
        self.page.goto(PARTICIPANTS)
        self.page.get_by_role("link", name="Enrol a participant").click()
        self.page.fill("#participant", participant)
        self.page.fill("#consent_day", f"{consent}")
        self.page.fill("#consent_hour", "09:15")
        self.page.fill("#consent_version", "1")
        self.press("Save and go on")

    def type_facts(self) -> None:
        """Type every fact, and come to the criteria."""
        for code, (value, unit) in NUMBERS.items():
            self.page.fill(f"[id='fact.{code}']", value)
            if unit:
                self.page.select_option(f"[name='unit.{code}']", unit)
        for code, value in CHOICES.items():
            self.page.check(f"[name='fact.{code}'][value='{value}']")
        self.press("Save and go on")

    def answer(self) -> None:
        """Answer every criterion, and come to the check page."""
        for box in self.page.query_selector_all("main input[type=radio]"):
            code = str(box.get_attribute("name")).removeprefix("answer.")
            if box.get_attribute("value") == ("yes" if code in YES else "no"):
                box.check()
        self.press("Save and go on")

    def enrol(self, participant: str, consent: date = CONSENT) -> None:
        """Enrol somebody eligible, up to the check page."""
        self.begin(participant, consent)
        self.type_facts()
        self.answer()

    def type_signature(self) -> None:
        """Type user name and password into the signature."""
        self.page.fill("#username", self.username)
        self.page.fill("#password", self.password)

    def request(self) -> str:
        """Sign and request; return the arm's code that is shown."""
        self.type_signature()
        self.press("Sign and request the allocation")
        return self.arm

    @property
    def words(self) -> str:
        """Return what can be read in the page's content."""
        return self.page.inner_text("main")

    @property
    def heading(self) -> str:
        """Return the page's heading."""
        return self.page.locator("h1").inner_text()

    @property
    def arm(self) -> str:
        """Return the arm's code that is shown."""
        return self.page.locator(".result .code").inner_text()

    @property
    def number(self) -> str:
        """Return the randomization number that is shown."""
        row = self.page.locator("dl.rows > div", has_text="Randomization number")
        return row.locator("dd").inner_text()

    def check_access(self, name: str) -> None:
        """Check the page by axe, in light and in dark, and that it fits a narrow screen."""
        found = list(self.page.evaluate(_OWN_RULES))
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            options = {"runOnly": RULES[scheme], "resultTypes": ["violations"]}
            results = AXES[scheme].run(self.page, options=options)
            found += [
                f"{scheme} {item['id']}: {item['nodes'][0]['html']}"
                for item in results.response["violations"]
            ]
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": 320, "height": 640})
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        if width > 320:
            found.append(f"{width} px wide on a screen of 320")
        if size is not None:
            self.page.set_viewport_size(size)
        self.seen[name] = found

    def _find(self, role: Literal["button", "link"], name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role(role, name=name, exact=True)
