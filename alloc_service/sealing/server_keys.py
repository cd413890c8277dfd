"""The keys of one server in memory: opened, hidden from reprs, never pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alloc_service.errors import SigningKeyLostError, UnknownKidError
from alloc_service.log.note import Signer, Verifier
from alloc_service.sealing.wrap import key_id


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ServerKeys:
    """The keys of one server, opened; hidden from reprs, never pickled.

    Attributes:
        kid: Id of the sealing key that new things are sealed to.
        public_key: That key's raw X25519 public key, 32 bytes; a list made elsewhere is
            sealed to it.
        verify_key: The raw Ed25519 public key, 32 bytes, that checkpoints are checked with.
    """

    kid: str
    public_key: bytes
    verify_key: bytes
    _sealing: Mapping[str, X25519PrivateKey]
    _signing: Mapping[str, Ed25519PrivateKey]

    def __repr__(self) -> str:
        return f"ServerKeys(kid={self.kid!r}, …)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("server keys are neither pickled nor copied")

    @property
    def kids(self) -> tuple[str, ...]:
        """Return the ids of all sealing keys at hand, the current one and older ones."""
        return tuple(sorted(self._sealing))

    def unwrap_key(self, kid: str) -> X25519PrivateKey:
        """Return the sealing key of that id, current or older.

        Raises:
            UnknownKidError: No such key is here.
        """
        try:
            return self._sealing[kid]
        except KeyError:
            raise UnknownKidError(kid=kid) from None

    def derive(self, label: str) -> bytes:
        """Return 32 secret bytes for another use, each label's its own (RFC 5869).

        They change with the signing key alone. What they protect must bear to be lost.
        """
        raw = self._signing[key_id(self.verify_key)].private_bytes_raw()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=label.encode()).derive(raw)

    def signer(self, name: str) -> Signer:
        """Return what signs notes with this server's key, under a name of its own."""
        return Signer(name, self._signing[key_id(self.verify_key)])

    def log_key(self, origin: str) -> Verifier:
        """Return the public half of the key that signs now, as the key of a log."""
        return Verifier(origin, self.verify_key)

    @property
    def signer_ids(self) -> tuple[str, ...]:
        """Return the ids of all signing keys at hand, the current one and others."""
        return tuple(sorted(self._signing))

    def verifier(self, name: str, origin: str) -> Verifier:
        """Return the public half of the signing key of an id, as the key of a log."""
        return Verifier(origin, self._signing[name].public_key().public_bytes_raw())

    def signer_of(self, key: Verifier) -> Signer:
        """Return what signs with the private half of a log's key, current or older.

        Raises:
            SigningKeyLostError: No such key is here.
        """
        found = self._signing.get(key_id(key.public))
        if found is None:
            raise SigningKeyLostError(name=key_id(key.public), origin=key.name)
        return Signer(key.name, found)
