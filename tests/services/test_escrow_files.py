"""The escrow's files go once two different people could open theirs."""

import pytest

from alloc_service.errors import NotAllowedError, UnknownRecordError
from alloc_service.services import escrow_files, lookups
from tests.support.installation import Installation


def kept(installation: Installation) -> int:
    rows = installation.ask("SELECT count(*) FROM escrow_file")
    return int(rows[0][0])


def test_the_files_go_with_the_second_person_s_word(sealed: Installation) -> None:
    deps, trial = sealed.deps, sealed.trial
    stat, dmc = sealed.people["stat"], sealed.people["dmc"]

    assert escrow_files.confirm(deps, stat, trial, 1) == 1
    assert escrow_files.confirm(deps, stat, trial, 1) == 1
    assert kept(sealed) == 3
    assert escrow_files.confirm(deps, dmc, trial, 1) == 2

    assert kept(sealed) == 0
    with pytest.raises(UnknownRecordError):
        escrow_files.confirm(deps, dmc, trial, 1)
    with pytest.raises(UnknownRecordError):
        lookups.read_escrow(deps, dmc, trial, 1)


def test_only_oversight_can_say_so_and_only_of_a_list_that_is_there(sealed: Installation) -> None:
    for name in ("doc", "manager", "guest"):
        with pytest.raises(NotAllowedError):
            escrow_files.confirm(sealed.deps, sealed.people[name], sealed.trial, 1)
    with pytest.raises(UnknownRecordError):
        escrow_files.confirm(sealed.deps, sealed.people["dmc"], sealed.trial, 7)
