"""What comes from below the pages, in the language of the request: refusals, log entries, tables.

A template or view gives its own strings to gettext. What a service or the log says is an English
text with places to fill; these texts are in the catalogue too, and are looked up here, where they
are shown. A sentence that was put together below, with values in it, stays as it is.
"""

from flask_babel import gettext

from alloc_service.errors import RefusalError


def mark(text: str) -> str:
    """Return a text as it is: it belongs into the catalogue, and `say` looks it up."""
    return text


def say(text: str) -> str:
    """Return a text in the language of the request; itself where the catalogue has it not."""
    return gettext(text) if text else ""  # "" would be the catalogue's own head


def tell(error: RefusalError) -> str:
    """Return what a refusal says."""
    if error.text.format_map(error.facts) != str(error):
        return str(error)
    return say(error.text).format_map(_said(error))


def tell_unlabelled(error: RefusalError) -> str:
    """Return what a refusal says, for a place that names the field already."""
    return tell(error).removeprefix(say(error.label).format_map(_said(error)))


def _said(error: RefusalError) -> dict[str, object]:
    return {
        name: say(fact) if isinstance(fact, str) else fact for name, fact in error.facts.items()
    }
