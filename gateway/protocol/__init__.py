"""The rules of the channel as pure decisions: no input or output, no clock of its own."""
