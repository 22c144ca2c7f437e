"""Messages and service of the wire, generated from proto/gateway/v1; `make proto` writes all but this line."""
