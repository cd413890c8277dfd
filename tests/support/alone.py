"""The stand-alone verifier as a module beside the package, to compare what the two say."""

import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from alloc_service.errors import RefusalError
from alloc_service.log import bundle_check, receipt_check
from alloc_service.log.build_verifier import OUTPUT
from alloc_service.log.policy import parse_policy
from alloc_service.log.receipt import ListRoot

# Whether it was accepted; and what was found, or the refusal's code and text.
Verdict = tuple[bool, object]


def codes(base: type[RefusalError]) -> Iterator[str]:
    """Yield the code of a refusal's class, and of every class below it."""
    yield base.code
    for one in base.__subclasses__():
        yield from codes(one)


@cache
def alone() -> ModuleType:
    """Return the file that the package ships, imported by itself."""
    spec = importlib.util.spec_from_file_location("verify_bundle_alone", OUTPUT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def verdict(bundle: bytes, policy: str) -> Verdict:
    """Return what package and file say of a bundle; they must say the same."""
    try:
        ours: Verdict = True, bundle_check.verify_bundle(bundle, parse_policy(policy)).to_json()
    except RefusalError as error:
        ours = False, (error.code, str(error))
    file = alone()
    try:
        theirs: Verdict = True, file.verify_bundle(bundle, file.parse_policy(policy)).to_json()
    except file.RefusalError as error:
        theirs = False, (error.code, str(error))
    assert ours == theirs
    return ours


def receipt_verdict(
    text: str, policy: str, leaf: bytes | None = None, sealed: ListRoot | None = None
) -> Verdict:
    """Return what package and file say of a receipt; they must say the same."""
    try:
        found = receipt_check.verify_receipt(text, parse_policy(policy), leaf, sealed)
        ours: Verdict = True, found.to_json()
    except RefusalError as error:
        ours = False, (error.code, str(error))
    file = alone()
    try:
        root = sealed and file.ListRoot(sealed.root, sealed.slots)
        told = file.verify_receipt(text, file.parse_policy(policy), leaf, root).to_json()
        theirs: Verdict = True, told
    except file.RefusalError as error:
        theirs = False, (error.code, str(error))
    assert ours == theirs
    return ours
