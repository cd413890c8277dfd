"""Accounts: one person's for ever, opened by their own password alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from alloc_service.errors import (
    AccountError,
    AccountNameError,
    FreeTextError,
    NotAllowedError,
    PasswordChangeDueError,
    PasswordRuleError,
    PersonalIdentifierError,
    RefusalError,
    SealerUnwritableError,
    SelfGrantError,
    WrongPasswordError,
)
from alloc_service.services import accounts, enrolments, reveal
from alloc_service.services.accounts import NewAccount
from alloc_service.storage import queries
from tests.support.installation import Installation, password_of, type_small

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)

NEW = NewAccount("mei", "p-mei", "Dr Mei Lin", "XA01")
UNSPEAKABLE = ["a\0b", "half \ud800 sign", "x" * 10_000, "", "Mei", "mei lin", "méi", "'; --"]


class _Full:
    """What `shutil.disk_usage` says of a full disk."""

    free = 0


def refusal_of(call: Callable[[], object]) -> RefusalError:
    with pytest.raises(RefusalError) as refusal:
        call()
    return refusal.value


# --- signing in -------------------------------------------------------------------------------


def test_user_name_and_password_tell_who_somebody_is(staffed: Installation) -> None:
    person = accounts.authenticate(staffed.deps, "doc", password_of("doc"))

    assert (person.id, person.name, person.organization) == ("p-doc", "Dr doc", "XA01")
    assert person == staffed.people["doc"]


@pytest.mark.parametrize("username", ["nobody", *UNSPEAKABLE])
def test_an_unknown_user_hears_what_a_wrong_password_hears(
    staffed: Installation, username: str
) -> None:
    unknown = refusal_of(lambda: accounts.authenticate(staffed.deps, username, password_of("doc")))
    wrong = refusal_of(lambda: accounts.authenticate(staffed.deps, "doc", "not this password"))

    assert type(unknown) is type(wrong) is WrongPasswordError
    assert (str(unknown), unknown.facts) == (str(wrong), wrong.facts)


@on_sqlite
@pytest.mark.parametrize("password", UNSPEAKABLE)
def test_a_password_that_cannot_be_one_is_a_wrong_one(staffed: Installation, password: str) -> None:
    assert isinstance(
        refusal_of(lambda: accounts.authenticate(staffed.deps, "doc", password)),
        WrongPasswordError,
    )


@on_sqlite
def test_a_disabled_account_hears_what_an_unknown_one_hears(staffed: Installation) -> None:
    accounts.disable_account(staffed.deps, staffed.people["admin"], "doc")

    for password in (password_of("doc"), "not this password"):
        with pytest.raises(WrongPasswordError):
            accounts.authenticate(staffed.deps, "doc", password)
    with pytest.raises(WrongPasswordError):
        accounts.change_password(staffed.deps, "doc", password_of("doc"), "a new long password")


# --- new accounts -----------------------------------------------------------------------------


def test_the_first_administrator_chooses_a_password_at_once(bare: Installation) -> None:
    accounts.create_first_administrator(bare.deps, NEW, password_of("mei"))

    mei = bare.sign_in("mei")
    bare.people["admin"] = mei
    assert bare.add_account("li").id == "p-li"


@on_sqlite
def test_there_is_one_first_administrator(staffed: Installation) -> None:
    with pytest.raises(AccountError, match="there are accounts already"):
        accounts.create_first_administrator(staffed.deps, NEW, password_of("mei"))


def test_a_one_time_password_opens_nothing_but_its_own_change(active: Installation) -> None:
    once = accounts.add_account(active.deps, active.people["admin"], NEW)
    draft = active.enrol()

    with pytest.raises(PasswordChangeDueError, match="alloc user password mei"):
        accounts.authenticate(active.deps, "mei", once)
    with pytest.raises(PasswordChangeDueError):
        reveal.sign(active.deps, "mei", once, draft.id)
    with pytest.raises(PasswordRuleError, match="it is the old one"):
        accounts.change_password(active.deps, "mei", once, once)
    accounts.change_password(active.deps, "mei", once, password_of("mei"))

    assert active.sign_in("mei").id == "p-mei"
    with pytest.raises(WrongPasswordError):
        accounts.authenticate(active.deps, "mei", once)


@on_sqlite
def test_a_one_time_password_is_stored_nowhere_in_clear(staffed: Installation) -> None:
    once = accounts.add_account(staffed.deps, staffed.people["admin"], NEW)
    staffed.deps.database.dispose()

    for path in staffed.home.rglob("*"):
        if path.is_file():
            assert once.encode() not in path.read_bytes(), path


@on_sqlite
@pytest.mark.parametrize("actor", ["stat", "manager", "doc", "dmc", "guest"])
def test_only_an_administrator_makes_resets_and_disables_accounts(
    staffed: Installation, actor: str
) -> None:
    deps, person = staffed.deps, staffed.people[actor]

    with pytest.raises(NotAllowedError):
        accounts.add_account(deps, person, NEW)
    with pytest.raises(NotAllowedError):
        accounts.reset_password(deps, person, "doc2")
    with pytest.raises(NotAllowedError):
        accounts.disable_account(deps, person, "doc2")
    assert staffed.sign_in("doc2").id == "p-doc2"


@on_sqlite
def test_a_user_name_is_never_used_again(staffed: Installation) -> None:
    admin = staffed.people["admin"]
    accounts.disable_account(staffed.deps, admin, "guest")

    for username in ("guest", "doc"):
        with pytest.raises(AccountNameError, match="is or was in use"):
            accounts.add_account(staffed.deps, admin, replace(NEW, username=username))
    with pytest.raises(AccountError, match="it is disabled, for ever"):
        accounts.reset_password(staffed.deps, admin, "guest")
    with pytest.raises(AccountError, match="it is disabled, for ever"):
        accounts.disable_account(staffed.deps, admin, "guest")


@on_sqlite
@pytest.mark.parametrize(
    "change",
    [
        *({"username": name} for name in [*UNSPEAKABLE, "m", "x" * 33, "-mei", ".mei"]),
        *({"person": name} for name in ["", "p mei", "p\0", "x" * 65, "p-梅"]),
        *({"organization": name} for name in ["", "XA 01", "x" * 65]),
        *({"name": name} for name in ["", "   ", "x" * 101, "x" * 10_000]),
    ],
)
def test_a_name_that_breaks_its_rule_makes_no_account(
    staffed: Installation, change: dict[str, str]
) -> None:
    error = refusal_of(
        lambda: accounts.add_account(staffed.deps, staffed.people["admin"], replace(NEW, **change))
    )

    assert isinstance(error, AccountNameError)
    assert len(str(error)) < 200
    assert staffed.ask("SELECT count(*) FROM account WHERE username = 'mei'") == [(0,)]


def test_every_fault_of_a_new_account_is_found_by_its_field() -> None:
    assert accounts.find_faults(NEW) == {}

    found = accounts.find_faults(NewAccount("Mei", "p mei", "", "13812345678"))

    assert {field: type(error) for field, error in found.items()} == {
        "username": AccountNameError,
        "person": AccountNameError,
        "name": AccountNameError,
        "organization": PersonalIdentifierError,
    }
    assert str(found["person"]) == (
        "The new account was refused: person: it must be 1 to 64 of A-Z a-z 0-9 . _ / @ -."
    )
    assert found["person"].unlabelled == "it must be 1 to 64 of A-Z a-z 0-9 . _ / @ -."


@on_sqlite
@pytest.mark.parametrize(
    "change",
    [
        {"username": "13812345678"},
        {"username": "dr.138.1234.5678"},
        {"person": "11010119900307763x"},
        {"person": "p/138_1234_5678"},
        {"organization": "13812345678"},
        {"name": "Mei 138 1234 5678"},
    ],
)
def test_no_name_of_an_account_is_a_personal_identifier(
    staffed: Installation, change: dict[str, str]
) -> None:
    with pytest.raises(PersonalIdentifierError) as refusal:
        accounts.add_account(staffed.deps, staffed.people["admin"], replace(NEW, **change))
    assert "5678" not in str(refusal.value)


@on_sqlite
def test_a_printed_name_holds_no_control_character(staffed: Installation) -> None:
    with pytest.raises(FreeTextError, match="a control character"):
        accounts.add_account(staffed.deps, staffed.people["admin"], replace(NEW, name="Dr\x07 Mei"))


@on_sqlite
def test_the_space_around_a_printed_name_is_dropped(staffed: Installation) -> None:
    admin = staffed.people["admin"]
    once = accounts.add_account(staffed.deps, admin, replace(NEW, name="  Dr 梅 Lin "))
    accounts.change_password(staffed.deps, "mei", once, password_of("mei"))

    assert staffed.sign_in("mei").name == "Dr 梅 Lin"


# --- changing and resetting a password --------------------------------------------------------


def test_a_password_is_changed_by_whoever_knows_the_old_one(staffed: Installation) -> None:
    accounts.change_password(staffed.deps, "doc", password_of("doc"), "a brand new password")

    assert accounts.authenticate(staffed.deps, "doc", "a brand new password").id == "p-doc"
    with pytest.raises(WrongPasswordError):
        staffed.sign_in("doc")
    with pytest.raises(WrongPasswordError):
        accounts.change_password(staffed.deps, "doc", password_of("doc"), "yet another password")


@on_sqlite
def test_a_change_does_not_undo_a_reset_that_came_between(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_new = staffed.deps.passwords.hash_new

    def hash_slowly(new: str, old: str) -> str:
        accounts.reset_password(staffed.deps, staffed.people["admin"], "doc")
        return hash_new(new, old)

    monkeypatch.setattr(staffed.deps.passwords, "hash_new", hash_slowly)
    with pytest.raises(WrongPasswordError):
        accounts.change_password(staffed.deps, "doc", password_of("doc"), "a brand new password")
    with pytest.raises(WrongPasswordError):
        accounts.authenticate(staffed.deps, "doc", "a brand new password")


@on_sqlite
def test_a_change_does_not_bring_a_disabled_account_back(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_new = staffed.deps.passwords.hash_new

    def hash_slowly(new: str, old: str) -> str:
        accounts.disable_account(staffed.deps, staffed.people["admin"], "doc")
        return hash_new(new, old)

    monkeypatch.setattr(staffed.deps.passwords, "hash_new", hash_slowly)
    with pytest.raises(WrongPasswordError):
        accounts.change_password(staffed.deps, "doc", password_of("doc"), "a brand new password")


def test_a_reset_password_is_a_one_time_password_and_is_logged(staffed: Installation) -> None:
    once = accounts.reset_password(staffed.deps, staffed.people["admin"], "doc")

    with pytest.raises(WrongPasswordError):
        staffed.sign_in("doc")
    with pytest.raises(PasswordChangeDueError):
        accounts.authenticate(staffed.deps, "doc", once)
    (entry,) = staffed.entries("user.changed")
    assert entry.body["subject"] == "p-doc"
    assert entry.actor_id == "p-admin"
    assert once not in entry.data.decode()


def test_whoever_is_signed_in_while_the_password_is_reset_is_out(active: Installation) -> None:
    accounts.reset_password(active.deps, active.people["admin"], "doc")

    with pytest.raises(NotAllowedError):
        active.enrol()


def test_a_reset_that_cannot_be_logged_changes_nothing(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Full())
    with pytest.raises(SealerUnwritableError):
        accounts.reset_password(staffed.deps, staffed.people["admin"], "doc")

    assert staffed.sign_in("doc").id == "p-doc"


@on_sqlite
def test_nobody_resets_their_own_password_not_even_through_a_second_account(
    staffed: Installation,
) -> None:
    staffed.add_account("admin2", person="p-admin")

    for username in ("admin", "admin2"):
        with pytest.raises(SelfGrantError):
            accounts.reset_password(staffed.deps, staffed.people["admin"], username)
        assert staffed.sign_in(username).id == "p-admin"


@on_sqlite
def test_a_reset_of_somebody_without_a_role_needs_no_log(staffed: Installation) -> None:
    size = len(staffed.entries())
    once = accounts.reset_password(staffed.deps, staffed.people["admin"], "guest")

    accounts.change_password(staffed.deps, "guest", once, "a brand new password")
    assert len(staffed.entries()) == size


# --- disabling --------------------------------------------------------------------------------


def test_a_disabled_account_is_out_at_once_and_that_is_logged(active: Installation) -> None:
    draft = active.enrol()
    signature = active.sign(draft)
    accounts.disable_account(active.deps, active.people["admin"], "doc")

    with pytest.raises(NotAllowedError):
        reveal.reveal(active.deps, active.people["doc"], draft.id, signature)
    with pytest.raises(NotAllowedError):
        enrolments.amend(active.deps, active.people["doc"], draft.id, type_small())
    (entry,) = active.entries("user.changed")
    assert entry.body["subject"] == "p-doc"
    assert active.spent() == 0


@on_sqlite
def test_an_account_is_disabled_also_where_a_log_cannot_grow(
    staffed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: _Full())
        with pytest.raises(SealerUnwritableError):
            accounts.disable_account(staffed.deps, staffed.people["admin"], "doc")

    with pytest.raises(WrongPasswordError):
        staffed.sign_in("doc")


@on_sqlite
def test_nobody_disables_their_own_account_nor_a_second_one_of_theirs(
    staffed: Installation,
) -> None:
    staffed.add_account("admin2", person="p-admin")

    for username in ("admin", "admin2"):
        with pytest.raises(SelfGrantError):
            accounts.disable_account(staffed.deps, staffed.people["admin"], username)


@on_sqlite
@pytest.mark.parametrize("username", ["nobody", *UNSPEAKABLE])
def test_what_is_done_to_an_unknown_user_is_refused_without_repeating_odd_names(
    staffed: Installation, username: str
) -> None:
    admin = staffed.people["admin"]

    for act in (accounts.reset_password, accounts.disable_account):
        with pytest.raises(AccountError, match="there is no such account") as refusal:
            act(staffed.deps, admin, username)
        assert username == "nobody" or not username or username not in str(refusal.value)
        assert len(str(refusal.value)) < 200


@on_sqlite
def test_a_person_is_found_by_user_name_also_when_disabled(staffed: Installation) -> None:
    accounts.disable_account(staffed.deps, staffed.people["admin"], "doc")

    with staffed.deps.database.read() as session:
        assert accounts.find_person(session, "doc") == staffed.people["doc"]
        assert accounts.find_person(session, "nobody") is None
        assert accounts.find_person(session, "a\0b") is None
        assert queries.read_account(session, staffed.people["doc"].account).disabled_at
