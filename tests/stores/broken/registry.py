"""Where the broken stores are entered, with the cases that must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.stores.reference import ReferenceStore

BROKEN: dict[type[ReferenceStore], tuple[str, ...]] = {}
"""Each broken store and the cases that must fail for it, every one of them."""
NARROW: dict[type[ReferenceStore], str] = {}
"""Of these, the stores that one case catches and no other: without the case they would pass."""

S = TypeVar("S", bound=type[ReferenceStore])


def caught_by(*cases: str) -> Callable[[S], S]:
    """Enter a broken store and the cases that must fail for it."""

    def enter(store: S) -> S:
        BROKEN[store] = cases
        return store

    return enter


def caught_only_by(case: str) -> Callable[[S], S]:
    """Enter a broken store and the one case that must fail for it, while all others pass."""

    def enter(store: S) -> S:
        BROKEN[store] = (case,)
        NARROW[store] = case
        return store

    return enter
