"""An unexpected fault as the places where it happened, for whoever mends the program."""

from traceback import StackSummary, extract_tb


def describe_places(error: BaseException, reference: str) -> str:
    """Return the places of a fault and of what led to it: neither its words nor any value."""
    lines = [f"reference {reference}"]
    seen: BaseException | None = error
    while seen is not None:
        kind = type(seen)
        lines.append(f"{kind.__module__}.{kind.__qualname__}")
        frames: StackSummary = extract_tb(seen.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines) + "\n"
