"""The lists of a trial as its statisticians see them."""

import pytest

from alloc_service.errors import NotAllowedError
from alloc_service.services import own_lists
from alloc_service.services.own_lists import OwnList
from tests.support.installation import Installation


def only(installation: Installation) -> OwnList:
    stat = installation.people["stat"]
    (found,) = own_lists.list_own(installation.deps, stat, installation.trial)
    return found


def test_a_list_goes_from_sealed_to_active(sealed: Installation) -> None:
    found = only(sealed)
    assert (found.state, found.approved_by, found.root_checked) == ("sealed", "", False)
    assert found.sealed_by == "p-stat"
    assert len(found.escrow) == 3
    sealed.approve()
    assert (only(sealed).state, only(sealed).approved_by) == ("approved", "p-second")
    sealed.activate()

    assert only(sealed).state == "active"


def test_only_statisticians_see_them(sealed: Installation) -> None:
    for name in ("doc", "dmc", "manager", "admin"):
        with pytest.raises(NotAllowedError):
            own_lists.list_own(sealed.deps, sealed.people[name], sealed.trial)
