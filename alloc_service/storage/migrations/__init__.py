"""The way from each version of the tables to the next; `alloc_service.storage.schema` runs it."""
