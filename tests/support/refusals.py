"""What a refused request leaves behind."""

from collections.abc import Callable

import pytest

from alloc_service.errors import RefusalError
from tests.support.installation import Installation


def refusal_of(installation: Installation, call: Callable[[], object]) -> RefusalError:
    """Return a refusal that spent no slot, and stands in the log once, by its code."""
    slots, before = installation.spent(), installation.refused()
    with pytest.raises(RefusalError) as refusal:
        call()
    assert installation.spent() == slots
    assert installation.refused() == [*before, refusal.value.code]
    assert "7Q" not in str(refusal.value)
    assert installation.ask("SELECT count(*) FROM assignment") == [(slots,)]
    return refusal.value
