"""A key that two requests changed, where a resolver is configured for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from coatcheck import MISSING, SessionManager
from coatcheck.store.memory import MemoryStore

Change = Callable[[Any], None]


def add(base: Any, mine: Any, theirs: Any) -> int:
    """Count what both counted."""
    start, here, there = (0 if value is MISSING else value for value in (base, mine, theirs))
    total: int = there + here - start
    return total


def change_twice(data: dict[str, Any], change: Change, **resolve: Any) -> dict[str, Any]:
    """Let two requests that have read the same make the same change; return what is stored."""
    manager = SessionManager(secret=secrets.token_bytes(), store=MemoryStore(), resolve=resolve)
    handle = manager.create(data=data).handle
    tabs = [manager.find(handle), manager.find(handle)]
    for tab in tabs:
        change(tab)
    for tab in tabs:
        assert tab is not None
        tab.save()
    stored = manager.find(handle)
    assert stored is not None
    return stored.copy()


def test_equal_changes_both_count() -> None:
    """Two requests that change a key alike go to its resolver, like any others that both did."""

    def click(session: Any) -> None:
        session["clicks"] += 1

    assert change_twice({"clicks": 1}, click, clicks=add) == {"clicks": 3}


def test_equal_first_values_both_count() -> None:
    """A key that both requests created goes to the resolver too, with `MISSING` as its base."""

    def click(session: Any) -> None:
        session["clicks"] = session.get("clicks", 0) + 1

    assert change_twice({"other": 1}, click, clicks=add) == {"other": 1, "clicks": 2}


def test_equal_changes_without_a_resolver_are_one() -> None:
    """Without a resolver a value that both requests set to the same is that value."""

    def paint(session: Any) -> None:
        session["color"] = "blue"

    assert change_twice({"color": "red"}, paint) == {"color": "blue"}
