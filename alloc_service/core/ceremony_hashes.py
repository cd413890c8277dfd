"""The two hashes of a ceremony, in one spelling for whoever makes a seed and whoever checks one.

With D the design's hash, C the ceremony's id, P a party's and r its share:

    commitment = SHA("rac-commit/1|D|C|P|r")
    seed       = HEX(HMAC-SHA256(key = the 64 characters of SHA(document),
                                 message = "rac-seed/1|r_1|…|r_n|" + (beacon's value or "-")))
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

CEREMONY: Final = "rac-seed/1"
COMMITMENT: Final = "rac-commit/1"


def hash_share(design_sha256: str, ceremony: str, party: str, share: str) -> str:
    """Return the HEX32 that commits a party to its share; the texts are of ASCII alone."""
    text = f"{COMMITMENT}|{design_sha256}|{ceremony}|{party}|{share}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def hash_shares(doc_sha256: str, shares: Sequence[str], beacon: str | None) -> str:
    """Return the digits of the seed, HEX32.

    Args:
        doc_sha256: Of the announced document.
        shares: HEX32 each, in the order of the document's parties.
        beacon: The beacon's value, HEX32; nothing where there is none.
    """
    message = "|".join((CEREMONY, *shares, beacon or "-"))
    return hmac.new(doc_sha256.encode("ascii"), message.encode("ascii"), "sha256").hexdigest()
