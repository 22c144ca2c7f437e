"""Fixtures for tests of the command line."""

from tests.cli.commands import hutong

__all__ = ["hutong"]
