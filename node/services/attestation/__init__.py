"""Attestations: facts, codes to share them, what is told to others and recognised of them."""
