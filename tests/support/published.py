"""What a stranger gets of a trial's log: its entries, signed checkpoints, and proofs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alloc_service.core import merkle
from alloc_service.log.note import Verifier
from alloc_service.sealing.anchor import Register
from alloc_service.sealing.keys import create_keys
from tests.support.sealed_trial import SealedTrial, seal_small_list


@dataclass(frozen=True, slots=True)
class PublishedLog:
    """A log as it is handed out.

    Attributes:
        key: The log's public key.
        entries: The bytes of every entry.
        checkpoints: By size, the note that the sealer signed.
    """

    key: Verifier
    entries: Sequence[bytes]
    checkpoints: Mapping[int, str]

    @property
    def size(self) -> int:
        return len(self.entries)

    def text(self, size: int) -> str:
        """Return what is signed in the checkpoint of a size."""
        return self.checkpoints[size].rpartition("\n\n")[0] + "\n"

    def root(self, size: int) -> bytes:
        return merkle.root_at(size, self._read)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(index, size, self._read)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, self._read)

    def _read(self, places: Collection[merkle.Place]) -> dict[merkle.Place, bytes]:
        leaves = [merkle.leaf_hash(entry) for entry in self.entries]
        nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
        nodes |= {(level, at): node for level, at, node in merkle.inner_nodes(leaves)}
        return {place: nodes[place] for place in places}


def publish_log(folder: Path) -> PublishedLog:
    """Run a small trial against a real sealer, and keep a checkpoint of every size."""
    keys = create_keys(folder / "keys")
    Register.create(folder / "anchors", keys.kid)
    trial = SealedTrial(keys, folder / "anchors", seal_small_list(keys))
    checkpoints = {}

    def follow() -> None:
        for size in range(trial.status.size + 1, len(trial.log.entries) + 1):
            checkpoints[size] = trial.follow(trial.log.restored(size))

    trial.log.create()
    follow()
    trial.log.add_site()
    trial.log.add_site()
    follow()
    trial.seal()
    trial.accept()
    trial.activate()
    follow()
    for stratum, count in enumerate(trial.hand.sealed.slots):
        for _ in range(count):
            trial.assign(stratum)
            follow()
    return PublishedLog(keys.signer(trial.origin).verifier, tuple(trial.log.entries), checkpoints)


def changed(data: bytes, at: int) -> bytes:
    """Return the same bytes with one bit of one byte turned over."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
