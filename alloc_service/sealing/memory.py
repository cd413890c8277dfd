"""What a process that holds keys tells the system: nobody looks into its memory, nor at its end.

Not dumpable means that no other process of the same user may trace it or read `/proc/PID/mem`,
and that it leaves no core file. Root of the machine is not stopped.
"""

import ctypes
import os
import resource

_SET_DUMPABLE = 4  # linux/prctl.h


def keep_to_itself() -> None:
    """Make this process's memory readable to nobody but root, and leave no core file.

    Raises:
        OSError: The system refused.
    """
    control(_SET_DUMPABLE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def control(option: int) -> int:
    """Call prctl(2) with an option and zeros, and return what it gives.

    Raises:
        OSError: The system refused.
    """
    library = ctypes.CDLL(None, use_errno=True)
    found = int(library.prctl(option, 0, 0, 0, 0))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
