"""Roaming redemption: at home, where points are held, and at the counter, where they are spent."""
