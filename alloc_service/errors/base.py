"""The base of every refusal, and its branches."""

from typing import ClassVar


class RefusalError(Exception):
    """Something was refused; nothing was half done.

    Attributes:
        code: Stable, lower-case, for logs and scripts.
        label: What the text begins with where it names a field, with the colon after it.
        facts: What the text was filled with.
    """

    code: ClassVar[str] = "refused"
    text: ClassVar[str] = "Refused: {rule}."
    label: ClassVar[str] = ""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.text.format_map(facts))

    @property
    def unlabelled(self) -> str:
        """Return the text for a place that names the field already."""
        return str(self).removeprefix(self.label.format_map(self.facts))


class InputError(RefusalError):
    """What was typed or handed in breaks a rule."""


class AccessError(RefusalError):
    """This person may not do this."""


class PaceError(RefusalError):
    """Too often: the same may be asked again later."""


class StateError(RefusalError):
    """The trial, the list, the site or the enrolment is in another state."""


class IntegrityError(RefusalError):
    """Bytes are not what a hash, a signature or a rule says they must be."""


class OperationError(RefusalError):
    """The machine cannot: keys, disk, database or clock."""
