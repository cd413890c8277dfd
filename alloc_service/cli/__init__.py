"""The command line `alloc`: each command parses, calls one service and renders what it gives.

Exit codes: 0 done, 1 refused or the check failed, 2 wrong use. What a script reads goes to
standard output; questions, warnings, progress and refusals go to standard error. A command that
acts for a person asks who that is and for the password, each time; a password is never taken
from an argument or the environment.
"""

import sys
from typing import NoReturn

from alloc_service.cli.program import run


def main() -> NoReturn:
    """Run `alloc` with this process's arguments, and exit with its code."""
    sys.exit(run(sys.argv[1:]))
