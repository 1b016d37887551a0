"""Stores that break one rule each, and the cases of the contract that must notice."""

from tests.stores.broken import (
    atomicity,
    expiry,
    index,
    narrow_deadlines,
    narrow_index,
    narrow_verbs,
    upkeep,
    verbs,
)
from tests.stores.broken.registry import BROKEN as BROKEN
from tests.stores.broken.registry import NARROW as NARROW

__all__ = [
    "BROKEN",
    "NARROW",
    "atomicity",
    "expiry",
    "index",
    "narrow_deadlines",
    "narrow_index",
    "narrow_verbs",
    "upkeep",
    "verbs",
]
