"""A place in which a page is tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.snippets import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty folder, which is the working directory, in a process that was told nothing yet."""
    monkeypatch.setattr("coatcheck.store.keyvalue._warned", False)
    monkeypatch.setattr("coatcheck.client_side.store._warned", False)
    space = Workspace(tmp_path, monkeypatch)
    yield space
    space.close()
