"""Points as arithmetic: lots, holds and postings, with no database."""
