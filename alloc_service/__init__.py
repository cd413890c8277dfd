"""Randomization and allocation concealment service for clinical trials."""

__version__ = "0.1.0"
