"""Disputes between regions: steps, what they freeze, and what follows from their end."""
