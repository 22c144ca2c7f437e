"""Signing keys: turned, revoked, and found in two hands."""
