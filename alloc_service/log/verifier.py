"""The program `verify_bundle.py`: checks a bundle, or a receipt, with nothing but Python 3.9.

    python3 verify_bundle.py BUNDLE --policy POLICY [--json]
    python3 verify_bundle.py --receipt FILE --policy POLICY [--leaf HEX] [--json]
                             [--root HEX --slots N,N,...]     (for a full receipt)

Exit code 0: all that is there is good, and what was not there to check is listed. 1: refused; the
first thing that is wrong is named. 2: wrong use.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from alloc_service.core.canon import Json
from alloc_service.errors import RefusalError
from alloc_service.log.bundle_check import verify_bundle
from alloc_service.log.evidence import EvidenceReport
from alloc_service.log.policy import parse_policy
from alloc_service.log.receipt import ListRoot
from alloc_service.log.receipt_check import verify_receipt

GOOD, REFUSED, WRONG_USE = 0, 1, 2
LARGEST = 2**31

_SLOTS = "[1-9][0-9]{0,6}(?:,[1-9][0-9]{0,6})*"


def main(arguments: Sequence[str], own: bytes | None = None) -> int:
    """Check what the arguments name, and write what was found.

    Args:
        arguments: Without the program's name.
        own: The bytes of this very program, to compare with the one in a bundle.

    Returns:
        0 good, 1 refused, 2 wrong use.
    """
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
        _require_use(given)
        policy = given.policy.read_bytes().decode("utf-8")
        data = _read(given.bundle or given.receipt)
    except SystemExit as end:
        return GOOD if end.code == GOOD else WRONG_USE
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{parser.format_usage()}{error}\n")
        return WRONG_USE
    try:
        found = _check(given, policy, data, own)
    except RefusalError as error:
        _show_refusal(error, as_json=given.json)
        return REFUSED
    _show(found, as_json=given.json)
    return GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify_bundle.py",
        description="Check a bundle of a trial's randomization log (rac-bundle/1), or a receipt.",
        epilog="Exit codes: 0 all that is there is good, 1 refused, 2 wrong use.",
    )
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="the ZIP file")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="a receipt instead")
    parser.add_argument("--leaf", metavar="HEX", help="the leaf hash kept beside the receipt")
    parser.add_argument("--root", metavar="HEX", help="of a full receipt: its list's root")
    parser.add_argument("--slots", metavar="N,N,...", help="and the slots of each stratum")
    parser.add_argument(
        "--policy", type=Path, metavar="POLICY", required=True,
        help="whose log it is and who its witnesses are: a file that you had before",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="write the result as a line of JSON")
    return parser


def _require_use(given: argparse.Namespace) -> None:
    if (given.bundle is None) == (given.receipt is None):
        raise ValueError("Give BUNDLE, or --receipt FILE, and not both.")
    beside = (given.leaf, given.root, given.slots)
    if given.receipt is None and beside != (None, None, None):
        raise ValueError("--leaf, --root and --slots belong to --receipt.")
    if (given.root is None) != (given.slots is None):
        raise ValueError("--root and --slots go together.")
    if given.root is not None and not re.fullmatch("[0-9a-f]{64}", given.root):
        raise ValueError("--root is 64 hexadecimal digits, in small letters.")
    if given.slots is not None and not re.fullmatch(_SLOTS, given.slots, re.ASCII):
        raise ValueError("--slots is the slots of each stratum, such as 240,240.")
    if given.leaf is not None and not re.fullmatch("[0-9a-f]{64}", given.leaf):
        raise ValueError("--leaf is 64 hexadecimal digits, in small letters.")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST:,} bytes.")
    return data


def _check(
    given: argparse.Namespace, policy: str, data: bytes, own: bytes | None
) -> EvidenceReport:
    if given.receipt is None:
        return verify_bundle(data, parse_policy(policy), own)
    leaf = None if given.leaf is None else bytes.fromhex(given.leaf)
    sealed = None
    if given.root is not None:
        slots = tuple(int(count) for count in given.slots.split(","))
        sealed = ListRoot(bytes.fromhex(given.root), slots)
    return verify_receipt(data.decode("utf-8", "replace"), parse_policy(policy), leaf, sealed)


def _show_refusal(error: RefusalError, *, as_json: bool) -> None:
    if as_json:
        _write_json({"ok": False, "code": error.code, "fault": str(error)})
    else:
        _write(f"REFUSED  {error}")


def _show(found: EvidenceReport, *, as_json: bool) -> None:
    if as_json:
        _write_json(found.to_json())
        return
    _write(f"{found.origin}: {found.size:,} entries, root {found.root}")
    for word, sentences in (("ok", found.checked), ("note", found.told), ("--", found.unchecked)):
        for sentence in sentences:
            _write(f"  {word:<5} {sentence}")
    _write("Everything that is here is good; what stands behind -- was not there to check.")


def _write_json(document: Mapping[str, Json]) -> None:
    _write(json.dumps(document, sort_keys=True, separators=(",", ":")))


def _write(line: str) -> None:
    """Write a line; what no terminal shows, or would obey, is written as its escape."""
    encoding = sys.stdout.encoding or "ascii"
    shown = (one if one.isprintable() else ascii(one)[1:-1] for one in line)
    sys.stdout.write("".join(shown).encode(encoding, "backslashreplace").decode(encoding) + "\n")
