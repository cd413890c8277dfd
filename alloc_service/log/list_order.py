"""Of several active lists the lowest whose stratum is not exhausted is taken.

The log alone cannot tell, for it knows no stratum codes; with the designs it can be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alloc_service.errors import BundleError
from alloc_service.log.entry import Entry


@dataclass(slots=True)
class ListOrder:
    """What happened to the lists, as far as it says which of them were at hand when.

    Attributes:
        steps: (seq, list, stratum) of each spent slot; stratum -1 for a list that was activated,
            -2 for one that was retired.
    """

    steps: list[tuple[int, int, int]] = field(default_factory=list)
    _active: int = 0

    ACTIVATED = -1
    RETIRED = -2

    def see(self, entry: Entry) -> None:
        """Take note of an entry of a good log."""
        body = entry.body
        if entry.type == "slot.assigned":
            self.steps.append((entry.seq, body["list"], body["stratum"]))
        elif entry.type == "list.activated":
            self.steps.append((entry.seq, body["list"], self.ACTIVATED))
            self._active += 1
        elif entry.type == "log.recovered":
            self.steps += [(entry.seq, number, self.RETIRED) for number in body["retired"]]

    @property
    def is_a_choice(self) -> bool:
        """Tell whether there ever was more than one list to choose from."""
        return self._active > 1

    def check(self, codes: Mapping[int, Sequence[str]], slots: Mapping[int, Sequence[int]]) -> None:
        """Check the choice of every slot.

        Args:
            codes: Each activated list's strata, from its design.
            slots: Each list's slots a stratum, as logged.

        Raises:
            BundleError: A slot was taken of a list although a lower one had one left.
        """
        left: dict[int, dict[str, int]] = {}
        for seq, number, stratum in self.steps:
            if stratum == self.ACTIVATED:
                left[number] = dict(zip(codes[number], slots[number], strict=False))
            elif stratum == self.RETIRED:
                left.pop(number, None)
            else:
                code = codes[number][stratum]
                lower = [item for item in left if item < number and left[item].get(code, 0)]
                if lower:
                    rule = (
                        f"entry {seq} took a slot of list {number}, and list {min(lower)} had one "
                        "left in its stratum"
                    )
                    raise BundleError(where="audit/entries.ndjson", rule=rule)
                left[number][code] -= 1
