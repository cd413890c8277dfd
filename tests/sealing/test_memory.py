"""What a process that holds keys tells the system."""

import sys
from subprocess import run

import pytest

from alloc_service.sealing.memory import control


def test_the_system_tells_whether_a_process_may_be_looked_into() -> None:
    tell = "from alloc_service.sealing.memory import *; print(control(3))"  # PR_GET_DUMPABLE
    keep = tell.replace("print", "keep_to_itself(); print")
    ran = [
        run([sys.executable, "-c", code], capture_output=True, check=False) for code in (tell, keep)
    ]

    assert [(one.stdout, one.stderr) for one in ran] == [(b"1\n", b""), (b"0\n", b"")]
    with pytest.raises(OSError, match="Invalid argument"):
        control(9_999)
