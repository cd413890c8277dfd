"""Refusals of envelopes, wraps, key files, packages and escrow."""

from alloc_service.errors.base import InputError, IntegrityError, OperationError


class SealedSlotError(IntegrityError):
    """A sealed slot is not what its place and its commitment say; nothing was opened."""

    code = "bad-sealed-slot"
    text = "A sealed slot was refused: {rule}."


class SlotPlaceError(SealedSlotError):
    """A place that no sealed slot can have."""

    code = "bad-slot-place"
    text = "The place of a sealed slot was refused: {rule} (rac-seal/1)."


class BlobShapeError(SealedSlotError):
    """The bytes cannot be a sealed slot: length or version."""

    code = "blob-shape"
    text = (
        "A sealed slot was refused: {rule}. Nothing was opened; ask the statistician to seal "
        "the list again from the escrow."
    )


class BlobLockedError(SealedSlotError):
    """The cipher refused the bytes at this place."""

    code = "blob-locked"
    text = (
        "A sealed slot did not open: it was changed, or it belongs to another slot, stratum, "
        "list or trial, or to another sealing. Nothing was opened; compare the stored slots "
        "with the log, then ask the statistician to seal the list again from the escrow."
    )


class BlobContentError(SealedSlotError):
    """The bytes opened, but not to an opening of this place."""

    code = "blob-content"
    text = (
        "A sealed slot does not hold the opening of its place: {rule}. Nothing was shown; "
        "ask the statistician to seal the list again from the escrow."
    )


class BlobLeafError(SealedSlotError):
    """The opening is not the one that was committed to."""

    code = "blob-not-committed"
    text = (
        "A sealed slot holds another opening than the one committed to before the first "
        "enrolment. Nothing was shown. Somebody with the tranche key made it: keep the "
        "evidence, then ask the statistician to seal the list again from the escrow."
    )


class TrancheKeyError(IntegrityError):
    """A tranche key is not 32 bytes, or was wiped."""

    code = "bad-tranche-key"
    text = "The tranche key was refused: {rule}."


class OriginError(InputError):
    """An origin is not spelled as a log's, or is another trial's."""

    code = "bad-origin"
    text = "The origin {origin!r} was refused: {rule}. An origin is spelled <host>/<trial>/audit."


class PublicKeyError(InputError):
    """A public key that nothing can be sealed to."""

    code = "bad-public-key"
    text = (
        "The sealing key was refused: {rule}. Use the 32 bytes of the X25519 public key that "
        "the service shows."
    )


class WrapError(IntegrityError):
    """A wrapped tranche key does not open here."""

    code = "bad-wrap"
    text = "The wrapped tranche key was refused: {rule}."


class WrongKidError(WrapError):
    """A wrap was made to another key than the one at hand."""

    code = "wrong-kid"
    text = "The tranche key is wrapped to the sealing key {kid}, and this is {held}: use {kid}."


class SealedDesignError(IntegrityError):
    """A sealed design does not open here, or is not the frozen one."""

    code = "bad-sealed-design"
    text = "The sealed design was refused: {rule}."


class KeyFileError(OperationError):
    """A key file, or their directory, cannot be used as it is: the text says what mends it."""

    code = "key-file"
    text = "{path}: {rule}. {remedy}"


class KeysMissingError(KeyFileError):
    """There is no key directory, or no key in it."""

    code = "keys-missing"
    text = "{path}: there are no keys here. Run `{command}`."


class KeysExistError(KeyFileError):
    """Keys are there and are never overwritten."""

    code = "keys-exist"
    text = (
        "{path}: keys are there already and are never overwritten, for what is sealed to them "
        "opens with nothing else. Use them, or name another directory."
    )


class KeysUnfinishedError(KeyFileError):
    """Key files without the choice among them: their making was interrupted."""

    code = "keys-unfinished"
    text = "{path}: there are key files but not the file `current` that chooses among them. {rule}."


class KeyLostError(KeyFileError):
    """The key that `current` names is not there."""

    code = "key-lost"
    text = (
        "{path}: this key is named by `current` and is not there. Put it back from the backup "
        "of the keys with `cp -p BACKUP {command}`; {otherwise}."
    )


class KeysLooseError(KeyFileError):
    """Others may read a key file or enter the directory."""

    code = "keys-loose"
    text = (
        "{path} is open to other users (mode {mode}; it must be {wanted}). Run `{command}`; if "
        "anybody else works on this machine, rotate the keys."
    )


class KeysOwnerError(KeyFileError):
    """A key file or the directory belongs to somebody else."""

    code = "keys-owner"
    text = (
        "{path} belongs to user id {owner}, and this service runs as {user}. Run it as its own "
        "user, or run `{command}`."
    )


class KeysLinkError(KeyFileError):
    """A symbolic link or another odd thing where a key file or the directory must be."""

    code = "keys-link"
    text = (
        "{path} is a symbolic link or not {wanted}. Put {wanted} there, and no link to one; to see "
        "what it is now, run `{command}`."
    )


class KeysStrangerError(KeyFileError):
    """A file that has no place among the keys."""

    code = "keys-stranger"
    text = "{path} has no place among the keys. Run `{command}`."


class KeysBrokenError(KeyFileError):
    """A key file does not hold the key that its name says."""

    code = "keys-broken"
    text = (
        "{path}: {rule}. Put the file back from the backup of the keys with "
        "`cp -p BACKUP {command}`."
    )


class KeysPassphraseError(KeyFileError):
    """A passphrase is missing, wrong, too short or not used by these files."""

    code = "keys-passphrase"
    text = "{path}: {rule}. {remedy}."


class KeysUnusableError(KeyFileError):
    """The system would not read or write a key file."""

    code = "keys-unusable"
    text = "{path}: {reason}. Nothing was changed. To see its owner and mode run `{command}`."


class UnknownKidError(KeyFileError):
    """Something is sealed to a key that is not here."""

    code = "unknown-kid"
    text = (
        "The sealing key {kid} is not among the keys here. Put its file back from the backup "
        "of the keys; if there is none, the list is sealed again from its escrow."
    )


class SigningKeyLostError(KeyFileError):
    """A log is signed with a key that is not here."""

    code = "signing-key-lost"
    text = (
        "The signing key {name}, of {origin}, is not among the keys here. If the keys were just "
        "rotated, restart the service; else put the file back from the backup of the keys."
    )


class SealedListError(IntegrityError):
    """A sealed list or its package contradicts itself or its format."""

    code = "bad-sealed-list"
    text = "Sealed list, {where}: {rule}. Make the package again from design and seed."


class PackageFileError(OperationError):
    """A package file could not be written or read."""

    code = "package-file"
    text = "{path}: {reason}. Nothing was overwritten; choose a free path that can be written."


class AgeError(IntegrityError):
    """An age file did not open, or a recipient or identity is none."""

    code = "bad-age-file"
    text = "An age file, recipient or identity cannot be used: {rule}."


class ShareFileError(InputError):
    """A file of a party's share does not open, or holds no share."""

    code = "bad-share-file"
    text = "{name}: {rule}. Draw and wrap the share with `alloc ceremony draw` and `wrap` again."


class EscrowError(IntegrityError):
    """An escrow file did not open, or does not hold an escrow text."""

    code = "bad-escrow"
    text = "Escrow, {name}: {rule}."


class CustodiansError(InputError):
    """The custodians of an escrow are not three different ones."""

    code = "bad-custodians"
    text = "The custodians were refused: {rule}."
