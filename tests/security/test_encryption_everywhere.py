"""What the core promises, it promises with encryption too: the same tests, once more."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

import tests.core.test_clear as clear
import tests.core.test_commit as commit
import tests.core.test_ending as ending
import tests.core.test_lifecycle_open as lifecycle_open
import tests.core.test_mute as mute
import tests.core.test_promises as promises
import tests.core.test_refresh as refresh
import tests.core.test_rotation as rotation
import tests.core.test_saving as saving
import tests.core.test_succession as succession
import tests.core.test_succession_races as races
from coatcheck.sealing import Sealing
from tests.core.harness import Browser, Harness, put
from tests.security.vault import Mode, each_mode

MODULES = (
    *(clear, commit, ending, lifecycle_open, mute, promises, refresh, rotation, saving),
    *(succession, races),
)
Play = Callable[..., object]


def _same(one: object, other: object) -> bool:
    return True


def plays_of(module: ModuleType) -> Iterator[Play]:
    """Yield the tests of a module that take a server, a browser and their session alone."""
    for name, play in vars(module).items():
        if not name.startswith("test_") or hasattr(play, "pytestmark"):
            continue
        if inspect.signature(play).parameters.keys() <= {"harness", "browser", "session", "clock"}:
            yield play


PLAYS = [play for module in MODULES for play in plays_of(module)]


@each_mode
@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__.removeprefix("test_"))
def test_a_promise_is_kept_with_encryption(
    play: Play, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merges, races, sign-ins, endings and mute requests come out as they do without."""
    # These tests compare records, which are the same whatever they are sealed with.
    monkeypatch.setattr(Sealing, "__eq__", _same)
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    given: dict[str, object] = {"harness": harness, "browser": browser, "clock": harness.clock}
    wanted = inspect.signature(play).parameters
    if "session" in wanted:
        browser.visit(put(name="Ann", cart=["tea"], nested={"a": {"b": [1]}}, n=1))
        harness.store.take()
        given["session"] = browser.begin().session
    play(**{name: given[name] for name in wanted})


def test_there_are_many_of_them() -> None:
    """The tests that are played again are found by what they take."""
    assert len(PLAYS) > 80
