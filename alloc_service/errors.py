"""Every refusal of the service: one class each, a stable code, a text that says what to do.

A text is a template: it names the fact that is wrong, the rule, and the remedy. Facts are
passed by name and are never an arm, a seed, a password or a key: what is written here may
reach a page, a terminal or a log file.

Branches: `InputError` (what was typed or handed in is wrong), `AccessError` (this person may
not), `StateError` (not now: the trial, list or site is in another state), `IntegrityError`
(stored or signed bytes are not what they must be), `OperationError` (the machine: keys, disk,
database). The edges turn a branch into an exit code or an HTTP status.
"""

from typing import ClassVar


class RefusalError(Exception):
    """Something was refused; nothing was half done.

    Attributes:
        code: Stable, lower-case, for logs and scripts.
        facts: What the text was filled with.
    """

    code: ClassVar[str] = "refused"
    text: ClassVar[str] = "Refused: {rule}."

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.text.format_map(facts))


class InputError(RefusalError):
    """What was typed or handed in breaks a rule."""


class AccessError(RefusalError):
    """This person may not do this."""


class StateError(RefusalError):
    """The trial, the list, the site or the enrolment is in another state."""


class IntegrityError(RefusalError):
    """Bytes are not what a hash, a signature or a rule says they must be."""


class OperationError(RefusalError):
    """The machine cannot: keys, disk, database or clock."""


# --- core: canonical JSON, designs, seeds, lists ---------------------------------------------


class CanonError(InputError):
    """A value has no canonical spelling, or bytes are not spelled canonically."""

    code = "not-canonical"
    text = "{where}: {rule}. Canonical JSON (formats.md, section 1) has one spelling; write it so."


class DesignError(InputError):
    """A design document breaks a rule of rac-gen/1."""

    code = "bad-design"
    text = "Design, {path}: {rule}."


class BlockSizeError(DesignError):
    """A block's size is no positive multiple of the sum of the ratios."""

    code = "bad-block-size"
    text = (
        "A block of {size} cannot hold the arms in their ratio: its size must be a positive "
        "multiple of {unit}, the sum of the ratios."
    )


class SeedError(InputError):
    """A seed is not 64 lower-case hexadecimal digits from a random source."""

    code = "bad-seed"
    text = (
        "The seed was refused: {rule}. Use 64 lower-case hexadecimal digits from a random "
        "source, for example `openssl rand -hex 32`."
    )


class TypedSeedError(AccessError):
    """A typed seed for a trial that is not a test."""

    code = "typed-seed"
    text = (
        "A typed seed was refused for trial {trial}: only a trial whose id starts with TEST- "
        "may be generated with a seed that somebody chose. Leave the seed out."
    )


class ListFileError(InputError):
    """A list file is not the one this design and seed give."""

    code = "bad-list-file"
    text = "{where}: {rule}."


class TreeError(IntegrityError):
    """A proof does not lead to the root, or asks for what the tree does not have."""

    code = "bad-proof"
    text = "The Merkle proof was refused: {rule}."
