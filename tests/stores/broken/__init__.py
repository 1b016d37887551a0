"""Stores that break one rule each, and the cases of the contract that must notice."""

from tests.stores.broken import atomicity, expiry, index, upkeep, verbs
from tests.stores.broken.registry import BROKEN as BROKEN

__all__ = ["BROKEN", "atomicity", "expiry", "index", "upkeep", "verbs"]
