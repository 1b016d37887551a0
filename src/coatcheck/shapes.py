"""A store in the shape in which everything here works with it: awaited, with what it has besides.

Whoever works on stores of both kinds writes its steps once, for the async shape. A blocking store
is called where the caller stands, or in threads; one that is awaited stays as it is.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, cast

from coatcheck import drivers
from coatcheck.store.protocol import (
    AsyncEnrols,
    AsyncPurges,
    AsyncScans,
    AsyncStore,
    AsyncUserIndex,
    Enrols,
    Purges,
    Scans,
    Store,
    UserIndex,
)

AnyStore = Store | AsyncStore


@dataclass(frozen=True, slots=True)
class Shape:
    """A store in the shape of an async one, and those capabilities that it has."""

    given: AnyStore
    """The store as it was given."""
    store: AsyncStore
    users: AsyncUserIndex | None
    purges: AsyncPurges | None
    scans: AsyncScans | None
    enrols: AsyncEnrols | None
    blocking: Store | None = None
    """The store as it was given, where it is called where the caller stands: no call suspends."""

    @property
    def place(self) -> object:
        """What differs where two stores do not keep the same records, but for namespaces."""
        location: str | None = getattr(self.given, "location", None)
        return location or id(self.given)


def is_async(store: AnyStore) -> bool:
    """Say whether the store's methods are to be awaited."""
    return inspect.iscoroutinefunction(store.get)


def never_suspending(store: Store) -> Shape:
    """Return the shape of a blocking store that is called where the caller stands."""
    return replace(_called(store, drivers.Blocking(store), drivers.call_now), blocking=store)


def awaited(store: AnyStore) -> Shape:
    """Return the shape of a store in a program with an event loop.

    A blocking one is called in threads, unless it says that it `never_blocks`.
    """
    if is_async(store):
        return Shape(
            store,
            cast("AsyncStore", store),
            store if isinstance(store, AsyncUserIndex) else None,
            store if isinstance(store, AsyncPurges) else None,
            store if isinstance(store, AsyncScans) else None,
            store if isinstance(store, AsyncEnrols) else None,
        )
    given = cast("Store", store)
    if getattr(given, "never_blocks", False):
        return never_suspending(given)
    return _called(given, drivers.Threaded(given), drivers.in_thread)


def _called(given: Store, shaped: AsyncStore, call: drivers.Call) -> Shape:
    # A protocol that is checked at run time says nothing of the store's other methods.
    store: Any = given
    return Shape(
        given,
        shaped,
        drivers.CalledIndex(store, call) if isinstance(store, UserIndex) else None,
        drivers.CalledPurges(store, call) if isinstance(store, Purges) else None,
        drivers.CalledScans(store, call) if isinstance(store, Scans) else None,
        drivers.CalledEnrols(store, call) if isinstance(store, Enrols) else None,
    )
