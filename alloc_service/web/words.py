"""What comes from below the pages, in the language of the request: refusals, log entries, checks.

A template or view gives its own strings to gettext. What is said below the pages is English, and
knows nothing of languages; its texts are collected into the catalogue from where they are written,
with a place for each value, and looked up here, where they are shown. A sentence that comes with
its values filled in is found by the text that it fills.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from flask_babel import get_locale, get_translations, gettext

from alloc_service.errors import RefusalError

_PLACE = re.compile(r"{(\w+)}")


class _Filled(NamedTuple):
    """How a text looks once it is filled, and the text itself."""

    pattern: re.Pattern[str]
    text: str


def mark(text: str) -> str:
    """Return a text as it is: it belongs into the catalogue, and `say` looks it up."""
    return text


def say(text: str) -> str:
    """Return a text in the language of the request; itself where the catalogue has it not."""
    if not text:
        return ""  # gettext would give the catalogue's own head
    told = gettext(text)
    return str(told) if told != text else _say_filled(text)


def tell(error: RefusalError) -> str:
    """Return what a refusal says."""
    if error.text.format_map(error.facts) != str(error):
        return str(error)
    return say(error.text).format_map(_said(error))


def tell_rule(error: RefusalError) -> str:
    """Return which rule was broken, for a form that changed nothing and is there again."""
    rule = say(str(error.facts["rule"]))
    return str(gettext("Nothing was changed: %(rule)s.", rule=rule))


def tell_unlabelled(error: RefusalError) -> str:
    """Return what a refusal says, for a place that names the field already."""
    return tell(error).removeprefix(say(error.label).format_map(_said(error)))


def _said(error: RefusalError) -> dict[str, object]:
    return {
        name: say(fact) if isinstance(fact, str) else fact for name, fact in error.facts.items()
    }


def _say_filled(sentence: str) -> str:
    for known in _texts_of(str(get_locale())):
        if found := known.pattern.fullmatch(sentence):
            values = {name: say(value) for name, value in found.groupdict().items()}
            return str(gettext(known.text).format_map(values))
    return sentence


@cache
def _texts_of(_language: str) -> tuple[_Filled, ...]:
    """Return the catalogue's texts with places, those that say most themselves first."""
    catalogue: Mapping[object, object] = getattr(get_translations(), "_catalog", {})
    texts = (text for text in catalogue if isinstance(text, str) and _PLACE.search(text))
    return tuple(_filled(sorted(texts, key=lambda text: -len(_PLACE.sub("", text)))))


def _filled(texts: Iterable[str]) -> Iterable[_Filled]:
    for text in texts:
        parts, names = _PLACE.split(text)[::2], _PLACE.findall(text)
        if len(set(names)) == len(names):
            places = [f"(?P<{name}>.*)" for name in names] + [""]
            pairs = zip(map(re.escape, parts), places, strict=True)
            yield _Filled(re.compile("".join(part + place for part, place in pairs)), text)
