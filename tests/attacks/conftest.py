"""What the attacks begin from: an installation at a stage of a trial's life."""

from tests.support.stages import active, approved, open_stage, shelf, staffed

__all__ = ["active", "approved", "open_stage", "shelf", "staffed"]
