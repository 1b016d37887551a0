"""What the tests of the seeds' lines have in common."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck import SessionService
from tests.seeds.services import BACKENDS, Place


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """An empty folder where there is no disk to wait for, if possible."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, quick: Path) -> Place:
    """A folder in which one of the backends keeps sessions."""
    return Place(quick / "sessions", request.param)


@pytest.fixture
def service(place: Place) -> Iterator[SessionService]:
    """The service of that folder, with its defaults."""
    with place.open() as opened:
        yield opened
