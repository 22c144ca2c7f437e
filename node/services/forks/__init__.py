"""When two histories of one log exist: the evidence, and the repair both regions sign."""
