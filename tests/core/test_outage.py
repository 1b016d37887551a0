"""`on_store_error="anonymous"` where there is no page to be shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from coatcheck import AsyncSessionManager, SessionManager, StoreError
from coatcheck.store import MemoryStore
from tests.core.harness import SECRET


class Burning(MemoryStore):
    """A store that can be set on fire."""

    burns = False

    def get(self, key: str, /) -> Any:
        if self.burns:
            raise StoreError("the disk is on fire")
        return super().get(key)


def test_a_manager_tells_of_a_broken_store() -> None:
    """Else a job would take everybody for signed out."""
    store = Burning()
    manager = SessionManager(secret=SECRET, store=store, on_store_error="anonymous")
    awaited = AsyncSessionManager(secret=SECRET, store=store, on_store_error="anonymous")
    session_id = manager.create("ada").id
    store.burns = True
    with pytest.raises(StoreError, match="fire"):
        manager.open(session_id)
    with pytest.raises(StoreError, match="fire"):
        asyncio.run(awaited.open(session_id))
