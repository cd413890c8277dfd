"""Refusals of the command line."""

from alloc_service.errors.base import InputError, IntegrityError, OperationError
from alloc_service.errors.trial import TypedError


class FormError(TypedError):
    """A participant's form was refused, with every problem of all its parts."""

    code = "bad-form"
    text = "The form was refused and nothing was lost. {summary}."


class InputFileError(InputError):
    """A file that was handed in cannot be read, or does not hold what it should."""

    code = "input-file"
    text = "{path}: {rule}."


class OutputFileError(OperationError):
    """A file or folder to write could not be written."""

    code = "output-file"
    text = (
        "{path} was not written: {reason}. Nothing was overwritten; name another place that can "
        "be written, and ask again."
    )


class RootDiffersError(IntegrityError):
    """A regenerated list has another root than the one it was compared with."""

    code = "root-differs"
    text = (
        "The roots differ: list {list} has {found}, and {compared} is another. Check that design "
        "and seed belong to this list; if they do, the sealed list is not the designed one."
    )
