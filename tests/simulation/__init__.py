"""Whole regions, their production code, under a seeded clock, network and disk that fail in every way they can."""
