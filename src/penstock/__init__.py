"""Penstock trains every classic family of deep network through one engine."""

__version__ = "0.1.0"
