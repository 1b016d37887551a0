"""Where the sessions of a schedule lie: any store with a blocking form, emptied before each run."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Final, cast

from coatcheck import open_store
from coatcheck.testing.clock import ManualClock
from tests.core.harness import FullStore
from tests.core.schedules import Place

USERS: Final = ("A", "B")
"""All users of all schedules."""


@contextmanager
def place_of(url: str, clock: ManualClock) -> Generator[Place]:
    """Open the store of a URL, and give what empties it of the keys that were used."""
    if url == "memory://":
        yield lambda _: cast("FullStore", open_store(url, clock=clock))
        return
    store = cast("FullStore", open_store(url, clock=clock))
    used: Collection[str] = ()

    def emptied(keys: Collection[str]) -> FullStore:
        nonlocal used
        used = keys
        for key in keys:
            store.delete(key)
        for user in USERS:
            for entry in store.entries(user):
                store.forget(user, entry.key)
        return store

    try:
        yield emptied
    finally:
        emptied(used)
        close = getattr(store, "close", None)
        if close is not None:
            close()
