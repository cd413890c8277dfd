#!/usr/bin/env python3
"""Make a rac-gen/1 list again from its design and its seed. Python 3.9 or newer, nothing else.

    python3 regenerate.py DESIGN SEED [DESIGN SEED ...]

DESIGN is the design document, SEED a file of 64 hexadecimal digits. Written are a line a slot
(stratum, slot, code of the stratum, arm), then trial, list, D and root: compare D and root with
the log, and keep the rest secret. (1) to (7) are the rules of rac-gen/1 in docs/formats.md.
"""

import hashlib
import hmac
import re
import sys
import unicodedata
from collections.abc import Iterator
from itertools import accumulate, chain, count, islice
from pathlib import Path

DESIGN = ""  # `alloc list code` writes a design here; then SEED alone is given

# The one spelling of a design document. The order of arms, blocks and strata matters.
ARM = r'\{"code":"([A-Za-z0-9._+-]{1,32})","ratio":([1-9]|1[0-6])\}'
BLOCK = r'\{"size":([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-6]),"weight":([1-9][0-9]{0,2}|1000)\}'
CODE = r'(?:[^"\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\\["\\]){1,200}'
STRATUM = rf'\{{"code":"({CODE})","slots":([1-9][0-9]{{0,5}}|1000000)\}}'
DOCUMENT = (
    rf'\{{"alg":"rac-gen/1","arms":\[{ARM}(?:,{ARM}){{1,15}}\],'
    rf'"blocks":\[{BLOCK}(?:,{BLOCK}){{0,15}}\],"list":(?P<list>[1-9][0-9]{{0,3}}),'
    rf'"salt":"[0-9a-f]{{64}}","strata":\[{STRATUM}(?:,{STRATUM}){{0,999}}\],'
    r'"trial":"(?P<trial>[A-Za-z0-9._/-]{1,64})"\}'
)
Rows = list[tuple[str, int]]

def mac(key: str, message: str) -> str:  # MAC(k, m), keyed with the 64 characters of k
    return hmac.new(key.encode("ascii"), message.encode("ascii"), "sha256").hexdigest()

def words(key: str, s: int, b: int) -> Iterator[int]:  # (2) a code is eight words of 32 bits
    codes = (mac(key, f"rac-gen/1|block|{s}|{b}|{c}") for c in count())
    return (int(code[at : at + 8], 16) for code in codes for at in range(0, 64, 8))

def below(m: int, stream: Iterator[int]) -> int:  # (3) uniform from 0 to m - 1; 1 takes no word
    return 0 if m == 1 else next(word for word in stream if word < 2**32 - 2**32 % m) % m

def draw_block(arms: Rows, blocks: Rows, stream: Iterator[int]) -> list[str]:
    ends = list(accumulate(weight for _, weight in blocks))
    r, unit = below(ends[-1], stream), sum(ratio for _, ratio in arms)
    n = next(int(size) for (size, _), end in zip(blocks, ends) if end > r)  # (4)
    x = [code for code, ratio in arms for _ in range(ratio * n // unit)]
    for i in range(n - 1, 0, -1):  # (5)
        j = below(i + 1, stream)
        x[i], x[j] = x[j], x[i]
    return x

def root_of(level: list[bytes]) -> str:  # RFC 6962: in pairs; an odd last one rises as it is
    while len(level) > 1:
        pairs = [b"\x01" + level[at] + level[at + 1] for at in range(0, len(level) - 1, 2)]
        level = [hashlib.sha256(pair).digest() for pair in pairs] + level[2 * len(pairs) :]
    return level[0].hex()

def require(holds: object, rule: str) -> None:
    if not holds:
        sys.exit(f"regenerate.py: {rule}")  # the exit code is 1

def regenerate(data: bytes, seed: str) -> Iterator[bytes]:
    require(data.startswith(b'{"alg":"rac-gen/1",'), "the design's alg is not rac-gen/1")
    text = data.decode("utf-8", "surrogateescape")
    match = re.fullmatch(DOCUMENT, text) if unicodedata.is_normalized("NFC", text) else None
    design = match.groupdict() if match else {}
    require(design, "the design is no canonical document of rac-gen/1")
    tables = [re.findall(row, text) for row in (ARM, BLOCK, STRATUM)]
    require(all(len(dict(rows)) == len(rows) for rows in tables), "a code or a size is there twice")
    arms, blocks, strata = ([(left, int(right)) for left, right in rows] for rows in tables)
    unit = sum(ratio for _, ratio in arms)
    require(not any(int(size) % unit for size, _ in blocks), "a block does not fit the ratios")
    require(sum(slots for _, slots in strata) <= 2_000_000, "a list has at most 2,000,000 slots")
    require(re.fullmatch("[0-9a-f]{64}", seed), "the seed is not exactly 64 of 0-9 and a-f")
    require(len(set(seed)) > 1, "the seed is one digit repeated")
    d, leaves = hashlib.sha256(data).hexdigest(), []
    list_key, nonce_key = (mac(seed, f"rac-gen/1|{use}|{d}") for use in ("list", "nonce"))  # (1)
    for s, (code, slots) in enumerate(strata):
        plain = re.sub(r"\\(.)", r"\1", code)
        drawn = (draw_block(arms, blocks, words(list_key, s, b)) for b in count())
        for i, arm in enumerate(islice(chain.from_iterable(drawn), slots)):  # (6)
            opening = f"rac-slot/1|{d}|{s}|{i}|{arm}|" + mac(nonce_key, f"rac-gen/1|nonce|{s}|{i}")
            leaves.append(hashlib.sha256(b"\0" + opening.encode("ascii")).digest())  # (7)
            yield f"{s}\t{i}\t{plain}\t{arm}\n".encode()
    yield f"trial\t{design['trial']}\nlist\t{design['list']}\nD\t{d}\n".encode()
    yield f"root\t{root_of(leaves)}\n".encode()

if __name__ == "__main__":
    each = 1 if DESIGN else 2
    require(len(sys.argv) > 1 and len(sys.argv) % each == 1 % each, "give DESIGN and SEED")
    for at in range(1, len(sys.argv), each):
        document = DESIGN.encode() or Path(sys.argv[at]).read_bytes().removesuffix(b"\n")
        seed = Path(sys.argv[at + each - 1]).read_text("utf-8", "replace").strip()
        sys.stdout.buffer.writelines(regenerate(document, seed))
