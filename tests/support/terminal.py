"""A real terminal: a program behind a pseudo-terminal, and somebody who reads and types."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 120.0


class Terminal:
    """One program at a terminal.

    Attributes:
        screen: Everything that was shown so far, escapes included.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.screen = ""
        self._process = process
        self._descriptor = descriptor
        self._seen = 0

    def expect(self, text: str) -> None:
        """Wait until a text is shown that was not waited for before."""
        ends = time.monotonic() + PATIENCE
        while text not in self.screen[self._seen :]:
            assert self._read(ends), f"{text!r} was not shown:\n{self.screen}"
        self._seen = self.screen.index(text, self._seen) + len(text)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._descriptor, f"{text}\n".encode())

    def interrupt(self, every: float = 1.0) -> int:
        """Press Ctrl-C until the program has ended; return its exit code.

        Once can be too little: the interpreter loses an interrupt that comes while it flushes a
        question, just before it waits for the answer.
        """
        ends = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < ends:
            self._process.send_signal(signal.SIGINT)
            self._read_until(time.monotonic() + every)
        return self.finish()

    @property
    def echoes(self) -> bool:
        """Tell whether what is typed is shown, as a shell wants it."""
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        self._read_until(time.monotonic() + PATIENCE)
        return self._process.wait(PATIENCE)

    def _read_until(self, ends: float) -> None:
        while self._read(ends):
            pass

    def _read(self, ends: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(ends - time.monotonic(), 0))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # the program has closed its side
            return False
        self.screen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)


@contextlib.contextmanager
def at_terminal(
    arguments: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Iterator[Terminal]:
    """Start a program at a terminal of its own."""
    master, slave = pty.openpty()
    with _heeding_interrupts():
        process = subprocess.Popen(
            arguments, env=dict(environ), cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        os.close(master)
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


@contextlib.contextmanager
def _heeding_interrupts() -> Iterator[None]:
    """Let a program that is started now end by Ctrl-C, also where the tests run unheeding of it.

    A shell that starts the tests in the background lets them, and all that they start, ignore it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
