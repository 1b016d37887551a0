"""Proof that the tests bite: each promise is broken on purpose, in a copy, and must be missed."""
