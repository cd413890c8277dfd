"""Every target by its name: one function from any bytes at all to a word for what came of them.

A target raises AssertionError where an oracle does not hold, and whatever else the code under it
raises that it must not. Both are findings.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from tests.fuzz import bundles, documents, entries, notes, packages, proofs, sealers

Target: TypeAlias = Callable[[bytes], str]

CORPUS = Path(__file__).parent / "corpus"

TARGETS: Mapping[str, Target] = {
    "canon": documents.check_canon,
    "spelling": documents.check_spelling,
    "documents": documents.check_documents,
    "entry": entries.check_entry,
    "fold": entries.check_fold,
    "note": notes.check_note,
    "policy": notes.check_policy,
    "witness": notes.check_witness,
    "merkle": proofs.check_merkle,
    "receipt": proofs.check_receipt,
    "archive": bundles.check_archive,
    "bundle": bundles.check_bundle,
    "package": packages.check_package,
    "wire": sealers.check_wire,
    "frame": sealers.check_frame,
}


def inputs_of(name: str) -> list[Path]:
    """Return the corpus of a target, sorted by name."""
    return sorted((CORPUS / name).iterdir())
