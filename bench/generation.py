"""One million slots with openings and root, against the bare hashing that they need.

The floor: 1.25 HMAC-SHA256 and 2 SHA-256 a slot, with the library's own HMAC objects, on
messages of the same lengths, and nothing else. The memory of the million stays under 1 GiB.
"""

import hashlib
import resource

from alloc_service.core.design import Arm, BlockSize, Design, Stratum
from alloc_service.core.draw import keyed_mac
from alloc_service.core.generate import generate
from alloc_service.core.seed import Seed
from bench.measure import Measured, take_turns

SLOTS = 1_000_000
LIMIT = 2.0
MOST_MEMORY = 1 << 30

_NONCE_MESSAGE = b"rac-gen/1|nonce|0|123456"
_OPENING = b"\x00" + b"rac-slot/1|" + b"d" * 64 + b"|0|123456|A|" + b"n" * 64
_NODE = b"\x01" + b"n" * 64


def bare_hashing() -> None:
    """Do 1.25 HMAC and 2 SHA-256 a slot."""
    keyed = keyed_mac("ab" * 32)
    for _code in range(SLOTS + SLOTS // 4):
        mac = keyed.copy()
        mac.update(_NONCE_MESSAGE)
        mac.digest()
    sha256 = hashlib.sha256
    for _slot in range(SLOTS):
        sha256(_OPENING).digest()
        sha256(_NODE).digest()


def million_slots() -> None:
    """Generate a list of a million slots, with every commitment and the root."""
    generate(
        Design(
            trial="BENCH",
            list=1,
            arms=(Arm("A", 1), Arm("B", 1)),
            blocks=(BlockSize(4, 1), BlockSize(6, 1)),
            strata=(Stratum("all", SLOTS),),
        ),
        Seed.fresh(),
    )


def run() -> list[Measured]:
    """Measure, and check the memory."""
    measured = take_turns(
        "a slot of a list of 1,000,000",
        bare_hashing,
        million_slots,
        units=SLOTS,
        turns=3,
        limit=LIMIT,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak memory of a million slots: {peak / 2**20:.0f} MiB (at most 1,024)")
    assert peak < MOST_MEMORY, "a million slots took more than 1 GiB"
    return [measured]
