"""The folder of a witness, on a machine of its own: its key, the logs it follows, what it saw.

    witness.key        PKCS#8 in PEM, Ed25519, 0600; or witness.key.age, which a passphrase opens
    witness.vkey       its public key, `name+id+base64`; written last, it marks a folder as made
    policy.txt         the logs whose checkpoints it cosigns, C2SP `tlog-policy`: `log VKEY` lines;
                       of several of one log the last is its key of now, the others were before
    <origin>.note      the last note that it cosigned of a log, "nothing yet" before the first (so
                       that a file that something emptied is damage, and no beginning); the name
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

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alloc_service.errors import (
    NoteError,
    PolicyError,
    WitnessFolderError,
)
from alloc_service.log.note import COSIGNATURE_V1, ED25519, Verifier, Witness
from alloc_service.log.policy import read_words
from alloc_service.sealing import age
from alloc_service.sealing.folder import KeyFolder, open_folder
from alloc_service.sealing.key_file import (
    LONGEST_FILE,
    from_pem,
    require_passphrase,
    to_pem,
    unlock,
)

NOTHING_YET = b"nothing yet\n"
KEY, PROTECTED_KEY, VKEY, POLICY = "witness.key", "witness.key.age", "witness.vkey", "policy.txt"

_LONGEST_POLICY = 1_048_576
_MADE_BY = "Run `alloc witness init` to make one"
_MEND = "Mend its `log` lines, a key each"
_CHANGED = (
    "Where the service has changed the log's key, ask its statistician and its manager for the new "
    "one, separately, compare the two, and add it with --changed"
)
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
    require_passphrase(path, passphrase)
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
        data = to_pem(private)
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
        data = folder.read(PROTECTED_KEY if protected else KEY, LONGEST_FILE)
    if protected:
        data = unlock(path / PROTECTED_KEY, data, passphrase)
    private = from_pem(data)
    name = path / (PROTECTED_KEY if protected else KEY)
    if not isinstance(private, Ed25519PrivateKey):
        raise _fault(name, "this is no Ed25519 key as PKCS#8 in PEM", _PUT_BACK)
    if Witness(public.name, private).verifier != public:
        raise _fault(name, f"the key is not the one that {VKEY} names", _PUT_BACK)
    return Witness(public.name, private)


def read_public(path: Path) -> Verifier:
    """Return the public key of the witness whose folder this is; its own key stays closed.

    Raises:
        WitnessFolderError: There is no witness here.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    with _opened(path) as folder:
        return _read_public(folder)


def read_logs(path: Path) -> dict[str, tuple[Verifier, ...]]:
    """Return the keys of each log that this witness follows, by origin; the key of now is last.

    Raises:
        WitnessFolderError: The policy is not spelled as one.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    with _opened(path) as folder:
        return _read_policy(folder)


def add_log(path: Path, log: Verifier, *, changed: bool = False) -> None:
    """Follow one more log, from nothing on; a log that is followed already stays as it is.

    Args:
        path: The witness's folder.
        log: The log's key.
        changed: Whether it takes the place of the key by which this log is followed. From then on
            nothing is cosigned that the older key has signed; what was seen is not forgotten.

    Raises:
        WitnessFolderError: It is no log's key, this origin is followed with another key, or is
            not followed although its key is said to have changed.
        KeyFileError: The folder or a file is another's, or open to others.
    """
    if log.kind != ED25519:
        raise _fault(path, f"the key of {log.name} is a witness's, not a log's", "Give a log's")
    with _opened(path, writing=True) as folder:
        logs = _read_policy(folder)
        keys = logs.get(log.name, ())
        if keys[-1:] == (log,):
            return
        _require_next(path, log, keys, changed=changed)
        state = note_path(path, log.name).name
        if state not in folder.names():
            folder.write(state, NOTHING_YET)
        logs[log.name] = (*keys, log)
        lines = [f"log {key.vkey}\n" for known in logs.values() for key in known]
        folder.write(POLICY, ("".join(lines) + "quorum none\n").encode())


def _require_next(path: Path, log: Verifier, keys: tuple[Verifier, ...], *, changed: bool) -> None:
    """Check that a key may be the next one of its log, or the first.

    Raises:
        WitnessFolderError: It may not.
    """
    if log in keys:
        rule = f"this is an older key of {log.name}, and a log goes back to none"
        raise _fault(path, rule, "Ask who gave you the key for the one of now")
    if keys and not changed:
        raise _fault(path, f"{log.name} is followed with another key", _CHANGED)
    if changed and not keys:
        raise _fault(path, f"{log.name} is not followed here yet", "Leave --changed out")


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
        text = folder.read(VKEY, LONGEST_FILE).decode("utf-8")
        public = Verifier.parse(text.removesuffix("\n"))
    except (UnicodeDecodeError, NoteError):
        raise _fault(folder.path / VKEY, "this is no witness's key", _PUT_BACK) from None
    if public.kind != COSIGNATURE_V1:
        raise _fault(folder.path / VKEY, "this is no witness's key", _PUT_BACK)
    return public


def _read_policy(folder: KeyFolder) -> dict[str, tuple[Verifier, ...]]:
    """Return the logs' keys in a policy file; its other lines are not for a witness."""
    data = folder.read(POLICY, _LONGEST_POLICY)
    if len(data) > _LONGEST_POLICY:
        raise _fault(folder.path / POLICY, f"it is larger than {_LONGEST_POLICY:,} bytes", _MEND)
    try:
        lines = [words for _, words in read_words(data.decode("utf-8"))]
        found = [Verifier.parse(words[1]) for words in lines if words[0] == "log" and words[1:]]
    except (UnicodeDecodeError, NoteError, PolicyError) as error:
        rule = f"this is no policy: {error}".removesuffix(".")
        raise _fault(folder.path / POLICY, rule, _MEND) from None
    if len(set(found)) != len(found) or any(log.kind != ED25519 for log in found):
        rule = "a log's key stands in it twice, or it is a witness's"
        raise _fault(folder.path / POLICY, rule, _MEND)
    logs: dict[str, tuple[Verifier, ...]] = {}
    for log in found:
        logs[log.name] = (*logs.get(log.name, ()), log)
    return logs


def _fault(path: Path, rule: str, remedy: str) -> WitnessFolderError:
    return WitnessFolderError(path=path, rule=rule, remedy=remedy)
