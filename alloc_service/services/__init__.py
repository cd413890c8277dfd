"""The use-cases; each owns its transaction and writes its log entry inside it."""
