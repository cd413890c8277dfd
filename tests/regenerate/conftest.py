"""The four languages whose programs are run here; SAS is not, for want of a SAS."""

import pytest

from tests.support.programs import LANGUAGES, Language


@pytest.fixture(params=sorted(LANGUAGES))
def language(request: pytest.FixtureRequest) -> Language:
    """Return each language in turn."""
    return LANGUAGES[request.param]
