"""The LMDB store keeps every rule that holds for all stores, and is opened by its URL."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from coatcheck import ConfigurationError, SessionManager, StoreError, open_async_store, open_store
from coatcheck.clock import Clock
from coatcheck.store.protocol import DEFAULT_NAMESPACE
from coatcheck.testing import MakeStore, ManualClock, StoreContract
from coatcheck.testing.store_cases.base import Capability, OtherProcess
from coatcheck_lmdb import LMDBStore


class TestLMDBStore(StoreContract):
    """The suite that Coatcheck publishes: all of it, for this store has all capabilities."""

    capabilities = frozenset[Capability]({"index", "purge", "scan", "enrol"})

    @pytest.fixture
    def make_store(self, tmp_path: Path, clock: ManualClock) -> MakeStore:
        """Return what opens the store."""
        now = clock

        def make(*, namespace: str = DEFAULT_NAMESPACE, clock: Clock = now) -> LMDBStore:
            return LMDBStore(tmp_path, namespace=namespace, clock=clock)

        return make

    @pytest.fixture
    def other_process(self, tmp_path: Path) -> OtherProcess:
        """Return what opens it in another process."""
        return functools.partial(LMDBStore, tmp_path)


def test_the_url_names_the_store(tmp_path: Path) -> None:
    """The entry point of this distribution makes `lmdb://` a URL like any other."""
    store = open_store(f"lmdb://{tmp_path}/sessions?size=8", namespace="shop")
    assert type(store) is LMDBStore
    assert store.namespace == "shop"
    assert type(open_async_store(f"lmdb://{tmp_path}/sessions")) is LMDBStore


@pytest.mark.parametrize("url", ["lmdb://", "lmdb://host/x", "lmdb:///x?size=1.5", "lmdb:///x?y=1"])
def test_a_bad_url_says_what_to_write(url: str) -> None:
    """What is wrong with it is no surprise of a later moment."""
    with pytest.raises(ConfigurationError, match=r"write lmdb:|size=256|namespace and size"):
        open_store(url)


def test_a_full_environment_is_a_store_error(tmp_path: Path) -> None:
    """Nothing of the session that did not fit is left, and the others stand."""
    manager = SessionManager(
        secret="Xk4Qp8sT2vZ6bN1cF7gJ3hR9dL5wY0mA", store=f"lmdb://{tmp_path}?size=1"
    )
    session_id = manager.create("ada", {"basket": ["hat"]}).id

    def fill() -> None:
        for _ in range(100):
            manager.create("bob", {"text": "x" * 60_000})

    with pytest.raises(StoreError, match="MDB_MAP_FULL"):
        fill()
    session = manager.open(session_id)
    assert session is not None
    assert session["basket"] == ["hat"]


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    """Like any other trouble of the machine."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="failed"):
        LMDBStore(tmp_path / "file" / "sessions")
