"""Clawback: what fraud created is taken back along every transfer that carried it."""
