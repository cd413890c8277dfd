"""Every table there is: SQLAlchemy knows a table once the module that maps it is imported."""

from alloc_service.storage import evidence, models, people
from alloc_service.storage.base import Base

MAPPED = (evidence, models, people)
METADATA = Base.metadata
