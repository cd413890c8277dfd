"""What is wrong with a field, in the words of its form."""

from collections.abc import Mapping

from alloc_service.errors import RefusalError
from alloc_service.web.words import tell_unlabelled


def tell_fault(label: str, error: RefusalError) -> str:
    """Return a refusal of what was typed in a field, after the field's label."""
    return f"{label}: {tell_unlabelled(error).removesuffix('.')}."


def tell_faults(labels: Mapping[str, str], faults: Mapping[str, RefusalError]) -> dict[str, str]:
    """Return what is wrong, by field, each after its label."""
    return {field: tell_fault(labels[field], error) for field, error in faults.items()}
