"""Another language is a catalogue and nothing else; here it puts brackets around each string."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask

from alloc_service.web.words import say
from tests.support.browser import Browser
from tests.support.catalogue import read_strings
from tests.support.installation import Installation

Browse = Callable[..., Browser]
LANGUAGE = "eo"
_TEXTS = re.compile(r">([^<>]+)<")
_WORD = re.compile(r"[A-Za-z]{3,}")


def bracketed(text: str) -> str:
    return f"‹{text}›"


@pytest.fixture
def speaking(app: Flask, tmp_path: Path) -> Flask:
    catalogue = Catalog(locale=LANGUAGE)
    for message in read_strings():
        if isinstance(message.id, tuple):
            catalogue.add(message.id, tuple(bracketed(text) for text in message.id))
        elif message.id:
            catalogue.add(message.id, bracketed(str(message.id)))
    folder = tmp_path / LANGUAGE / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    babel = app.extensions["babel"]
    babel.translation_directories.append(str(tmp_path))
    babel.locale_selector = lambda: LANGUAGE
    return app


def unknown(page: str) -> list[str]:
    """Return the texts of a page that are in no bracket, and have words."""
    body = re.sub(r"<(code|script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    found = []
    depth = 0
    for text in _TEXTS.findall(body):
        outside = ""
        for char in text:
            depth += (char == "‹") - (char == "›")
            outside += char if depth == 0 else ""
        if _WORD.search(outside.replace("›", "")):
            found.append(text.strip())
    return found


@pytest.mark.usefixtures("speaking")
def test_a_page_says_its_language(browse: Browse) -> None:
    browser = browse()
    browser.get("/sign-in")

    assert f'<html lang="{LANGUAGE}">' in browser.page
    assert unknown(browser.page) == []


@pytest.mark.usefixtures("speaking")
def test_refusals_are_told_in_it(browse: Browse) -> None:
    browser = browse()
    browser.sign_in("doc", "wrong password, once")
    assert unknown(browser.page) == []
    assert "‹The user name or the password is wrong." in browser.words

    browser.get("/nowhere")
    assert unknown(browser.page) == []

    manager = browse("manager")
    manager.get("/users")
    assert unknown(manager.content) == ["Dr manager"]


@pytest.mark.usefixtures("speaking")
def test_a_refusal_with_values_is_filled_after_it_was_looked_up(
    browse: Browse, active: Installation
) -> None:
    active.allocate("P-001")
    browser = browse("doc")
    browser.get(f"/trials/{active.trial}/sites/XA01/enrol")
    consent = {"consent_day": "2026-01-01", "consent_hour": "09:00", "consent_version": "1"}
    browser.post(f"/trials/{active.trial}/sites/XA01/enrol", {"participant": "P-001", **consent})
    told = browser.errors["participant"]

    assert told.startswith("‹")
    assert told.endswith("›")
    assert "P-001" in told


@pytest.mark.usefixtures("speaking")
def test_the_sentences_of_the_log_are_told_in_it(browse: Browse, active: Installation) -> None:
    browser = browse("dmc")
    browser.get(f"/trials/{active.trial}/log")

    assert "‹activated list 1›" in browser.words
    assert "‹sealed list 1 (root " in browser.words
    assert "‹Data monitoring committee›" in browse("dmc").get("/help").get_data(as_text=True)


@pytest.mark.usefixtures("speaking")
def test_a_sentence_that_comes_with_its_values_is_found_by_the_text_that_it_fills(
    browse: Browse, active: Installation
) -> None:
    doc = browse("doc")
    doc.get(f"/trials/{active.trial}/sites/XA01/enrol")
    consent = {"consent_day": "2026-01-01", "consent_hour": "09:00", "consent_version": "9"}
    doc.post(f"/trials/{active.trial}/sites/XA01/enrol", {"participant": "P-1", **consent})
    told = doc.errors["consent_version"]
    assert told.startswith("‹Version of the form›: ‹")
    assert told.count("‹") == told.count("›")

    doc.post(
        f"/trials/{active.trial}/sites/XA01/enrol",
        {"participant": "P-1", **consent, "consent_version": "1"},
    )
    doc.post(doc.answer.request.path, {"fact.age": "4500", "fact.severity": "none"})
    assert "‹it must be " in doc.errors["fact.age"]

    dmc = browse("dmc")
    dmc.get(f"/trials/{active.trial}/log/checks")
    dmc.post(f"/trials/{active.trial}/log/checks")
    assert "‹checkpoints›" in dmc.words or "‹file›" in dmc.words or "are signed›" in dmc.words
    assert "entries keep the rules, " in dmc.words


def test_what_no_text_fills_stays_as_it_is(speaking: Flask) -> None:
    with speaking.test_request_context():
        assert say("nothing of ours") == "nothing of ours"
        assert say("") == ""
        assert say("a hash is not 32 bytes long") == "‹a hash is not 32 bytes long›"
