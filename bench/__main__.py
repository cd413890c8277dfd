"""Run the benchmarks that are named, or all; exit 1 where a ratio is not good."""

import sys

from bench import bundle, generation, log_page, pages, reveals, verification

BENCHMARKS = {
    "generation": generation.run,
    "verification": verification.run,
    "bundle": bundle.run,
    "reveals": reveals.run,
    "pages": pages.run,
    "log-page": log_page.run,
}


def main(names: list[str]) -> int:
    """Run, print a line each, and return the exit code."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
        return 2
    good = True
    for name in names or BENCHMARKS:
        for measured in BENCHMARKS[name]():
            print(measured.line(), flush=True)
            good = good and measured.ratio <= measured.limit
    return 0 if good else 1


sys.exit(main(sys.argv[1:]))
