"""Receipts of a small trial's entry, the site's and the full one."""

from alloc_service.core.merkle import inclusion_proof, inner_nodes, leaf_hash
from alloc_service.log.receipt import ListRoot, Receipt, write_extra
from tests.support.bundles import Evidence, small_evidence

SMALL = small_evidence()
SEQ = 6
ENTRY = SMALL.rows[SEQ]
OPENING = SMALL.lists[1].generated.opening(1, 0)


def receipt(evidence: Evidence = SMALL, seq: int = SEQ, extra: bytes | None = None) -> str:
    leaves = [leaf_hash(row) for row in evidence.rows]
    nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
    nodes |= {(level, at): node for level, at, node in inner_nodes(leaves)}
    path = inclusion_proof(seq, len(leaves), lambda at: {place: nodes[place] for place in at})
    return Receipt(seq, tuple(path), evidence.sign(), extra).text


def full(entry: bytes = ENTRY, opening: str = OPENING.text) -> str:
    return receipt(extra=write_extra(entry, opening, list_path(SMALL, 1, 1, 0)))


def list_path(evidence: Evidence, number: int, stratum: int, slot: int) -> list[bytes]:
    """Return the inclusion proof of a slot's leaf in its list."""
    made = evidence.lists[number]
    data = made.generated.leaves
    leaves = [data[at : at + 32] for at in range(0, len(data), 32)]
    nodes = {(0, at): leaf for at, leaf in enumerate(leaves)}
    nodes |= {(level, at): node for level, at, node in inner_nodes(leaves)}
    index = made.index(stratum, slot)
    return inclusion_proof(index, len(leaves), lambda at: {place: nodes[place] for place in at})


def list_root(evidence: Evidence = SMALL, number: int = 1) -> ListRoot:
    """Return root and slots of a list, as its list.sealed says them."""
    design = evidence.lists[number].design
    slots = tuple(stratum.slots for stratum in design.strata)
    return ListRoot(bytes.fromhex(evidence.lists[number].generated.root), slots)
