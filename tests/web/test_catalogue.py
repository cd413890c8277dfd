"""Every string of the pages is in the catalogue, and every page's words go through it."""

import re

from babel.messages.pofile import read_po

from tests.support.catalogue import CATALOGUE, WEB, read_strings

# What stands in a template beside tags and expressions: words that gettext never saw.
_TAGS = re.compile(r"<code>.*?</code>|{#.*?#}|{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)
_WORDS = re.compile(r"[A-Za-z]{3,}")
_NAMES = {"TEST", "alloc", "age", "key"}


def test_the_catalogue_is_that_of_the_templates_and_views() -> None:
    with CATALOGUE.open("rb") as file:
        stored = read_po(file)

    assert {item.id for item in stored} == {item.id for item in read_strings()}
    assert "sealed list {list} (root {root})" in {item.id for item in stored}


def test_placeholders_of_a_string_can_be_filled() -> None:
    with CATALOGUE.open("rb") as file:
        stored = read_po(file)
    assert len(stored) > 200
    for message in read_strings():
        text = str(message.id[0] if isinstance(message.id, tuple) else message.id)
        if "%(" in text:
            names = re.findall(r"%\((\w+)\)s", text)
            assert text % dict.fromkeys(names, "x")


def test_no_template_holds_words_that_no_catalogue_knows() -> None:
    found = {}
    for path in sorted((WEB / "templates").glob("*.html")):
        text = _TAGS.sub(" ", path.read_text("utf-8"))
        text = re.sub(r'aria-[a-z]+="[^"]*"', " ", text)  # a macro that writes into a tag
        if words := set(_WORDS.findall(text)) - _NAMES:
            found[path.name] = sorted(words)

    assert found == {}
