"""The command line `alloc`: each command parses, calls one service and renders what it gives.

Exit codes: 0 done, 1 refused or the check failed, 2 wrong use. What a script reads goes to
standard output; questions, warnings, progress and refusals go to standard error. A command that
acts for a person asks who that is and for the password, each time; a password is never taken
from an argument or the environment.
"""

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `alloc` with this process's arguments, and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was asked for
        signal.signal(signal.SIGINT, _stop_once)
    try:
        # Imported here, so that an interrupt of the imports is told in a word as any other is.
        from alloc_service.cli.program import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 1
    sys.exit(code)


def _stop_once(_signal: int, _frame: object) -> NoReturn:
    # A second Ctrl-C would cut through what answers the first, and end in a stack trace.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
