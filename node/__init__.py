"""What one region may change alone: its ledger, its store, its services and how people reach them."""
