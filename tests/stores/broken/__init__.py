"""Stores that break one rule each, and the cases of the contract that must notice."""

from tests.stores.broken import (
    atomicity,
    enrol,
    expiry,
    index,
    narrow_deadlines,
    narrow_index,
    narrow_verbs,
    torn_enrol,
    upkeep,
    verbs,
)
from tests.stores.broken.registry import BROKEN as BROKEN
from tests.stores.broken.registry import NARROW as NARROW

__all__ = [
    "BROKEN",
    "NARROW",
    "atomicity",
    "enrol",
    "expiry",
    "index",
    "narrow_deadlines",
    "narrow_index",
    "narrow_verbs",
    "torn_enrol",
    "upkeep",
    "verbs",
]
