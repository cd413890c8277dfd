"""The statistician's pages: weigh a design, generate, import, approve another's, read a design."""

import io
import re
from collections.abc import Callable

import pytest

from alloc_service.core.generate import generate as generate_list
from alloc_service.core.seed import Seed
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.package import seal_list, write_package
from tests.support.browser import Browser
from tests.support.installation import Installation, password_of
from tests.support.pages import browse_as

LISTS = "/trials/TEST-SMALL/lists"
DESIGN = {"number": "1", "slots": "6", "size1": "2", "weight1": "1", "size2": "4", "weight2": "1"}

Browse = Callable[..., Browser]


@pytest.fixture
def staffed(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial without any list."""
    return open_stage("staffed")


@pytest.fixture
def sealed(open_stage: Callable[..., Installation]) -> Installation:
    """Return the small trial with a list that nobody has approved."""
    return open_stage("sealed")


def custodians(installation: Installation) -> dict[str, str]:
    named = enumerate(sorted(installation.custodians.items()), start=1)
    return {
        f"{what}{at}": text
        for at, (name, key) in named
        for what, text in (("name", name), ("key", key))
    }


def root_of_page(browser: Browser) -> str:
    (root,) = set(re.findall(r"\b[0-9a-f]{64}\b", browser.words))
    return str(root)


def test_a_design_is_weighed_before_anything_is_generated(staffed: Installation) -> None:
    stat = browse_as(staffed, "stat")
    stat.get(f"{LISTS}/new")
    before = staffed.entries()

    stat.post(f"{LISTS}/new", DESIGN)

    assert stat.answer.status_code == 200
    for told in ("Guessed right in the long run", "Known for certain", "(exact)", "Slots 12"):
        assert told in stat.words
    assert stat.page.count("<svg") == 2
    assert stat.page.count('role="img"') == 2
    assert " style=" not in stat.page
    assert "<style" not in stat.page
    assert staffed.entries() == before
    ids = re.findall(r' id="([^"]+)"', stat.page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"size1": "3"}, "size1", "multiple"),
        ({"size1": "0"}, "size1", "whole number"),
        ({"size1": "2.5"}, "size1", "whole number"),
        ({"weight1": ""}, "weight1", "Weight 1: write a whole number"),
        ({"slots": "x" * 10_000}, "slots", "whole number"),
        ({"slots": "9999999"}, "slots", "whole number"),
        ({"slots": "４"}, "slots", "whole number"),
        ({"number": "\x00"}, "number", "List number"),
        ({"size1": "", "weight1": "", "size2": "", "weight2": ""}, "size1", ""),
        ({"size2": "2"}, "size1", ""),
        ({"size1": "{{ 7 * 7 }}"}, "size1", "whole number"),
    ],
)
def test_a_design_that_breaks_a_rule_names_the_field_and_keeps_the_rest(
    staffed: Installation, change: dict[str, str], field: str, told: str
) -> None:
    stat = browse_as(staffed, "stat")
    stat.get(f"{LISTS}/new")

    stat.post(f"{LISTS}/new", {**DESIGN, **change})

    assert stat.answer.status_code == 422
    assert told in stat.errors[field]
    assert "49" not in stat.errors[field]
    if "slots" not in change:
        assert 'name="slots" type="text" value="6"' in stat.page


def test_a_list_is_generated_sealed_and_its_seed_goes_to_the_custodians_alone(
    staffed: Installation,
) -> None:
    stat = browse_as(staffed, "stat")
    stat.get(f"{LISTS}/new")

    stat.post(f"{LISTS}/generate", {**DESIGN, **custodians(staffed)})

    assert stat.title == "The list is sealed"
    (entry,) = staffed.entries("list.sealed")
    assert root_of_page(stat) == entry.body["root"]
    name = "seed.archive+dmc.age"
    answer = stat.client.post(f"{LISTS}/1/escrow/{name}", data={"csrf_token": stat.token})
    assert answer.headers["Content-Disposition"].startswith("attachment")
    opened = open_escrow(
        answer.data, staffed.identities["archive"], staffed.identities["dmc"], name
    )
    assert opened.seed.digits not in stat.page


@pytest.mark.parametrize(
    "change",
    [
        {"name2": "archive"},
        {"key1": "age1nonsense"},
        {"key1": ""},
        {"name1": ""},
        {"name1": "Zhang San <b>"},
    ],
)
def test_custodians_that_cannot_be_are_refused_and_nothing_is_generated(
    staffed: Installation, change: dict[str, str]
) -> None:
    stat = browse_as(staffed, "stat")
    stat.get(f"{LISTS}/new")

    stat.post(f"{LISTS}/generate", {**DESIGN, **custodians(staffed), **change})

    assert stat.answer.status_code == 422
    assert "name1" in stat.errors
    assert "<b>" not in stat.page
    assert staffed.entries("list.sealed", "design.frozen") == []


def test_a_list_that_was_made_offline_is_imported(staffed: Installation) -> None:
    stat = browse_as(staffed, "stat")
    design = staffed.definition.design(1)
    made = seal_list(
        generate_list(design, Seed.fresh()), staffed.deps.sealer.public_key, staffed.origin
    )
    path = staffed.home / "list.package"
    write_package(made, path)
    stat.get(LISTS)

    stat.post(f"{LISTS}/import", {"package": (io.BytesIO(path.read_bytes()), "list.package")})

    assert stat.title == "The list is sealed"
    assert root_of_page(stat) == made.root == staffed.entries("list.sealed")[0].body["root"]


@pytest.mark.parametrize("data", [b"", b"no package", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_package_is_refused(staffed: Installation, data: bytes) -> None:
    stat = browse_as(staffed, "stat")
    stat.get(LISTS)

    stat.post(f"{LISTS}/import", {"package": (io.BytesIO(data), "list.package")})

    assert stat.answer.status_code == 422
    assert "package" in stat.errors
    assert staffed.entries("list.sealed") == []


def test_another_statistician_approves_by_the_root_that_they_regenerated(
    sealed: Installation,
) -> None:
    second = browse_as(sealed, "second")
    second.get(LISTS)
    root = root_of_page(second)
    signed = {"username": "second", "password": password_of("second")}

    second.post(f"{LISTS}/1/approve", {**signed, "root": "0" * 64})
    assert second.answer.status_code == 422
    assert "not the sealed one" in second.errors["root-1"]
    second.post(f"{LISTS}/1/approve", {**signed, "root": root, "unchecked": "yes"})
    assert second.answer.status_code == 422
    second.post(f"{LISTS}/1/approve", {**signed, "password": "wrong wrong wrong", "root": root})
    assert second.answer.status_code == 403
    assert sealed.entries("list.approved") == []
    second.post(f"{LISTS}/1/approve", {**signed, "root": root})

    (entry,) = sealed.entries("list.approved")
    assert entry.body["root_checked"] is True
    assert "Root regenerated before approval yes" in second.words


def test_an_approval_without_a_regeneration_says_so(sealed: Installation) -> None:
    second = browse_as(sealed, "second")
    second.get(LISTS)

    second.post(
        f"{LISTS}/1/approve",
        {"username": "second", "password": password_of("second"), "unchecked": "yes"},
    )

    assert sealed.entries("list.approved")[0].body["root_checked"] is False
    assert "root_checked is false" in second.words


def test_nobody_approves_the_own_list_or_with_another_one_s_password(
    sealed: Installation,
) -> None:
    stat = browse_as(sealed, "stat")
    stat.get(LISTS)
    assert "Approve list 1" not in stat.words
    own = {"username": "stat", "password": password_of("stat"), "unchecked": "yes"}
    stat.post(f"{LISTS}/1/approve", own)
    assert stat.answer.status_code == 409
    stat.get(LISTS)
    stat.post(f"{LISTS}/1/approve", {**own, "username": "second",
                                     "password": password_of("second")})  # fmt: skip
    assert stat.answer.status_code == 403
    assert sealed.entries("list.approved") == []


def test_the_restricted_design_is_shown_after_the_look_is_logged(sealed: Installation) -> None:
    stat = browse_as(sealed, "stat")
    stat.get(LISTS)
    assert "Block of" not in stat.words

    stat.post(f"{LISTS}/1/design")

    assert "Block of 2 weight 1" in stat.words
    assert len(sealed.entries("design.read")) == 1


def test_the_escrow_s_files_go_once_two_people_could_open_them(sealed: Installation) -> None:
    for name, told in (("stat", "One more person has to say so"), ("second", "no longer kept")):
        browser = browse_as(sealed, name)
        browser.get(LISTS)
        assert "Download seed.archive+dmc.age" in browser.words
        browser.post(f"{LISTS}/1/escrow-opened")
        assert told in browser.words
    browser.get(LISTS)

    assert "Download seed" not in browser.words


def test_an_escrow_file_that_is_not_kept_is_not_found(sealed: Installation) -> None:
    stat = browse_as(sealed, "stat")
    stat.get(LISTS)

    for path in (
        f"{LISTS}/1/escrow/seed.age",
        f"{LISTS}/1/escrow/..%2fkeys",
        f"{LISTS}/77/escrow/x",
    ):
        stat.get(LISTS)
        assert stat.post(path).status_code == 404
