"""What two regions must agree on: the wire, the channel and the connection. No database, no accounts."""
