"""Design and seed make a list: pure functions of the standard library alone."""
