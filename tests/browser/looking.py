"""Looking at page after page for what violates a rule of accessibility."""

from collections.abc import Callable, Mapping

from tests.browser.person import Person
from tests.support.shell import TRIAL

Visit = Callable[[str], Person]

HERE = f"/trials/{TRIAL}"


def look(person: Person, *addresses: str) -> None:
    """Check pages, each under its address."""
    for address in addresses:
        person.page.goto(address)
        person.check_access(address)


def press(person: Person, button: str, name: str, fields: Mapping[str, str] | None = None) -> None:
    """Fill a form, press its button, and check what answers under a name."""
    person.fill(fields or {})
    person.press(button)
    person.check_access(name)


def require_none(person: Person, pages: int) -> None:
    """Require that so many pages were seen, each without a violation."""
    assert {name: found for name, found in person.seen.items() if found} == {}
    assert len(person.seen) == pages
