"""What was found in evidence that is good: what holds, what to know, what was not there."""

from dataclasses import asdict, dataclass

from alloc_service.core.canon import Json


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """What was found in a good bundle or receipt.

    Attributes:
        origin: The log's name.
        size: Entries of the log that was vouched for.
        root: HEX32 root over them.
        checked: What holds, a sentence each.
        told: What a reader should know of it although it is no fault, a sentence each.
        unchecked: What was not there to check, a sentence each.
        build: Of a bundle, `blinded` or `unblinded`; of a receipt, "".
    """

    origin: str
    size: int
    root: str
    checked: tuple[str, ...]
    told: tuple[str, ...]
    unchecked: tuple[str, ...]
    build: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return what a script is given."""
        return {"ok": True, **asdict(self)}
