"""The server's two keys: X25519 opens what is sealed to the service, Ed25519 signs checkpoints.

Files of the key directory (its rules are in `folder`):

    sealing-<id>.key   PKCS#8 in PEM, plain, as `openssl genpkey -algorithm X25519` writes it
    signing-<id>.key   likewise, Ed25519
    <name>.key.age     the same PEM in a binary age file that a passphrase opens (scrypt)
    current            canonical JSON {"sealing":id,"signing":id,"v":"rac-keys/1"}

<id> is the first 16 hexadecimal digits of the SHA-256 of the raw public key; the name must be
that of the key inside. Several keys of a kind may lie there: `current` names the one that new
things are sealed to or signed with, and an older sealing key stays to open what is sealed to
it. So a rotation adds a file and writes `current` anew; nothing else changes. An older signing
key stays as well: logs that were not told of the newer one yet are signed with it.

`current` is written last, so that it marks keys as made. Key files without it come from an
interrupted `alloc init`, which is run again and finishes: it keeps what is there, and makes
what is missing. It never overwrites a key.

A directory is either plain or protected by one passphrase, never half: whoever gives a
passphrase must be able to rely on it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alloc_service.core.canon import canon, parse_object
from alloc_service.errors import (
    CanonError,
    KeyLostError,
    KeysBrokenError,
    KeysExistError,
    KeysMissingError,
    KeysPassphraseError,
    KeysStrangerError,
    KeysUnfinishedError,
    SigningKeyLostError,
)
from alloc_service.sealing import age
from alloc_service.sealing.folder import UNFINISHED, KeyFolder, command, open_folder
from alloc_service.sealing.key_file import (
    LONGEST_FILE,
    PrivateKey,
    from_pem,
    require_passphrase,
    to_pem,
    unlock,
)
from alloc_service.sealing.server_keys import ServerKeys
from alloc_service.sealing.wrap import key_id

__all__ = [
    "ServerKeys",
    "add_signing_key",
    "are_protected",
    "choose_signing_key",
    "clear_unfinished",
    "create_keys",
    "load_keys",
    "replace_lost_sealing_key",
    "rotate_sealing_key",
]

CURRENT = "current"
FORMAT = "rac-keys/1"
SEALING = "sealing"
SIGNING = "signing"
PLAIN = ".key"
PROTECTED = ".key.age"

_NAME = re.compile(r"(sealing|signing)-([0-9a-f]{16})(\.key|\.key\.age)", re.ASCII)

_KINDS: Mapping[str, type[PrivateKey]] = {SEALING: X25519PrivateKey, SIGNING: Ed25519PrivateKey}

# What is left where a key has no backup.
_WITHOUT = {
    SEALING: "if there is none, the lists are sealed again from their escrow",
    SIGNING: "nothing else makes it again: every log names it, so no log can grow without it",
}


@dataclass(frozen=True, slots=True)
class _KeyFile:
    kind: str
    id: str
    name: str

    @property
    def protected(self) -> bool:
        return self.name.endswith(PROTECTED)


def create_keys(directory: Path, passphrase: str | None = None) -> ServerKeys:
    """Make the two keys of a new server, durably, and return them as read back.

    A directory that holds no key yet is given mode 0700 first. Keys that an interrupted run
    left are kept and completed.

    Args:
        directory: Where; made, with its parents, if it is not there.
        passphrase: Protects the files, at least 12 characters; none leaves them plain.

    Raises:
        KeysExistError: Keys are there already.
        KeysUnfinishedError: Several of a kind are there and nothing chooses among them.
        KeysPassphraseError: The passphrase is too short, or does not open what is there.
        KeyFileError: What `load_keys` raises.
    """
    require_passphrase(directory, passphrase)
    with open_folder(directory, writing=True) as folder:
        if CURRENT in folder.names():
            raise KeysExistError(path=directory)
        folder.clear_unfinished()
        files = _key_files(folder)
        if files:
            folder.require_private()
        else:
            folder.make_private()
        for file in files:  # what is kept must open, before anything is added to it
            _read_key(folder, file, passphrase)
        chosen = {kind: _only_id(folder, files, kind, passphrase) for kind in _KINDS}
        _write_current(folder, chosen)
        return _load(folder, passphrase)


def load_keys(directory: Path, passphrase: str | None = None) -> ServerKeys:
    """Return the server's keys; each refusal names the path and what mends it.

    Args:
        directory: The key directory.
        passphrase: What protects the files; none where they are plain.

    Raises:
        KeysMissingError: No directory, or no key in it.
        KeysLooseError: Others may enter the directory or read a file.
        KeysOwnerError: It belongs to somebody else.
        KeysLinkError: A symbolic link, or no regular file or directory.
        KeysStrangerError: Something else lies there.
        KeysUnfinishedError: The making of the keys was interrupted.
        KeyLostError: `current` names a key that is not there.
        KeysBrokenError: A file does not hold what its name says.
        KeysPassphraseError: The passphrase is missing, wrong, or protects nothing.
        KeysUnusableError: The system will not read them.
    """
    with open_folder(directory) as folder:
        folder.require_private()
        return _load(folder, passphrase)


def are_protected(directory: Path) -> bool:
    """Tell whether a passphrase protects the keys that lie here.

    Raises:
        KeyFileError: There is no such directory, or it is not as it must be.
    """
    with open_folder(directory) as folder:
        folder.require_private()
        return any(file.protected for file in _key_files(folder))


def rotate_sealing_key(directory: Path, passphrase: str | None = None) -> ServerKeys:
    """Add a sealing key and make it the current one; the older ones stay to open with.

    Raises:
        KeyFileError: What `load_keys` raises; nothing was changed then.
    """
    with open_folder(directory, writing=True) as folder:
        folder.require_private()
        folder.clear_unfinished()
        keys = _load(folder, passphrase)
        kid = _add_key(folder, SEALING, passphrase)
        _write_current(folder, {SEALING: kid, SIGNING: key_id(keys.verify_key)})
        return _load(folder, passphrase)


def clear_unfinished(directory: Path) -> None:
    """Remove what an interrupted change of keys left half written; it was never in use.

    Raises:
        KeyFileError: There is no such directory, or it is not as it must be.
    """
    with open_folder(directory, writing=True) as folder:
        folder.require_private()
        folder.clear_unfinished()


def replace_lost_sealing_key(directory: Path, passphrase: str | None = None) -> ServerKeys:
    """Make a new sealing key in the place of a current one whose file is lost.

    What was sealed to the lost one opens with nothing: its lists are sealed again from escrow.

    Raises:
        KeysExistError: The current key is there.
        KeyFileError: What `load_keys` raises of everything else; nothing was changed then.
    """
    with open_folder(directory, writing=True) as folder:
        folder.require_private()
        folder.clear_unfinished()
        chosen = _read_current(folder)
        files = _key_files(folder)
        if (SEALING, chosen[SEALING]) in {(file.kind, file.id) for file in files}:
            raise KeysExistError(path=directory)
        for file in files:  # what is kept must open, before anything is added to it
            _read_key(folder, file, passphrase)
        kid = _add_key(folder, SEALING, passphrase)
        _write_current(folder, {SEALING: kid, SIGNING: chosen[SIGNING]})
        return _load(folder, passphrase)


def add_signing_key(directory: Path, passphrase: str | None = None) -> ServerKeys:
    """Add a signing key beside the current one, which stays current until `choose_signing_key`.

    Raises:
        KeyFileError: What `load_keys` raises; nothing was changed then.
    """
    with open_folder(directory, writing=True) as folder:
        folder.require_private()
        folder.clear_unfinished()
        _load(folder, passphrase)
        _add_key(folder, SIGNING, passphrase)
        return _load(folder, passphrase)


def choose_signing_key(directory: Path, name: str, passphrase: str | None = None) -> ServerKeys:
    """Make a signing key that is there the current one; the others stay.

    Raises:
        KeyFileError: What `load_keys` raises; nothing was changed then.
        SigningKeyLostError: There is no such key.
    """
    with open_folder(directory, writing=True) as folder:
        folder.require_private()
        folder.clear_unfinished()
        keys = _load(folder, passphrase)
        if name not in keys.signer_ids:
            raise SigningKeyLostError(name=name, origin="no log")
        _write_current(folder, {SEALING: keys.kid, SIGNING: name})
        return _load(folder, passphrase)


def _load(folder: KeyFolder, passphrase: str | None) -> ServerKeys:
    files = _key_files(folder)
    if not files:
        raise KeysMissingError(path=folder.path, command="alloc init")
    if CURRENT not in folder.names():
        raise KeysUnfinishedError(path=folder.path, rule="Run `alloc init` again; it finishes them")
    chosen = _read_current(folder)
    _require_chosen(folder, files, chosen, PLAIN if passphrase is None else PROTECTED)
    sealing: dict[str, X25519PrivateKey] = {}
    signing: dict[str, Ed25519PrivateKey] = {}
    for file in files:
        key = _read_key(folder, file, passphrase)
        if isinstance(key, X25519PrivateKey):
            sealing[file.id] = key
        else:
            signing[file.id] = key
    current, signer = sealing[chosen[SEALING]], signing[chosen[SIGNING]]
    return ServerKeys(
        kid=chosen[SEALING],
        public_key=current.public_key().public_bytes_raw(),
        verify_key=signer.public_key().public_bytes_raw(),
        _sealing=sealing,
        _signing=signing,
    )


def _key_files(folder: KeyFolder) -> list[_KeyFile]:
    files = []
    for name in folder.names():
        match = _NAME.fullmatch(name)
        if match is not None:
            files.append(_KeyFile(match[1], match[2], name))
        elif name != CURRENT:
            raise _stranger(folder, name)
    return files


def _stranger(folder: KeyFolder, name: str) -> KeysStrangerError:
    path = folder.path / name
    if name.startswith(UNFINISHED):  # left by an interrupted run; never in use
        return KeysStrangerError(path=path, command=command("rm", path))
    mend = command("mv", "-n", path, folder.path.absolute().parent)
    return KeysStrangerError(path=path, command=mend)


def _only_id(
    folder: KeyFolder, files: Iterable[_KeyFile], kind: str, passphrase: str | None
) -> str:
    ids = [file.id for file in files if file.kind == kind]
    if len(ids) > 1:
        rule = "Several keys of a kind are there: put `current` back from the backup of the keys"
        raise KeysUnfinishedError(path=folder.path, rule=rule)
    return ids[0] if ids else _add_key(folder, kind, passphrase)


def _add_key(folder: KeyFolder, kind: str, passphrase: str | None) -> str:
    key = _KINDS[kind].generate()
    name = key_id(key.public_key().public_bytes_raw())
    data = to_pem(key)
    if passphrase is None:
        folder.write(f"{kind}-{name}{PLAIN}", data)
    else:
        folder.write(f"{kind}-{name}{PROTECTED}", age.lock(passphrase, data))
    return name


def _read_key(folder: KeyFolder, file: _KeyFile, passphrase: str | None) -> PrivateKey:
    data = folder.read(file.name, LONGEST_FILE)
    key = from_pem(_unprotect(folder, file, data, passphrase))
    path = folder.path / file.name
    if key is None or not isinstance(key, _KINDS[file.kind]):
        rule = "this is not the plain PKCS#8 PEM of a key of its kind"
        raise KeysBrokenError(path=path, rule=rule, command=command(path))
    if key_id(key.public_key().public_bytes_raw()) != file.id:
        rule = "this file holds another key than its name says"
        raise KeysBrokenError(path=path, rule=rule, command=command(path))
    return key


def _unprotect(folder: KeyFolder, file: _KeyFile, data: bytes, passphrase: str | None) -> bytes:
    path = folder.path / file.name
    if not file.protected and passphrase is None:
        return data
    if not file.protected:
        protect = command("age", "-p", "-o", f"{path}.age", path)
        rule = "a passphrase was given, and this key is not protected by any"
        remedy = f"Run `{protect} && {command('rm', path)}`, or give none"
        raise KeysPassphraseError(path=path, rule=rule, remedy=remedy)
    return unlock(path, data, passphrase)


def _read_current(folder: KeyFolder) -> dict[str, str]:
    """Return the id of the current key of each kind."""
    data = folder.read(CURRENT, LONGEST_FILE)
    try:
        document = parse_object(data, CURRENT)
    except CanonError:
        document = {}
    ids = {kind: document.get(kind) for kind in _KINDS}
    chosen = {kind: id_ for kind, id_ in ids.items() if isinstance(id_, str)}
    if document != {"v": FORMAT, **chosen} or len(chosen) != len(_KINDS):
        path = folder.path / CURRENT
        raise KeysBrokenError(
            path=path, rule=f"it is not spelled as {FORMAT}", command=command(path)
        )
    return chosen


def _write_current(folder: KeyFolder, chosen: Mapping[str, str]) -> None:
    folder.write(CURRENT, canon({"v": FORMAT, **chosen}))


def _require_chosen(
    folder: KeyFolder, files: Iterable[_KeyFile], chosen: Mapping[str, str], ending: str
) -> None:
    there = {(file.kind, file.id) for file in files}
    for kind, wanted in chosen.items():
        if (kind, wanted) not in there:
            path = folder.path / f"{kind}-{wanted}{ending}"
            raise KeyLostError(path=path, command=command(path), otherwise=_WITHOUT[kind])
