"""Agreements: what their people do and what follows from both logs; and transfers judged under them."""
