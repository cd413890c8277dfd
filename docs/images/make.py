"""Make the pictures of the pages, of a trial for testing that is made for them: `make images`.

Nothing is drawn by hand: `alloc quickstart` makes and serves the trial, a browser goes each role's
way, and what it shows is kept. A picture holds what fits a screen; each is small enough to stand
in a repository.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

from alloc_service.services.deps import system_clock
from tests.browser.person import CHROMIUM, Person

HERE = Path(__file__).parent
TRIAL = "/trials/TEST-NCT01728727"
WIDTH, HEIGHT, MARGIN = 1000, 760, 24
LARGEST = 150_000
PATIENCE = 60
PARTICIPANT = "S-100"
DESIGN = {"slots": "240", "size1": "4", "weight1": "1", "size2": "6", "weight2": "1"}

_ACCOUNT = re.compile(r"  (\S+) +\S+ +(\S{20,})\n")
_SERVED = re.compile(r"The pages are at (http://\S+)")

Visit = Callable[[str], Person]


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Make and serve a trial for testing; return where it is, and the passwords."""
    command = [sys.executable, "-m", "alloc_service.cli", "quickstart", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        said = ""
        while process.stdout and (line := process.stdout.readline()):
            said += line
            if served := _SERVED.search(line):
                break
        else:
            raise SystemExit("alloc quickstart has ended before it served its pages")
        try:
            wait_for(served[1])
            yield served[1], dict(_ACCOUNT.findall(said))
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    """Wait until a server answers that said where it would be."""
    for _ in range(PATIENCE * 10):
        try:
            with urlopen(f"{url}/healthz"):  # noqa: S310  our own server
                return
        except URLError:
            time.sleep(0.1)
    raise SystemExit(f"no page is served at {url}")


def keep(person: Person, name: str, top: str = "", height: int = HEIGHT) -> None:
    """Keep what is shown as a picture, from the element that a selector names on."""
    person.page.set_viewport_size({"width": WIDTH, "height": height})
    # Where the pointer or the focus is belongs to no picture.
    person.page.evaluate("document.activeElement.blur()")
    person.page.mouse.move(0, 0)
    if top:
        y = person.page.locator(top).first.evaluate("it => it.getBoundingClientRect().top")
        person.page.evaluate(f"scrollBy(0, {y} - {MARGIN})")
    path = HERE / f"{name}.png"
    person.page.screenshot(path=path)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path.name} is larger than {LARGEST:,} bytes")


def show_physician(visit: Visit) -> None:
    """Keep a site's participants, the check page and the allocation."""
    person = visit("li.na")
    person.follow("Participants of site XA01")
    keep(person, "participants")
    person.enrol(PARTICIPANT, (system_clock() - timedelta(days=1)).date())
    keep(person, "check", "h2:has-text('Stratum')")
    person.request()
    keep(person, "allocation")


def show_statistician(visit: Visit) -> None:
    """Keep what a design does."""
    person = visit("chen.yu")
    person.follow("Lists")
    person.follow("Design a new list")
    person.fill(DESIGN)
    person.press("See what this design does")
    keep(person, "design", "h2:has-text('What this design does')", height=1080)


def show_committee(visit: Visit) -> None:
    """Keep the log and its verification."""
    person = visit("dmc.chair")
    person.follow("Audit log")
    keep(person, "log")
    person.page.goto(f"{TRIAL}/log/checks")
    person.press("Verify now")
    keep(person, "verification")


def make(browser: Browser, home: Path) -> None:
    """Make every picture."""
    with serving(home) as (url, passwords):

        def visit(username: str) -> Person:
            context = browser.new_context(
                base_url=url, viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light"
            )
            person = Person(context.new_page(), username, passwords[username])
            person.sign_in()
            return person

        for show in (show_physician, show_statistician, show_committee):
            show(visit)


def main() -> None:
    """Make every picture in a browser of this machine."""
    if CHROMIUM is None:
        raise SystemExit("No Chromium is installed: Debian's chromium-headless-shell does.")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        make(browser, Path(folder) / "home")
        browser.close()


main()
