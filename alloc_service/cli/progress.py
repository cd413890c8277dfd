"""Progress of what takes longer than a second: to standard error, on a terminal only."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

PATIENCE = 1.0
_STEP = 0.2
_CLEAR = "\r\x1b[K"


@contextmanager
def counting(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show how much of a known amount is done; call what is given with each further share."""
    if not sys.stderr.isatty():
        yield lambda _share: None
        return
    with click.progressbar(
        length=total, label=label, file=sys.stderr, update_min_steps=max(total // 200, 1)
    ) as bar:
        yield bar.update


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Show, after a second, for how long something of unknown length has run."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_tick, args=(label, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tick(label: str, done: threading.Event) -> None:
    began = time.monotonic()
    if done.wait(PATIENCE):
        return
    while not done.wait(_STEP):
        sys.stderr.write(f"{_CLEAR}{label} … {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
    sys.stderr.write(_CLEAR)
    sys.stderr.flush()
