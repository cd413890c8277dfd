"""Refusals of figures."""

from alloc_service.errors.base import InputError


class FigureError(InputError):
    """A figure, a simulation or a forecast was asked for with a number that breaks a rule."""

    code = "bad-figure"
    text = "The figure was not computed: {name} must be {rule}. Correct it and ask again."
