"""The application, whose process dies once: after a commit, before the slot is opened.

It dies where the file in DIES_ONCE is there, which it takes away first.
"""

import os
import signal
from pathlib import Path

from flask import Flask

from alloc_service.app import create_app as create_real_app
from alloc_service.sealing.local import LocalSealer
from alloc_service.sealing.sealer import Opened, SlotToOpen

MARK = "die-once"


class _DyingSealer(LocalSealer):
    def open(self, origin: str, seq: int, enrolment: str, sealed: SlotToOpen) -> Opened:
        mark = Path(os.environ["ALLOC_HOME"]) / MARK
        if mark.exists():
            mark.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open(origin, seq, enrolment, sealed)


def create_app() -> Flask:
    """Return the application over a sealer that can die."""
    app = create_real_app()
    app.extensions["alloc"].sealer.__class__ = _DyingSealer
    return app
