"""Receipts laid in a folder, one for each allocation, for the committee to keep outside.

The folder is a setting; it may be a share, or what a mail program sends on. A receipt names no
arm. It is delivered after the answer was given, so that nobody waits for an arm because of a
folder; what could not be delivered is, with the next one or by `alloc receipt deliver`.
"""

from pathlib import Path
from urllib.parse import quote

from alloc_service.errors import ReceiptFolderError
from alloc_service.services import proofs
from alloc_service.services.deps import Deps
from alloc_service.storage import queries


def deliver(deps: Deps, trial_id: str) -> int:
    """Deliver every receipt of a trial that is not in its folder; return how many.

    Raises:
        ReceiptFolderError: The folder cannot be read or written.
        FrozenError: The sealer signs nothing more.
    """
    missing = find_missing(deps, trial_id)
    folder = _folder_of(deps, trial_id)
    if not missing or folder is None:
        return 0
    signed = proofs.sign_log(deps, trial_id)
    with deps.database.read() as session:
        texts = {
            seq: proofs.receipt_of(session, trial_id, seq, signed).text
            for seq in missing
            if seq < signed.size
        }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for seq, text in texts.items():
            _write(folder / f"{seq}.receipt", text)
    except OSError as error:
        raise ReceiptFolderError(path=folder, reason=error.strerror or "an error") from None
    return len(texts)


def find_missing(deps: Deps, trial_id: str) -> tuple[int, ...]:
    """Return the seqs of assignments whose receipts are not in the folder; none without one.

    Raises:
        ReceiptFolderError: The folder cannot be read.
    """
    folder = _folder_of(deps, trial_id)
    if folder is None:
        return ()
    with deps.database.read() as session:
        assigned = {row.entry_seq for row in queries.list_assignments(session, trial_id)}
    try:
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise ReceiptFolderError(path=folder, reason=error.strerror or "an error") from None
    return tuple(sorted(seq for seq in assigned if f"{seq}.receipt" not in there))


def _folder_of(deps: Deps, trial_id: str) -> Path | None:
    return None if deps.receipts is None else deps.receipts / quote(trial_id, safe="")


def _write(path: Path, text: str) -> None:
    """Put a file there whole: whoever looks at the folder finds no half of one."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.replace(path)
