"""Benchmarks: each prints a ratio to a floor that is measured in the same run.

`make bench`, or `python -m bench [generation] [verification] [bundle] [reveals]`. A figure
without its floor says more about the machine than about the program. Floor and subject take
turns, so that a busy machine slows both; the ratio is that of their medians.
"""
