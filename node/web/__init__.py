"""The HTTP API of a region, for the systems of that region: JSON in, JSON out, every error a problem (RFC 9457)."""

from node.web.server import application

__all__ = ["application"]
