"""A second person who proves, beside the one who is signed in, that they are there and sign too.

Who they are is proved as at a sign-in: by their password, and by the code of their second factor
where they have one. They are signed in nowhere by it.
"""

from functools import partial

from alloc_service.errors import CodeMissingError, FactorMissingError
from alloc_service.services import accounts, second_factor, throttle
from alloc_service.services.accounts import Person
from alloc_service.services.deps import Deps
from alloc_service.services.recovery import TwoPeople


def prove(
    deps: Deps, first: Person, username: str, password: str, *, code: str, address: str
) -> TwoPeople:
    """Return the two, once the second one has proved to be there.

    Args:
        deps: The service's.
        first: Who is signed in.
        username: The second one's, as typed.
        password: As typed.
        code: Of the second one's device, or a recovery code; "" where nothing was typed.
        address: Where it was typed.

    Raises:
        WrongPasswordError: User name and password do not belong together.
        PasswordChangeDueError: The password is a one-time password.
        SecondPersonError: It is the first one again.
        FactorMissingError: They must have a second factor, and have none.
        CodeMissingError: They have a second factor, and no code was typed.
        WrongCodeError: The code does not fit, or was taken before.
        TooManyTriesError: It was tried too often from this address.
    """
    check = partial(accounts.authenticate, deps, username, password)
    second = throttle.guarded(deps, username, address, check)
    two = TwoPeople(first, second)
    if second_factor.is_missing(deps, second):
        raise FactorMissingError
    if second_factor.is_asked(deps, second):
        if not code:
            raise CodeMissingError
        proves = partial(second_factor.check, deps, second, code)
        throttle.guarded(deps, f"{username} code", address, proves)
    return two
