"""S-110, S-111 and S-113: where sessions are kept. Those in the cookie have their own module."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from coatcheck import ConfigurationError, SessionManager
from coatcheck.drivers import Blocking
from coatcheck.store import AsyncKeyValueStore, KeyValueStore, MemoryStore
from coatcheck.store.keyvalue import AsyncKeyValue, KeyValue
from coatcheck.store.protocol import AsyncStore, Conflict, Gone, Stored, Updated
from coatcheck.testing import ManualClock
from tests.adapters.site import SECRET, Site, look, put, read
from tests.adapters.taps import make_store
from tests.seeds.middleware import everywhere

KEY = "0123456789abcdef" * 2
VERBS = ("get", "create", "update", "touch", "delete")


@everywhere(kind="keyvalue")
def test_s_110_any_object_with_get_set_and_delete_is_a_store(site: Site) -> None:
    """Awaited behind ASGI; a method that is missing is said before the first request."""
    browser = site.browser()
    browser.get(put(a=1))
    browser.get(put(b=[2]))
    assert browser.get(look).body == "{'a': 1, 'b': [2]}"
    browser.get(lambda session: session.destroy())
    assert browser.get(look).body == "{}"
    wrapper, base = (
        (AsyncKeyValueStore, AsyncKeyValue) if site.door == "asgi" else (KeyValueStore, KeyValue)
    )
    unfinished: Any = type("Unfinished", (), {"get": len, "delete": len})
    with pytest.raises(ConfigurationError, match=r"get\(id\), set\(id, data\).*without set\)"):
        wrapper(unfinished())
    derived: Any = type("Derived", (base,), {"get": len, "delete": len})
    with pytest.raises(TypeError, match="abstract method '?set'?"):
        derived()


@pytest.mark.parametrize(
    "kind", ["memory", "file", "sqlite", "keyvalue", "async-sqlite", "async-keyvalue"]
)
def test_s_111_stores_come_blocking_and_awaitable(kind: str, tmp_path: Path) -> None:
    """A missing key is `None`; what a write answers, and what `delete` removed, is the outcome."""
    clock = ManualClock()
    later = clock() + 60
    store: Any = make_store(kind, tmp_path, clock)
    awaited = kind.startswith("async-")
    assert [inspect.iscoroutinefunction(getattr(store, verb)) for verb in VERBS] == [awaited] * 5
    verbs: AsyncStore = store if awaited else Blocking(store)

    async def play() -> None:
        assert await verbs.get(KEY) is None
        assert await verbs.delete(KEY) is None
        assert await verbs.update(KEY, b"x", version=1, expires_at=later) == Gone()
        assert await verbs.create(KEY, b"a", expires_at=later, user_id=None) is True
        assert await verbs.create(KEY, b"z", expires_at=later, user_id=None) is False
        assert await verbs.get(KEY) == Stored(1, later, b"a")
        assert await verbs.update(KEY, b"b", version=1, expires_at=later) == Updated(2)
        stale = await verbs.update(KEY, b"c", version=1, expires_at=later)
        assert stale == Conflict(Stored(2, later, b"b"))
        assert await verbs.touch(KEY, version=2, expires_at=later + 1) is True
        assert await verbs.delete(KEY) == Stored(2, later + 1, b"b")
        assert await verbs.get(KEY) is None
        if awaited:
            await store.aclose()
        elif hasattr(store, "close"):
            store.close()

    asyncio.run(play())


@everywhere()
def test_s_113_who_shares_a_memory_store_shares_its_sessions(site: Site) -> None:
    """Managers and sites over one see the same, over another nothing; `clear_all` empties it."""
    store: Any = site.tap.store
    assert isinstance(store, MemoryStore)
    shared, apart = (
        SessionManager(store=one, secret=SECRET, clock=site.clock, purge="never")
        for one in (store, MemoryStore(clock=site.clock))
    )
    browser, beside = site.browser(), site.twin().browser()
    browser.get(put(a=1))
    session_id = beside.id = browser.id or ""
    assert beside.get(read("a")).body == "1"
    opened = shared.open(session_id)
    assert opened is not None
    assert dict(opened) == {"a": 1}
    assert apart.open(session_id) is None
    store.clear_all()
    assert shared.open(session_id) is None
    assert browser.get(look).body == "{}"
    assert site.live() == 0
