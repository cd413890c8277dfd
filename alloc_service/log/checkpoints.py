"""The checkpoints at hand of one log, opened with the keys that are trusted so far.

The first key is given. Another one is trusted once a checkpoint of a trusted key covers the entry
`key.rotated` that names it, and agrees with the log: the old key vouches for the new one. A
checkpoint that only an unknown key has signed waits for that, and is refused if it never comes.
From then on the older key signs nothing: a checkpoint after the change that lacks the newer key's
signature is refused, for who took the older key away could have made it.
Where the given key is itself one that took an older one's place, nothing vouches for the older
one: its checkpoints, of sizes up to that change, are neither used nor refused.
"""

from collections.abc import Collection, Iterable

from alloc_service.errors import NoteError, UnknownSignerError
from alloc_service.log.entry import Entry
from alloc_service.log.note import Checkpoint, Verifier, open_cosigned, open_note


class SignedRoots:
    """What trusted keys have signed.

    Attributes:
        keys: The log's trusted keys, the first one first; empty where none was given.
        witnesses: Names of the witnesses whose keys were given.
        roots: The signed roots, 32 bytes each, by size; more than one is a split view.
        cosigners: By size, which of the witnesses have cosigned a checkpoint of it.
        count: How many checkpoints were opened.
    """

    def __init__(
        self, notes: Iterable[str], log_key: Verifier | None, witnesses: Collection[Verifier]
    ) -> None:
        """Open what the given key has signed.

        Raises:
            NoteError: A checkpoint is spelled wrongly, a signature of a known key is bad, or
                there is a checkpoint and no key.
        """
        self.keys: list[Verifier] = [] if log_key is None else [log_key]
        self.witnesses = tuple(witness.name for witness in witnesses)
        self.roots: dict[int, frozenset[bytes]] = {}
        self.cosigners: dict[int, frozenset[str]] = {}
        self.count = 0
        self._known = tuple(witnesses)
        self._named: list[tuple[int, Verifier]] = []
        self._since = -1  # the entry by which the given key took the place of an older one
        self._opened: list[tuple[int, str]] = []
        self._waiting = [note for note in notes if self._open(note) is None]

    def note_rotation(self, entry: Entry) -> None:
        """Remember the key that a `key.rotated` names, until a checkpoint vouches for it."""
        if not self.keys or "vkey" not in entry.body:
            return
        key = Verifier.parse(entry.body["vkey"])  # the rules have found it to be a key of this log
        if key == self.keys[0]:
            self._since = entry.seq
        else:
            self._named.append((entry.seq, key))

    def trust_upto(self, size: int) -> list[int]:
        """Trust the keys that entries below a vouched-for size have named.

        Returns:
            The sizes of the checkpoints that could be opened because of it.

        Raises:
            UnknownSignerError: A checkpoint after the change is signed by an older key alone.
        """
        found: list[int] = []
        while self._named and self._named[0][0] < size:
            seq, key = self._named.pop(0)
            self._require_replaced(seq, key)
            self.keys.append(key)
            opened = {note: self._open(note) for note in self._waiting}
            self._waiting = [note for note, number in opened.items() if number is None]
            found += [number for number in opened.values() if number is not None]
        return found

    def count_older(self) -> int:
        """Return how many checkpoints could not be opened, for they are of an older key's time.

        Raises:
            UnknownSignerError: A checkpoint of another time is signed by no trusted key.
        """
        for note in self._waiting:
            if Checkpoint.parse(_text_of(note), self.keys[0].name).size > self._since + 1:
                rule = f"no trusted key of {self.keys[0].name} has signed it"
                raise UnknownSignerError(rule=rule)
        return len(self._waiting)

    def cosigned_upto(self, witness: str) -> int:
        """Return the largest size that a witness has cosigned, or 0."""
        sizes = (size for size, names in self.cosigners.items() if witness in names)
        return max(sizes, default=0)

    def _open(self, note: str) -> int | None:
        """Keep a checkpoint and return its size, or None where no trusted key has signed it."""
        if not self.keys:
            raise NoteError(rule="a checkpoint can be checked with the log's public key only")
        for key in self.keys:
            try:
                checkpoint, names = open_cosigned(note, key, self._known)
            except UnknownSignerError:
                continue
            size = checkpoint.size
            self.roots[size] = self.roots.get(size, frozenset()) | {checkpoint.root}
            self.cosigners[size] = self.cosigners.get(size, frozenset()) | frozenset(names)
            self.count += 1
            self._opened.append((size, note))
            return size
        return None

    def _require_replaced(self, seq: int, key: Verifier) -> None:
        """Check that no older key has signed alone what comes after its own change."""
        for size, note in self._opened:
            if size > seq + 1 and key not in open_note(note, [*self.keys, key]).signers:
                rule = f"the key that signed size {size} was replaced by entry {seq}"
                raise UnknownSignerError(rule=rule)


def _text_of(note: str) -> str:
    return note.rpartition("\n\n")[0] + "\n"
