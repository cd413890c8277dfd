"""Who may do what: the whole table, sites, and the roles that exclude each other."""

from itertools import permutations, product

import pytest

from alloc_service.errors import AccessError, DisjointRolesError, NotAllowedError
from alloc_service.permissions import (
    ALLOWED,
    AT_A_SITE,
    DISJOINT,
    Action,
    Actor,
    Grant,
    Role,
    require_disjoint,
)

PHYSICIAN, STATISTICIAN, SECOND = Role.PHYSICIAN, Role.STATISTICIAN, Role.SECOND_STATISTICIAN
DMC, MANAGER, ADMINISTRATOR = Role.DMC, Role.MANAGER, Role.ADMINISTRATOR

# Written out once more on purpose: a role that gains an action must change two files.
TABLE: dict[Action, set[Role]] = {
    Action.CREATE_TRIAL: {ADMINISTRATOR},
    Action.CHANGE_TRIAL_STATE: {MANAGER},
    Action.CHANGE_SITE_STATE: {MANAGER},
    Action.GENERATE_LIST: {STATISTICIAN},
    Action.JOIN_CEREMONY: {STATISTICIAN, SECOND, DMC, MANAGER},
    Action.READ_CEREMONY: {STATISTICIAN, SECOND, DMC, MANAGER, ADMINISTRATOR},
    Action.APPROVE_LIST: {STATISTICIAN, SECOND},
    Action.ACTIVATE_LIST: {MANAGER},
    Action.READ_DESIGN: {STATISTICIAN, SECOND},
    Action.ENROL: {PHYSICIAN},
    Action.REQUEST_ALLOCATION: {PHYSICIAN},
    Action.READ_ARMS: {STATISTICIAN, SECOND, DMC},
    Action.READ_LOG: {STATISTICIAN, SECOND, DMC, ADMINISTRATOR},
    Action.READ_OWN_ENTRIES: {PHYSICIAN, STATISTICIAN, SECOND, DMC, ADMINISTRATOR},
    Action.READ_TOTALS: {STATISTICIAN, SECOND, DMC, ADMINISTRATOR, MANAGER},
    Action.CHANGE_USERS: {ADMINISTRATOR},
    Action.LOG_DRILL: {STATISTICIAN, SECOND, DMC, ADMINISTRATOR, MANAGER},
    Action.RECOVER: {ADMINISTRATOR, MANAGER, DMC},
    Action.CHANGE_WITNESSES: {ADMINISTRATOR, MANAGER, DMC},
    Action.ROTATE_KEYS: {ADMINISTRATOR},
    Action.CORRECT_CLOCK: {ADMINISTRATOR},
    Action.BACK_UP: {ADMINISTRATOR},
}
EXCLUDING = {
    frozenset({STATISTICIAN, PHYSICIAN}),
    frozenset({SECOND, PHYSICIAN}),
    frozenset({STATISTICIAN, ADMINISTRATOR}),
    frozenset({SECOND, ADMINISTRATOR}),
    frozenset({PHYSICIAN, ADMINISTRATOR}),
    frozenset({PHYSICIAN, DMC}),
    frozenset({ADMINISTRATOR, DMC}),
}


def actor_with(*grants: Grant) -> Actor:
    return Actor("u1", "XA01", grants)


def grant_of(role: Role, site: str = "XA01") -> Grant:
    return Grant(role, site if role in AT_A_SITE else "")


def test_every_action_stands_in_the_table() -> None:
    assert set(ALLOWED) == set(Action) == set(TABLE)


@pytest.mark.parametrize(("action", "role"), list(product(Action, Role)))
def test_a_role_may_do_what_the_table_says_and_nothing_else(action: Action, role: Role) -> None:
    actor = actor_with(grant_of(role))

    if role in TABLE[action]:
        assert actor.role_for(action, "XA01") is role
    else:
        with pytest.raises(NotAllowedError) as refusal:
            actor.role_for(action, "XA01")
        assert isinstance(refusal.value, AccessError)


@pytest.mark.parametrize("action", list(Action))
def test_without_a_grant_nothing_is_allowed(action: Action) -> None:
    with pytest.raises(NotAllowedError) as refusal:
        actor_with().role_for(action, "XA01")

    text = str(refusal.value)
    assert str(action) in text
    assert all(str(role) in text for role in TABLE[action])


def test_a_refusal_names_the_roles_in_a_fixed_order() -> None:
    with pytest.raises(NotAllowedError, match="dmc or second-statistician or statistician"):
        actor_with().role_for(Action.READ_ARMS)


@pytest.mark.parametrize("action", [Action.ENROL, Action.REQUEST_ALLOCATION])
def test_a_physician_acts_at_the_own_site_alone(action: Action) -> None:
    actor = actor_with(Grant(PHYSICIAN, "XA01"))

    assert actor.role_for(action, "XA01") is PHYSICIAN
    for site in ("XA02", "xa01", "XA0", "XA01 ", ""):
        with pytest.raises(NotAllowedError):
            actor.role_for(action, site)
    with pytest.raises(NotAllowedError):
        actor.role_for(action)


@pytest.mark.parametrize("site", ["XA01", ""])
def test_a_physician_without_a_site_acts_nowhere(site: str) -> None:
    with pytest.raises(NotAllowedError):
        actor_with(Grant(PHYSICIAN)).role_for(Action.ENROL, site)


def test_a_physician_of_two_sites_acts_at_both() -> None:
    actor = actor_with(Grant(PHYSICIAN, "XA01"), Grant(PHYSICIAN, "XA02"))

    assert actor.role_for(Action.ENROL, "XA01") is PHYSICIAN
    assert actor.role_for(Action.ENROL, "XA02") is PHYSICIAN
    with pytest.raises(NotAllowedError):
        actor.role_for(Action.ENROL, "XA03")


@pytest.mark.parametrize("site", ["XA01", "XA02", ""])
def test_a_role_of_the_whole_trial_reaches_every_site(site: str) -> None:
    assert actor_with(Grant(MANAGER)).role_for(Action.CHANGE_SITE_STATE, site) is MANAGER


def test_a_role_that_was_narrowed_to_a_site_does_not_reach_the_trial() -> None:
    actor = actor_with(Grant(MANAGER, "XA01"))

    assert actor.role_for(Action.CHANGE_SITE_STATE, "XA01") is MANAGER
    for site in ("XA02", ""):
        with pytest.raises(NotAllowedError):
            actor.role_for(Action.CHANGE_TRIAL_STATE, site)


def test_the_role_that_allows_the_action_is_the_one_that_is_logged() -> None:
    actor = actor_with(Grant(MANAGER), Grant(DMC))

    assert actor.role_for(Action.READ_ARMS) is DMC
    assert actor.role_for(Action.ACTIVATE_LIST) is MANAGER
    assert actor.role_for(Action.RECOVER) is MANAGER  # the first grant that allows it


def test_nobody_who_may_know_the_list_may_enrol() -> None:
    knows = TABLE[Action.GENERATE_LIST] | TABLE[Action.APPROVE_LIST] | TABLE[Action.READ_DESIGN]
    knows |= TABLE[Action.READ_ARMS]
    enrols = TABLE[Action.ENROL] | TABLE[Action.REQUEST_ALLOCATION]

    for knowing, enrolling in product(knows, enrols):
        assert frozenset({knowing, enrolling}) in DISJOINT


def test_an_administrator_neither_makes_a_list_nor_enrols() -> None:
    for other in TABLE[Action.GENERATE_LIST] | TABLE[Action.READ_DESIGN] | TABLE[Action.ENROL]:
        assert frozenset({ADMINISTRATOR, other}) in DISJOINT


def test_the_excluding_pairs_are_these() -> None:
    assert set(DISJOINT) == EXCLUDING
    assert len(DISJOINT) == len(EXCLUDING)


@pytest.mark.parametrize(("held", "added"), list(permutations(Role, 2)))
def test_a_role_is_refused_after_one_that_excludes_it_whichever_came_first(
    held: Role, added: Role
) -> None:
    if frozenset({held, added}) in EXCLUDING:
        with pytest.raises(DisjointRolesError) as refusal:
            require_disjoint([held], added)
        assert f"The role {added} cannot be given" in str(refusal.value)
        assert f"ever held {held} " in str(refusal.value)
    else:
        require_disjoint([held], added)


@pytest.mark.parametrize("role", list(Role))
def test_a_first_role_and_the_same_role_again_are_given(role: Role) -> None:
    require_disjoint([], role)
    require_disjoint([role], role)


def test_one_excluding_role_among_many_ever_held_is_enough() -> None:
    with pytest.raises(DisjointRolesError, match="ever held administrator"):
        require_disjoint({MANAGER, STATISTICIAN, ADMINISTRATOR}, STATISTICIAN)


def test_a_role_is_spelled_as_it_is_logged() -> None:
    assert [str(role) for role in Role] == [
        "physician",
        "statistician",
        "second-statistician",
        "dmc",
        "manager",
        "administrator",
    ]
