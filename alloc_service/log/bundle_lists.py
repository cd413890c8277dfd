"""The lists of a bundle against its log: leaves, openings, design, ceremony, seed.

`leaves.bin` must lead to the logged root, and each spent slot's leaf must be the logged one. An
opening must be that of a spent slot: one of a slot to come would give the list away, and is
refused as a fault of whoever made the bundle. The design must hash to the logged D; ceremony and
seed are `bundle_seed`'s; design and seed together make the whole list anew, and its root too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from alloc_service.core.design import Design
from alloc_service.core.generate import Opening, generate
from alloc_service.core.merkle import HASH_BYTES, root_of
from alloc_service.errors import BundleError, CanonError, DesignError, ListFileError
from alloc_service.log.bundle_seed import (
    DRAND,
    check_ceremony,
    check_seed,
    parse_ceremony,
    parse_opened_seed,
)
from alloc_service.log.state import Assigned, Ceremony, ListState, LogState

_LINE = re.compile(rb"(0|[1-9][0-9]{0,6})\t([!-~]+)\n")


@dataclass(slots=True)
class CheckedList:
    """A list whose members were found good.

    Attributes:
        number: The list's.
        codes: Its strata's codes, where the design is there.
        opened: How many spent slots have their opening here, of how many.
        design: Whether its design is there and is the frozen one.
        made_anew: Whether seed and design are there and gave the very list.
        unchecked: What was not there to check, a sentence each.
    """

    number: int
    codes: tuple[str, ...] = ()
    opened: int = 0
    spent: int = 0
    design: bool = False
    made_anew: bool = False
    unchecked: list[str] = field(default_factory=list)


class ListMembers:
    """The members of one list, to be checked against the state of the verified log."""

    def __init__(self, members: Mapping[str, bytes], number: int, state: LogState) -> None:
        self._members = members
        self._number = number
        self._closed = state.trial == "closed"
        self._origin = state.origin
        self._known: ListState = state.lists[number]
        self._ceremony: Ceremony | None = state.ceremonies.get(self._known.ceremony)
        starts = [0, *accumulate(self._known.slots)]
        self._spent = {
            starts[item.stratum] + item.slot: item
            for item in state.assigned.values()
            if item.list == number
        }

    def check(self) -> CheckedList:
        """Check every member of this list.

        Raises:
            BundleError: The first that is not what the log says.
        """
        found = CheckedList(self._number, spent=len(self._spent))
        leaves = self._check_leaves()
        self._check_openings(found)
        design = self._check_design(found)
        self._check_ceremony(found)
        self._check_seed(found, leaves, design)
        return found

    def _check_leaves(self) -> Sequence[bytes]:
        where, data = self._find("leaves.bin")
        if data is None:
            raise BundleError(where=where, rule="it is missing, and the log has sealed this list")
        count = sum(self._known.slots)
        _require(len(data) == count * HASH_BYTES, where, f"it is not of {count:,} leaves")
        leaves = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        root = root_of(leaves).hex()
        _require(root == self._known.root, where, "its root is not the one that list.sealed logged")
        for index, item in self._spent.items():
            logged = leaves[index].hex() == item.leaf
            _require(logged, where, f"the leaf that entry {item.seq} logged is not in its place")
        return leaves

    def _check_openings(self, found: CheckedList) -> None:
        where, data = self._find("openings.txt")
        if data is None:
            if self._spent:
                found.unchecked.append(
                    f"No opening of list {self._number} is here: that its {len(self._spent):,} "
                    "spent slots hold arms as designed is not checked."
                )
            return
        last = -1
        for index, text in _read_openings(data, where):
            _require(index > last, where, "its lines are not sorted by index, each once")
            item = self._spent.get(index)
            if item is None:
                rule = f"index {index} is of no slot that is spent; others stay sealed"
                raise BundleError(where=where, rule=rule)
            self._check_opening(where, index, item, text)
            last = index
            found.opened += 1
        if found.opened < len(self._spent):
            missing = len(self._spent) - found.opened
            found.unchecked.append(
                f"Spent slots of list {self._number} without their opening here: {missing:,}."
            )

    def _check_opening(self, where: str, index: int, item: Assigned, text: str) -> None:
        try:
            opening = Opening.parse(text)
        except ListFileError:
            rule = f"index {index} has no opening (rac-slot/1)"
            raise BundleError(where=where, rule=rule) from None
        of_design = opening.design_sha256 == self._known.design_sha256
        _require(of_design, where, f"the opening of index {index} is of another design")
        same = (opening.stratum, opening.slot) == (item.stratum, item.slot)
        _require(same, where, f"the opening of index {index} is of another stratum or slot")
        rule = f"the opening of index {index} is not the one that its leaf commits to"
        _require(opening.leaf.hex() == item.leaf, where, rule)

    def _check_design(self, found: CheckedList) -> Design | None:
        where, data = self._find("design.json")
        if data is None:
            found.unchecked.append(
                f"No design of list {self._number} is here: its arms, blocks and strata are not "
                "checked."
            )
            return None
        try:
            design = Design.from_bytes(data)
        except (CanonError, DesignError):
            raise BundleError(where=where, rule="it is no design (rac-gen/1)") from None
        frozen = design.sha256 == self._known.design_sha256
        _require(frozen, where, "its hash is not the one that design.frozen logged")
        trial = self._origin.partition("/")[2].rpartition("/")[0]
        of_list = (design.trial, design.list) == (trial, self._number)
        _require(of_list, where, "it is of another trial or list")
        slots = tuple(stratum.slots for stratum in design.strata)
        _require(slots == self._known.slots, where, "its slots are not those of list.sealed")
        found.codes = tuple(stratum.code for stratum in design.strata)
        found.design = True
        return design

    def _check_ceremony(self, found: CheckedList) -> None:
        where, data = self._find("ceremony.json")
        name, logged = self._known.ceremony, self._ceremony
        if data is None:
            if logged is not None:
                found.unchecked.append(
                    f"The document of the ceremony {name} of list {self._number} is not here."
                )
            return
        if logged is None:
            raise BundleError(where=where, rule="the log has no ceremony of this list's seed")
        document = parse_ceremony(data, where)
        check_ceremony(document, name, logged, self._known.design_sha256, where)
        if document.beacon is not None and document.beacon["kind"] == DRAND:
            found.unchecked.append(
                f"Whether {logged.beacon} is what drand published for round "
                f"{document.beacon['round']} is not checked here: ask any of its servers."
            )

    def _check_seed(
        self, found: CheckedList, leaves: Sequence[bytes], design: Design | None
    ) -> None:
        where, data = self._find("seed.json")
        if data is None:
            found.unchecked.append(
                f"No seed of list {self._number} is here: the list is not made anew."
            )
            return
        _require(self._closed, where, "the trial is not closed: a seed must not be here yet")
        opened = parse_opened_seed(data, where)
        known = self._known
        check_seed(opened, known.ceremony, self._ceremony, known.design_sha256, where)
        if design is None:  # that it is not here is told already
            return
        made = generate(design, opened.seed)
        rule = "with the design it gives another list than the sealed one (rac-gen/1)"
        _require(made.root == self._known.root and made.leaves == b"".join(leaves), where, rule)
        found.made_anew = True

    def _find(self, name: str) -> tuple[str, bytes | None]:
        where = f"lists/{self._number}/{name}"
        return where, self._members.get(where)


def write_openings(openings: Mapping[int, Opening]) -> bytes:
    """Return `openings.txt` of openings by the index of their leaves."""
    lines = (f"{index}\t{openings[index].text}\n" for index in sorted(openings))
    return "".join(lines).encode("ascii")


def _read_openings(data: bytes, where: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            rule = f"line {number} is not an index, a tab, an opening and a line feed"
            raise BundleError(where=where, rule=rule)
        yield int(match[1]), match[2].decode("ascii")


def _require(holds: bool, where: str, rule: str) -> None:
    if not holds:
        raise BundleError(where=where, rule=rule)
