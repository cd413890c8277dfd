"""The folder of a witness, on a machine of its own: its key, the logs it follows, what it saw.

    witness.key        PKCS#8 in PEM, Ed25519, 0600; or witness.key.age, which a passphrase opens
    witness.vkey       its public key, `name+id+base64`; written last, it marks a folder as made
    policy.txt         the logs whose checkpoints it cosigns, C2SP `tlog-policy`: `log VKEY` lines
    <origin>.note      the last note that it cosigned of a log, empty before the first; the name
                       is SHA-256(ORIGIN)
    <origin>.lock      one at a time

The folder is never put back from a backup: a witness that forgets what it saw can be made to
sign a second history. So a log that stands in the policy, and whose note is not there, is never
cosigned again. A folder that is lost is made anew under a new key, and a new name.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.errors import (
    AgeError,
    KeysPassphraseError,
    NoteError,
    PolicyError,
    WitnessFolderError,
)
from alloc_service.log.note import COSIGNATURE_V1, ED25519, Verifier, Witness
from alloc_service.log.policy import read_words
from alloc_service.sealing import age
from alloc_service.sealing.folder import KeyFolder, open_folder
from alloc_service.sealing.keys import SHORTEST_PASSPHRASE

KEY, PROTECTED_KEY, VKEY, POLICY = "witness.key", "witness.key.age", "witness.vkey", "policy.txt"

_LONGEST_KEY = 4_096
_LONGEST_POLICY = 1_048_576
_MADE_BY = "Run `alloc witness init` to make one"
_MEND = "Mend its `log` lines, a key each"
_PUT_BACK = "Put the file back as it was, or begin anew in an empty folder, under another name"


def note_path(folder: Path, origin: str) -> Path:
    """Return where the last cosigned note of a log lies."""
    return folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.note"


def create_witness(path: Path, name: str, passphrase: str | None = None) -> Verifier:
    """Make a witness's key in a folder of its own, durably, and return its public half.

    Args:
        path: The folder; made, with its parents, if it is not there.
        name: The witness's, in every cosignature; it never changes.
        passphrase: Protects the key file, at least 12 characters; none leaves it plain.

    Raises:
        WitnessFolderError: There is a witness in this folder already, or something else.
        NoteError: The name holds a space or a plus sign.
        KeysPassphraseError: The passphrase is too short.
        KeyFileError: The folder is another's, open to others, or cannot be written.
    """
    _require_passphrase(path, passphrase)
    private = Ed25519PrivateKey.generate()
    witness = Witness(name, private)
    vkey = witness.verifier.vkey  # a name that breaks a rule must leave no half of a witness
    with open_folder(path, writing=True) as folder:
        found = [here for here in folder.names() if not here.startswith(".unfinished-")]
        if VKEY in found:
            raise _fault(path, "there is a witness here already", "Name another folder")
        if set(found) - {KEY, PROTECTED_KEY, POLICY}:
            raise _fault(path, "other files lie here", "Name an empty folder")
        folder.make_private()
        folder.clear_unfinished()
        data = _to_pem(private)
        if passphrase is None:
            folder.write(KEY, data)
        else:
            folder.write(PROTECTED_KEY, age.lock(passphrase, data))
        folder.write(POLICY, b"quorum none\n")
        folder.write(VKEY, f"{vkey}\n".encode())
    return witness.verifier


def is_protected(path: Path) -> bool:
    """Tell whether a passphrase opens this witness's key."""
    return (path / PROTECTED_KEY).exists()


def open_key(path: Path, passphrase: str | None = None) -> Witness:
    """Return the witness whose folder this is.

    Raises:
        WitnessFolderError: There is no witness here, or its key is not the one of its name.
        KeysPassphraseError: The passphrase is missing, or does not open the key.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    with _opened(path) as folder:
        public = _read_public(folder)
        protected = PROTECTED_KEY in folder.names()
        data = folder.read(PROTECTED_KEY if protected else KEY, _LONGEST_KEY)
    if protected:
        data = _unlock(path / PROTECTED_KEY, data, passphrase)
    private = _from_pem(data)
    if private is None or Witness(public.name, private).verifier != public:
        rule = f"the key is not the one that {VKEY} names"
        raise _fault(path, rule, _PUT_BACK)
    return Witness(public.name, private)


def read_public(path: Path) -> Verifier:
    """Return the public key of the witness whose folder this is; its own key stays closed.

    Raises:
        WitnessFolderError: There is no witness here.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    with _opened(path) as folder:
        return _read_public(folder)


def read_logs(path: Path) -> dict[str, Verifier]:
    """Return the key of each log that this witness follows, by origin.

    Raises:
        WitnessFolderError: The policy is not spelled as one.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    with _opened(path) as folder:
        return _read_policy(folder)


def add_log(path: Path, log: Verifier) -> None:
    """Follow one more log, from nothing on; a log that is followed already stays as it is.

    Raises:
        WitnessFolderError: It is no log's key, or this origin is followed with another key.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    if log.kind != ED25519:
        raise _fault(path, f"the key of {log.name} is a witness's, not a log's", "Give a log's")
    with _opened(path, writing=True) as folder:
        logs = _read_policy(folder)
        if logs.get(log.name, log) != log:
            rule = f"{log.name} is followed with another key"
            raise _fault(path, rule, "A log's key never changes: ask who gave you the new one")
        if log.name in logs:
            return
        state = note_path(path, log.name).name
        if state not in folder.names():
            folder.write(state, b"")
        lines = [f"log {known.vkey}\n" for known in (*logs.values(), log)]
        folder.write(POLICY, ("".join(lines) + "quorum none\n").encode())


@contextmanager
def _opened(path: Path, *, writing: bool = False) -> Iterator[KeyFolder]:
    """Open the folder of a witness that was made; nothing is made where nothing was."""
    if not path.is_dir():
        raise _fault(path, "there is no witness here", _MADE_BY)
    with open_folder(path, writing=writing) as folder:
        folder.require_private()
        if VKEY not in folder.names():
            raise _fault(path, "there is no witness here", _MADE_BY)
        yield folder


def _read_public(folder: KeyFolder) -> Verifier:
    try:
        text = folder.read(VKEY, _LONGEST_KEY).decode("utf-8")
        public = Verifier.parse(text.removesuffix("\n"))
    except (UnicodeDecodeError, NoteError):
        raise _fault(folder.path / VKEY, "this is no witness's key", _PUT_BACK) from None
    if public.kind != COSIGNATURE_V1:
        raise _fault(folder.path / VKEY, "this is no witness's key", _PUT_BACK)
    return public


def _read_policy(folder: KeyFolder) -> dict[str, Verifier]:
    """Return the logs of a policy file; its other lines are not for a witness."""
    data = folder.read(POLICY, _LONGEST_POLICY)
    try:
        lines = [words for _, words in read_words(data.decode("utf-8"))]
        found = [Verifier.parse(words[1]) for words in lines if words[0] == "log" and words[1:]]
    except (UnicodeDecodeError, NoteError, PolicyError) as error:
        rule = f"this is no policy: {error}".removesuffix(".")
        raise _fault(folder.path / POLICY, rule, _MEND) from None
    logs = {log.name: log for log in found if log.kind == ED25519}
    if len(logs) != len(found):
        rule = "a log stands in it twice, or with a witness's key"
        raise _fault(folder.path / POLICY, rule, _MEND)
    return logs


def _unlock(path: Path, data: bytes, passphrase: str | None) -> bytes:
    if passphrase is None:
        rule = "a passphrase protects this key, and none was given"
        raise KeysPassphraseError(path=path, rule=rule, remedy="Give the passphrase")
    try:
        return age.unlock(passphrase, data)
    except AgeError:
        rule = "the passphrase does not open this key, or the file was changed"
        remedy = "Give the passphrase it was made with"
        raise KeysPassphraseError(path=path, rule=rule, remedy=remedy) from None


def _require_passphrase(path: Path, passphrase: str | None) -> None:
    if passphrase is None or (len(passphrase) >= SHORTEST_PASSPHRASE and passphrase.isprintable()):
        return
    rule = f"a passphrase must be at least {SHORTEST_PASSPHRASE} printable characters"
    raise KeysPassphraseError(path=path, rule=rule, remedy="Choose another one")


def _to_pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _from_pem(data: bytes) -> Ed25519PrivateKey | None:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted PKCS#8
        return None
    return key if isinstance(key, Ed25519PrivateKey) and _to_pem(key) == data else None


def _fault(path: Path, rule: str, remedy: str) -> WitnessFolderError:
    return WitnessFolderError(path=path, rule=rule, remedy=remedy)
