"""Receipts of a small trial's entry, the site's and the full one."""

from alloc_service.core.merkle import inclusion_proof, inner_nodes, leaf_hash
from alloc_service.log.receipt import Receipt, write_extra
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
    return receipt(extra=write_extra(entry, opening, []))
