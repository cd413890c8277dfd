"""The command line `alloc`: each command parses, calls one service and renders what it gives.

Exit codes: 0 done, 1 refused or the check failed, 2 wrong use. What a script reads goes to
standard output; questions, warnings, progress and refusals go to standard error. A command that
acts for a person asks who that is and for the password, each time; a password is never taken
from an argument or the environment.
"""

import signal
import sys
import time
from typing import NoReturn

_STILL_ANSWERED = 0.5


def main() -> NoReturn:
    """Run `alloc` with this process's arguments, and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was asked for
        signal.signal(signal.SIGINT, _Interrupts())
    try:
        # Imported here, so that an interrupt of the imports is told in a word as any other is.
        from alloc_service.cli.program import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


class _Interrupts:
    """Heeds an interrupt, and no further one while it is answered: that would end in a trace.

    Half a second later the next one is heeded: the interpreter can lose one, where it comes just
    before it waits for an answer.
    """

    def __init__(self) -> None:
        self._heeded_at = -_STILL_ANSWERED

    def __call__(self, _signal: int, _frame: object) -> None:
        now = time.monotonic()
        if now - self._heeded_at >= _STILL_ANSWERED:
            self._heeded_at = now
            raise KeyboardInterrupt
