"""After a restore: noticing it, getting back what was said, and doing it again."""
