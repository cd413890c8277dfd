"""Ed25519 verification as the service does it: by the library, for a key that is canonical.

Where nothing but an interpreter is at hand, `core.ed25519` stands in its place and accepts the
same. The library alone would also take a key in another spelling of its point.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alloc_service.core.ed25519 import require_canonical_key


def check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature.

    Args:
        public: Raw public key, 32 bytes.
        signature: 64 bytes.
        message: What was signed.

    Raises:
        ValueError: The signature is not this key's over this message, or the key is none.
    """
    require_canonical_key(public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise ValueError("the signature is not this key's") from None
