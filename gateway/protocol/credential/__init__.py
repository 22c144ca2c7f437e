"""Credentials: what is attested, for anybody who can check a signature."""
