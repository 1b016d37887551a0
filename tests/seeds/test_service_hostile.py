"""Hostile values: whatever a method is given, it answers with a result, and no session is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coatcheck import Result, SessionService
from tests.seeds.services import begun, data_of, got, lives, refused, replaced


class Hostile:
    """An object of which everything raises, an error that cannot be shown among it."""

    class Unspeakable(Exception):
        """An error whose text is an error."""

        def __str__(self) -> str:
            raise RuntimeError("no text")

    def _raise(self, *_: object) -> Any:
        raise self.Unspeakable

    __eq__ = __bool__ = __len__ = __iter__ = __str__ = __repr__ = __getitem__ = _raise
    __hash__ = keys = encode = __fspath__ = __float__ = __index__ = _raise


class HostileDict(dict[Any, Any]):
    """A dict that is one by its type only."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no keys")

    def keys(self) -> Any:
        raise RuntimeError("no keys")

    def __contains__(self, key: object) -> bool:
        raise RuntimeError("no keys")


class Text(str):
    """A string of another class."""


def endless() -> list[Any]:
    """Return a list that contains itself."""
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "empty": lambda: "",
    "zero": lambda: 0,
    "true": lambda: True,
    "float": lambda: 1.5,
    "nan": lambda: float("nan"),
    "infinite": lambda: float("inf"),
    "huge int": lambda: 10**5000,
    "negative": lambda: -(10**5000),
    "bytes": lambda: b"ann",
    "text": lambda: Text("text"),
    "nul": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "long": lambda: "x" * 10_000_000,
    "path": lambda: "../../etc/passwd",
    "sql": lambda: "' OR 1=1; DROP TABLE sessions; --",
    "list": lambda: ["ann"],
    "dict": lambda: {"ann": 1},
    "keys": lambda: {object(): 1},
    "object": object,
    "class": lambda: dict,
    "function": lambda: endless,
    "generator": lambda: (number for number in range(3)),
    "endless": endless,
    "deep": lambda: deep(100_000),
    "hostile": Hostile,
    "hostile inside": lambda: {"a": [Hostile()]},
    "hostile dict": lambda: HostileDict(a=1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_refused_or_stored_and_nothing_is_lost(
    service: SessionService, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each argument of each method: a result, with a message where it failed, and no exception."""
    session = begun(service, data={"kept": [1]})
    make = HOSTILE[name]
    calls: list[Callable[[], Result]] = [
        lambda: service.new_session(make()),
        lambda: service.new_session("bob", data=make()),
        lambda: service.new_session("bob", session_timeout=make()),
        lambda: service.get_session(make()),
        lambda: service.delete_session(make()),
        lambda: service.delete_user_session(make()),
    ]
    for call in calls:
        result = call()
        if not result:
            message = refused(result, ": ").message
            assert len(message) < 500
        assert lives(service, session)
    held = got(service, session)
    value = make()
    if held.set_data(value):
        held.is_dirty()
        held.status()
        result = held.save()
        if result:
            assert repr(data_of(got(service, session))) == repr(value)
        else:
            refused(result, "save: ")
            assert held.is_dirty()
            assert data_of(got(service, session)) == {"kept": [1]}
    replaced(held, {"mended": 1})
    assert data_of(got(service, session)) == {"mended": 1}


def test_too_much_data_is_refused_with_the_limit(service: SessionService) -> None:
    """What was saved before stands, and less can be saved."""
    session = begun(service, data={"a": 1})
    session.set_data({"large": "x" * 100_000})
    result = refused(session.save(), "save: the session takes")
    assert "raise max_size" in result.message
    assert result.code == "limit"
    assert data_of(got(service, session)) == {"a": 1}
    replaced(session, {"less": 1})
