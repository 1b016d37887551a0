"""What the tests of the seeds' lines have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck import SessionService
from tests.seeds.services import BACKENDS, Place


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder in which one of the backends keeps sessions."""
    return Place(tmp_path / "sessions", request.param)


@pytest.fixture
def service(place: Place) -> Iterator[SessionService]:
    """The service of that folder, with its defaults."""
    with place.open() as opened:
        yield opened
