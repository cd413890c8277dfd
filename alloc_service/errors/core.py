"""Refusals of canonical JSON, designs, seeds, lists and trees, and of permissions."""

from alloc_service.errors.base import AccessError, InputError, IntegrityError


class NotAllowedError(AccessError):
    """No current role of this person allows the action."""

    code = "not-allowed"
    text = (
        "You may not {action} here: it takes the role {roles}, held now and for this site. "
        "Ask an administrator which roles you hold."
    )


class DisjointRolesError(AccessError):
    """A person held a role that excludes the new one."""

    code = "disjoint-roles"
    text = (
        "The role {added} cannot be given to somebody who holds or ever held {held} in this "
        "trial: whoever may know the list never enrols, and an administrator has no part in "
        "the trial. Give it to another person."
    )


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


class ShareError(InputError):
    """A party's share of a seed is none."""

    code = "bad-share"
    text = (
        "The share was refused: {rule}. Draw one with `alloc ceremony draw`, or roll a die a "
        "hundred times."
    )


class CeremonyError(InputError):
    """A seed ceremony breaks a rule of rac-seed/1."""

    code = "bad-ceremony"
    text = "This step of the seed ceremony was refused: {rule}. See docs/ceremony.md."


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
