"""What must not leave by accident: no repr, no pickle, no copy through a pickle's door.

A value that knows an arm before its time, or the seed that gives them all, is read by asking
for the field by name and in no other way. A task queue, a cache or a crash report that pickles
whatever it meets is refused here instead of keeping the list in clear on a disk.
"""

from typing import NoReturn, SupportsIndex


class Secret:
    """Base of the values that hold arms, nonces or a seed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is secret: it is neither pickled nor copied")
