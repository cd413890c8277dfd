"""Lists: made by one, approved by another, activated by a third; their seed stays with nobody."""

import secrets
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from alloc_service.errors import (
    CustodiansError,
    DesignMismatchError,
    NotAllowedError,
    RootMismatchError,
    RuleError,
    SealedListError,
    SeedError,
    TypedSeedError,
    UnknownRecordError,
)
from alloc_service.permissions import Role
from alloc_service.sealing.escrow import open_escrow
from alloc_service.sealing.package import SealedList, read_package, seal_list, write_package
from alloc_service.services import lists, trials
from alloc_service.storage import queries
from tests.support.installation import Installation, password_of

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
SEED = "0123456789abcdef" * 4


def make_package(installation: Installation, design: Design | None = None) -> SealedList:
    """Generate and seal a list elsewhere, for this installation's log and key."""
    design = design or installation.definition.design(1)
    made = generate(design, Seed.fresh())
    return seal_list(made, installation.deps.sealer.public_key, installation.origin)


def import_it(installation: Installation, sealed: SealedList) -> lists.SealedAndLogged:
    return lists.import_package(installation.deps, installation.people["stat"], sealed)


# --- generating -------------------------------------------------------------------------------


def test_a_list_is_sealed_and_logged_and_its_seed_lies_in_escrow_alone(
    staffed: Installation,
) -> None:
    design = staffed.definition.design(1)
    made = staffed.generate(design=design)

    assert sorted(made.escrow) == [
        "seed.archive+dmc.age",
        "seed.archive+stat.age",
        "seed.dmc+stat.age",
    ]
    with staffed.deps.database.read() as session:
        files = queries.list_escrow_files(session, staffed.trial, 1)
        stored = queries.read_list(session, staffed.trial, 1)
        slots = list(queries.read_sealed_slots(session, staffed.trial, 1, 1))
    assert {file.name: file.ciphertext for file in files} == made.escrow
    assert (stored.slots, stored.strata) == ([6, 6], ["severity=mild", "severity=severe"])
    assert (stored.root, made.number) == (made.root, 1)
    assert [(row.stratum, row.slot) for row in slots] == [(s, i) for s in (0, 1) for i in range(6)]
    kept = open_escrow(
        made.escrow["seed.dmc+stat.age"], staffed.identities["dmc"], staffed.identities["stat"]
    )
    assert kept.design == design
    assert generate(kept.design, kept.seed).root == made.root


def test_the_log_tells_design_list_key_and_shape(sealed: Installation) -> None:
    frozen, logged = sealed.entries("design.frozen", "list.sealed")

    assert frozen.body["design_sha256"] == logged.body["design_sha256"]
    assert frozen.actor_id == logged.actor_id == "p-stat"
    assert logged.body["slots"] == [6, 6]
    assert logged.body["kid"] == sealed.deps.sealer.kid
    assert logged.body["sealing"] == 1


@on_sqlite
@pytest.mark.parametrize("actor", ["admin", "second", "manager", "doc", "dmc", "guest"])
def test_only_a_statistician_generates_imports_and_seals_anew(
    sealed: Installation, actor: str
) -> None:
    deps, person, design = sealed.deps, sealed.people[actor], sealed.definition.design(2)
    size = len(sealed.entries())

    with pytest.raises(NotAllowedError):
        lists.generate(deps, person, design, sealed.custodians)
    with pytest.raises(NotAllowedError):
        lists.import_package(deps, person, make_package(sealed, design))
    with pytest.raises(NotAllowedError):
        lists.reseal(deps, person, design, Seed.fresh())
    assert len(sealed.entries()) == size


@on_sqlite
def test_a_typed_seed_gives_the_list_of_a_test_trial(staffed: Installation) -> None:
    design = staffed.definition.design(1)
    made = lists.generate(
        staffed.deps, staffed.people["stat"], design, staffed.custodians, typed_seed=SEED
    )

    assert made.root == generate(design, Seed(SEED)).root


@on_sqlite
def test_a_typed_seed_is_refused_for_a_trial_that_is_none_of_testing(
    staffed: Installation,
) -> None:
    real = staffed.definition.model_copy(update={"id": "REAL-SMALL"})
    trials.create(staffed.deps, staffed.people["admin"], real)

    with pytest.raises(TypedSeedError):
        lists.generate(
            staffed.deps, staffed.people["stat"], real.design(1), staffed.custodians, SEED
        )


@on_sqlite
@pytest.mark.parametrize("seed", ["", "1234", "a" * 64, SEED.upper(), SEED + "0", SEED[:-1] + "\0"])
def test_a_weak_seed_is_refused_and_not_repeated(staffed: Installation, seed: str) -> None:
    with pytest.raises(SeedError) as refusal:
        lists.generate(
            staffed.deps,
            staffed.people["stat"],
            staffed.definition.design(1),
            staffed.custodians,
            seed,
        )
    assert not seed or seed not in str(refusal.value)
    assert staffed.state().lists == {}


def change_design(design: Design, **changes: Any) -> Design:
    return replace(design, salt=secrets.token_hex(32), **changes)


@on_sqlite
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"strata": (Stratum("severity=mild", 6),)}, "strata"),
        ({"strata": (Stratum("severity=severe", 6), Stratum("severity=mild", 6))}, "strata"),
        ({"strata": (Stratum("severity=mild", 6), Stratum("severity=worst", 6))}, "strata"),
        ({"arms": (Arm("SUNRISE-7Q", 1), Arm("OTHER", 1))}, "arms"),
        (
            {"arms": (Arm("SUNRISE-7Q", 2), Arm("MOONSET-7Q", 1)), "blocks": (BlockSize(3, 1),)},
            "arms",
        ),
        (
            {
                "arms": (Arm("SUNRISE-7Q", 1), Arm("MOONSET-7Q", 1), Arm("THIRD", 1)),
                "blocks": (BlockSize(3, 1),),
            },
            "arms",
        ),
    ],
    ids=["missing", "another order", "another code", "another arm", "another ratio", "a third"],
)
def test_a_design_of_other_strata_or_arms_is_refused(
    staffed: Installation, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(DesignMismatchError, match=f"its {what}"):
        staffed.generate(design=change_design(staffed.definition.design(1), **changes))
    assert staffed.entries("design.frozen") == []


@on_sqlite
def test_a_list_may_have_other_blocks_and_slots_than_the_definition_says(
    staffed: Installation,
) -> None:
    design = change_design(
        staffed.definition.design(1),
        blocks=(BlockSize(8, 1),),
        strata=(Stratum("severity=mild", 3), Stratum("severity=severe", 1)),
    )

    staffed.generate(design=design)
    assert staffed.state().lists[1].slots == (3, 1)


def test_a_list_number_and_a_design_are_used_once(sealed: Installation) -> None:
    with pytest.raises(RuleError, match="list 1 has a design already"):
        sealed.generate(1)
    design = sealed.definition.design(2)
    sealed.generate(design=design)
    with pytest.raises(RuleError, match="list 2 is sealed already"):
        sealed.generate(design=design)
    assert sorted(sealed.state().lists) == [1, 2]


@on_sqlite
def test_an_escrow_without_three_custodians_makes_no_list(staffed: Installation) -> None:
    two = dict(list(staffed.custodians.items())[:2])
    with pytest.raises(CustodiansError):
        lists.generate(staffed.deps, staffed.people["stat"], staffed.definition.design(1), two)
    assert staffed.entries("design.frozen") == []


# --- importing --------------------------------------------------------------------------------


def test_a_package_made_offline_is_imported_through_its_file(staffed: Installation) -> None:
    path = staffed.home / "list-1.racpkg"
    write_package(make_package(staffed), path)

    made = import_it(staffed, read_package(path))

    assert made.escrow == {}
    assert staffed.state().lists[1].root == made.root
    lists.approve(staffed.deps, staffed.people["second"], staffed.trial, 1, made.root)
    staffed.activate()
    staffed.change_site(active=True)
    assert staffed.allocate().arm in {"SUNRISE-7Q", "MOONSET-7Q"}


@on_sqlite
def test_a_package_of_another_log_is_refused(staffed: Installation) -> None:
    made = generate(staffed.definition.design(1), Seed.fresh())
    elsewhere = "other.example.org/TEST-SMALL/audit"
    sealed = seal_list(made, staffed.deps.sealer.public_key, elsewhere)

    with pytest.raises(DesignMismatchError, match=r"the package is of other\.example\.org"):
        import_it(staffed, sealed)


@on_sqlite
def test_a_package_that_is_sealed_to_another_key_is_refused(
    staffed: Installation, bare_key: bytes
) -> None:
    made = generate(staffed.definition.design(1), Seed.fresh())

    with pytest.raises(SealedListError, match="it is sealed to another key than"):
        import_it(staffed, seal_list(made, bare_key, staffed.origin))
    assert staffed.entries("design.frozen") == []


@pytest.fixture
def bare_key() -> bytes:
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


@on_sqlite
def test_a_package_of_other_strata_is_refused(staffed: Installation) -> None:
    strata = (Stratum("severity=mild", 6),)
    design = change_design(staffed.definition.design(1), strata=strata)

    with pytest.raises(DesignMismatchError, match="its strata"):
        import_it(staffed, make_package(staffed, design))


@on_sqlite
def test_a_package_of_an_unknown_trial_is_refused(staffed: Installation) -> None:
    design = replace(staffed.definition.design(1), trial="TEST-OTHER")
    made = generate(design, Seed.fresh())
    key, origin = staffed.deps.sealer.public_key, "rac.example.org/TEST-OTHER/audit"

    with pytest.raises(UnknownRecordError):
        import_it(staffed, seal_list(made, key, origin))


# --- approving --------------------------------------------------------------------------------


@pytest.mark.parametrize("checked", [True, False])
def test_another_statistician_approves_with_or_without_an_own_root(
    sealed: Installation, checked: bool
) -> None:
    root = sealed.state().lists[1].root if checked else None
    entry = lists.approve(sealed.deps, sealed.people["second"], sealed.trial, 1, root)

    assert entry.body["root_checked"] is checked
    assert entry.body["root"] == sealed.state().lists[1].root
    assert sealed.state().lists[1].approved_by == "p-second"


def test_nobody_approves_an_own_list_not_even_through_a_second_account(
    sealed: Installation,
) -> None:
    sealed.add_account("stat2", person="p-stat")
    sealed.grant("stat2", Role.SECOND_STATISTICIAN)

    for username in ("stat", "stat2"):
        with pytest.raises(RuleError, match="nobody approves a list that they sealed"):
            lists.approve(sealed.deps, sealed.people[username], sealed.trial, 1, None)
    assert not sealed.state().lists[1].approved_by


@on_sqlite
@pytest.mark.parametrize("root", ["", "0" * 64, "x" * 10_000, "a\0b"])
def test_a_wrong_root_approves_nothing(sealed: Installation, root: str) -> None:
    with pytest.raises(RootMismatchError) as refusal:
        lists.approve(sealed.deps, sealed.people["second"], sealed.trial, 1, root)
    assert not root or root not in str(refusal.value)
    assert not sealed.state().lists[1].approved_by


@on_sqlite
@pytest.mark.parametrize("actor", ["admin", "manager", "doc", "dmc", "guest"])
def test_only_statisticians_approve(sealed: Installation, actor: str) -> None:
    with pytest.raises(NotAllowedError):
        lists.approve(sealed.deps, sealed.people[actor], sealed.trial, 1, None)


@on_sqlite
def test_a_list_is_approved_once(approved: Installation) -> None:
    with pytest.raises(RuleError, match="list 1 is approved already"):
        approved.approve()


def test_a_root_that_somebody_edited_in_the_database_is_not_approved(
    sealed: Installation,
) -> None:
    forged = "f" * 64
    sealed.attack("UPDATE randomization_list SET root = :root", root=forged)

    with pytest.raises(RuleError, match="the list was sealed with another root"):
        lists.approve(sealed.deps, sealed.people["second"], sealed.trial, 1, forged)


# --- what is done to an unknown list ----------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("number", [0, -1, 2, 10_000, 10**30])
def test_an_unknown_list_is_refused_at_every_door(sealed: Installation, number: int) -> None:
    deps, trial, people = sealed.deps, sealed.trial, sealed.people
    size = len(sealed.entries())

    with pytest.raises(UnknownRecordError):
        lists.approve(deps, people["second"], trial, number, None)
    with pytest.raises(UnknownRecordError):
        lists.activate(deps, people["manager"], trial, number)
    with pytest.raises(UnknownRecordError):
        lists.read_design(deps, people["stat"], trial, number)
    with pytest.raises(UnknownRecordError):
        lists.log_regeneration(deps, people["stat"], trial, number, "0" * 64)
    assert len(sealed.entries()) == size


@on_sqlite
def test_nothing_of_a_list_shows_in_a_repr(sealed: Installation) -> None:
    made = sealed.generate(2)

    assert "age-encryption" not in repr(made)
    assert "SUNRISE" not in repr(made)
    assert password_of("stat") not in repr(sealed.deps)
