"""gRPC over mutual TLS: the server, the client and one courier per peer."""
