"""Where the broken stores are entered, with the cases that must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.stores.reference import ReferenceStore

BROKEN: dict[type[ReferenceStore], tuple[str, ...]] = {}
"""Each broken store and the cases that must fail for it, every one of them."""

S = TypeVar("S", bound=type[ReferenceStore])


def caught_by(*cases: str) -> Callable[[S], S]:
    """Enter a broken store and the cases that must fail for it."""

    def enter(store: S) -> S:
        BROKEN[store] = cases
        return store

    return enter
