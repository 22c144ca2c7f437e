"""Backups of a region: taken, restored and drilled."""
