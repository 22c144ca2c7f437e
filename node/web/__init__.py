"""The HTTP API of a region, for the systems of that region."""
