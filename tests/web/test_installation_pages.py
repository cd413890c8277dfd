"""The administrator's pages of the installation: trials, how they stand, and a new one."""

import re
from collections.abc import Callable
from importlib import resources
from io import BytesIO

import pytest

from alloc_service.trial.definition import LARGEST_FILE, SHIPPED
from tests.support.browser import Browser
from tests.support.installation import Installation

SHIPPED_TEXT = resources.files("alloc_service.trial").joinpath(SHIPPED).read_text("utf-8")
# Sizes that stand nowhere else in the file.
MARKED = SHIPPED_TEXT.replace("size = 4,", "size = 118,").replace("size = 6,", "size = 226,")
WITHOUT_DESIGN = SHIPPED_TEXT.partition("\n[design]\n")[0]

Browse = Callable[..., Browser]


@pytest.fixture
def admin(browse: Browse) -> Browser:
    """Return the administrator's browser, at the page of a new trial."""
    browser = browse("admin")
    browser.get("/add-trial")
    return browser


def upload(browser: Browser, data: bytes | str, name: str = "trial.toml", *, test: bool) -> None:
    """Send a file as a browser does; the test client would leave a large one open on the disk."""
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in {
            "csrf_token": browser.token,
            **({"test": "yes"} if test else {}),
        }.items()
    )
    body += (
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    )
    body += (data.encode() if isinstance(data, str) else data) + b"\r\n--x--\r\n"
    browser.post_raw("/add-trial", body, "multipart/form-data; boundary=x")


def trials_of(installation: Installation) -> list[str]:
    return [row[0] for row in installation.ask("SELECT id FROM trial ORDER BY id")]


# --- how it stands ----------------------------------------------------------------------------


def test_the_trials_are_shown_with_their_state_and_their_sealer(
    active: Installation, admin: Browser
) -> None:
    admin.get("/")
    assert 'href="/installation"' in admin.page
    active.change_state("pause")
    admin.get("/installation")

    assert "TEST-SMALL TEST Paused list 1 active Well" in admin.words
    assert "Every trial's log can grow" in admin.words
    assert active.deps.sealer.public_key.hex() in admin.words
    assert "rac.example.org" in admin.words


def test_a_trial_that_stands_still_says_why(
    active: Installation, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 0

    monkeypatch.setattr("shutil.disk_usage", lambda _: Full())
    admin.get("/installation")

    assert admin.answer.status_code == 200
    assert active.trial in admin.words
    assert "A trial stands still" in admin.words
    assert "Stands still: " in admin.words


def test_a_log_that_does_not_fold_stands_still_too(active: Installation, admin: Browser) -> None:
    active.attack("DELETE FROM log_entry WHERE seq = 3")
    admin.get("/installation")

    assert "TEST-SMALL TEST Unknown none Stands still:" in admin.words


# --- a new trial ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [WITHOUT_DESIGN, MARKED], ids=["without design", "with design"])
def test_a_trial_is_created_from_its_definition(
    active: Installation, admin: Browser, text: str
) -> None:
    upload(admin, text, test=False)

    assert admin.title == "Trials"
    assert "The trial NCT01728727 is created; its log has begun." in admin.words
    assert "NCT01728727 Open none Well" in admin.words
    assert trials_of(active) == ["NCT01728727", "TEST-SMALL"]
    ((document,),) = active.ask("SELECT definition FROM trial WHERE id = 'NCT01728727'")
    assert b'"blocks"' not in bytes(document)
    assert not re.search(r"\b(118|226)\b", admin.words)


def test_a_trial_for_testing_says_so_in_its_id(active: Installation, admin: Browser) -> None:
    upload(admin, WITHOUT_DESIGN, test=True)

    assert "The trial TEST-NCT01728727 is created" in admin.words
    assert trials_of(active) == ["TEST-NCT01728727", "TEST-SMALL"]


def test_every_fault_of_the_file_is_told_with_its_place_and_its_rule(
    active: Installation, admin: Browser
) -> None:
    text = MARKED.replace("cap = 240", "cap = 0").replace('format = "rac-trial/1"', "nonsense = 1")
    text = text.replace("size = 118,", "size = 119,")

    upload(admin, text, test=True)

    assert admin.answer.status_code == 422
    assert admin.title.startswith("Error:")
    assert re.fullmatch(r"The file has \d faults\.", admin.errors["file"])
    for told in ("format is missing and must be given", "cap must be at least 1",
                 "nonsense is not a key of this table"):  # fmt: skip
        assert told in admin.words
    assert 'name="test" value="yes" checked' in admin.page
    assert not re.search(r"\b(119|226)\b", admin.words)
    assert trials_of(active) == ["TEST-SMALL"]


def test_a_fault_of_the_design_repeats_no_block_size(active: Installation, admin: Browser) -> None:
    upload(admin, MARKED.replace("size = 118,", "size = 119,"), test=True)

    assert admin.answer.status_code == 422
    assert admin.errors == {"file": "The file has 1 fault."}
    assert "design.blocks[0].size" in admin.words
    assert not re.search(r"\b(119|226|240)\b", admin.words)
    assert trials_of(active) == ["TEST-SMALL"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "must be given"),
        (b"\0" * 100, "is not TOML"),
        (b"\xff\xfe" + SHIPPED_TEXT.encode("utf-16-le"), "must be text in UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "must be smaller than 1 MiB"),
        (b"a = " + b"[" * 5_000, "nests its tables too deeply"),
        ("title = '\u202eabc'".encode(), "format is missing"),
        (b"title = '<script>alert(1)</script>", "is not TOML"),
        (b"title = '{{ 7 * 7 }}", "is not TOML"),
        (b"'<script>alert(1)</script>' = 1", "(a quoted key)"),
        (SHIPPED_TEXT.replace('id = "NCT01728727"', 'id = "{{ 7 * 7 }}"').encode(), "id must be"),
        (SHIPPED_TEXT.replace('id = "NCT01728727"', f'id = "{"x" * 65}"').encode(), "id must be"),
        (SHIPPED_TEXT.replace('id = "NCT01728727"', f'id = "{"x" * 64}"').encode(), "id must be"),
    ],
)
def test_a_file_that_is_no_definition_creates_nothing(
    active: Installation, admin: Browser, data: bytes, told: str
) -> None:
    upload(admin, data, test=True)

    assert admin.answer.status_code == 422
    assert told in admin.words
    assert "<script>alert" not in admin.page
    assert " 49 " not in admin.words
    assert trials_of(active) == ["TEST-SMALL"]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.toml", "../../x\r\n.toml", "\u202e.x"])
def test_the_name_of_the_file_is_shown_nowhere(admin: Browser, name: str) -> None:
    upload(admin, b"cap = 1", name, test=False)

    assert admin.answer.status_code == 422
    assert "script>alert" not in admin.page
    assert "../.." not in admin.page


def test_a_file_larger_than_any_request_may_be_is_not_read(
    active: Installation, admin: Browser
) -> None:
    upload(admin, b"#" * (9 * 2**20), test=False)

    assert admin.answer.status_code == 413
    assert "This is too large" in admin.words
    assert trials_of(active) == ["TEST-SMALL"]


@pytest.mark.parametrize("fields", [{}, {"file": "typed"}, {"file": (BytesIO(b""), "")}])
def test_without_a_file_one_is_asked_for(admin: Browser, fields: dict[str, object]) -> None:
    admin.post("/add-trial", {**fields, "test": "yes"})

    assert admin.answer.status_code == 422
    assert admin.errors == {"file": "Definition: choose its file."}
    assert 'name="test" value="yes" checked' in admin.page


def test_a_trial_is_created_once(active: Installation, admin: Browser) -> None:
    upload(admin, WITHOUT_DESIGN, test=True)
    admin.get("/add-trial")
    upload(admin, WITHOUT_DESIGN, test=True)

    assert admin.answer.status_code == 422
    assert "There is a trial TEST-NCT01728727 already" in admin.errors["file"]
    assert "alloc trial" not in admin.words
    assert trials_of(active) == ["TEST-NCT01728727", "TEST-SMALL"]
