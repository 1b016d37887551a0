"""Purging beside writers in short; `python -m tests.torture.purge` does it with a million rows."""

from __future__ import annotations

import pytest

from coatcheck.store import SQLiteStore
from tests.benchmarks.engines import key_of
from tests.torture.purge import purge

ROWS = 2000


def test_a_purge_beside_writers() -> None:
    """Half of all records go, and of those that live none is gone, changed or unlisted."""
    outcome = purge("sqlite", ROWS)
    assert outcome.removed > 0
    assert outcome.wrong == [], str(outcome)


def test_a_purge_that_takes_a_live_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """One live record that is gone is seen."""
    rightly = SQLiteStore.purge

    def wrongly(store: SQLiteStore, limit: int = 1000, /) -> int:
        store.delete(key_of(ROWS - 2))
        return rightly(store, limit)

    monkeypatch.setattr(SQLiteStore, "purge", wrongly)
    outcome = purge("sqlite", ROWS)
    assert any("is gone" in wrong for wrong in outcome.wrong), str(outcome)
