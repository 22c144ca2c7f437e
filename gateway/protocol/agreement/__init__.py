"""Agreements: the document, its life and rules, and the verdicts under it."""
