"""What the vectors are made from, one module a subject."""
