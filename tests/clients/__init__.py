"""Unmodified clients against a gateway that runs, and what other tests borrow for that."""
