"""What the simulation looks for."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise was broken."""
