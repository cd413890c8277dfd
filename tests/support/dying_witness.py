"""`alloc`, whose witness dies once: just before, or just after, it keeps what it cosigned.

It dies as a machine does, all its processes at once, where the file in DIES is there, which it
takes away first; what the file holds says when.
"""

import os
import signal
import sys
from pathlib import Path

from alloc_service.cli import main
from alloc_service.sealing import witness
from alloc_service.sealing.files import replace_file

MARK = Path(os.environ["DIES"])


def _die() -> None:
    MARK.unlink()
    os.killpg(os.getpgrp(), signal.SIGKILL)  # a session of its own, which the test has begun


def _replace(path: Path, data: bytes) -> None:
    when = MARK.read_text() if MARK.exists() else ""
    if when == "before":
        _die()
    replace_file(path, data)
    if when == "after":
        _die()


witness.replace_file = _replace  # type: ignore[attr-defined]  # where the module finds it

if __name__ == "__main__":
    sys.exit(main())
