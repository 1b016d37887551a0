"""An update that follows a read: the server compares the value that was read, without a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from coatcheck.store.protocol import Conflict, Gone, Stored, Updated
from coatcheck.store.redis import scripts
from coatcheck.store.redis.keys import HORIZON
from coatcheck.store.redis.recent import LARGEST, MOST, Recent, swapped
from coatcheck.testing import ManualClock
from tests.servers import redis as servers
from tests.stores.redis_ways import KEY, KEYS, NEVER, Way

_REDIS: Any = redis.Redis
SWAP, SCRIPT = {"set": 1}, {"evalsha": 1, "set": 1}
HOUR = 3600.0
INDEX = b"coatcheck/u/ann"


@pytest.fixture
def url() -> str:
    """The URL of an empty database."""
    return servers.fresh_url()


@pytest.fixture
def raw(url: str) -> Iterator[Any]:
    """A client of redis-py, to look with."""
    client = _REDIS.from_url(url, protocol=2)
    yield client
    client.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture(params=["url", "async-url"])
def way(request: pytest.FixtureRequest, url: str, clock: ManualClock) -> Iterator[Way]:
    """A store that talks to the server itself."""
    with Way(request.param, url, clock=clock) as way:
        yield way


@pytest.fixture
def other(url: str, clock: ManualClock) -> Iterator[Way]:
    """A store in another process, as far as the first one knows."""
    with Way("url", url, clock=clock) as other:
        yield other


@pytest.fixture
def cost(raw: Any) -> Callable[[Callable[[], Any]], tuple[Any, dict[str, int]]]:
    """Return what a call returns, and the commands that it took; the scripts are known."""
    raw.script_load(scripts.UPDATE.text)

    def ask(call: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
        raw.config_resetstat()
        result = call()
        stats: dict[str, dict[str, int]] = raw.info("commandstats")
        names = ("set", "get", "evalsha", "pexpire")
        found = {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}
        return result, {name: calls for name, calls in found.items() if calls}

    return ask


def test_who_has_read_needs_no_script(way: Way, raw: Any, cost: Any) -> None:
    """An update after a read is one command, with deadline and time to live as by script."""
    way.create(KEY, b"old")
    way.get(KEY)
    assert cost(lambda: way.update(KEY, b"new")) == (Updated(2), SWAP)
    assert way.get(KEY) == Stored(2, NEVER, b"new")
    assert raw.pttl(b"coatcheck/s/" + KEY.encode()) > 0
    assert cost(lambda: way.__getattr__("update")(KEY, b"", version=2, expires_at=None)) == (
        Updated(3),
        SWAP,
    )
    assert raw.pttl(b"coatcheck/s/" + KEY.encode()) == -1
    assert way.get(KEY) == Stored(3, None, b"")


def test_a_conflict_brings_the_record_along(way: Way, other: Way, cost: Any) -> None:
    """What another process wrote since is neither overwritten nor asked for."""
    way.create(KEY, b"old")
    way.get(KEY)
    other.update(KEY, b"theirs")
    conflict = Conflict(Stored(2, NEVER, b"theirs"))
    assert cost(lambda: way.update(KEY, b"mine")) == (conflict, SWAP)
    assert way.get(KEY) == Stored(2, NEVER, b"theirs")


def test_what_was_removed_stays_so(way: Way, other: Way, cost: Any) -> None:
    """A record that another process has deleted since is not brought back."""
    way.create(KEY, b"old")
    way.get(KEY)
    other.delete(KEY)
    assert cost(lambda: way.update(KEY, b"mine")) == (Gone(), SCRIPT)
    assert way.get(KEY) is None


def test_what_has_expired_stays_so(way: Way, other: Way, raw: Any, clock: ManualClock) -> None:
    """Neither what was read nor what came after it is written once it has expired."""
    for first in (True, False):
        raw.flushdb()
        deadline = clock() + HOUR
        way.__getattr__("create")(KEY, b"old", expires_at=deadline, user_id=None)
        way.get(KEY)
        if not first:
            sooner = clock() + 60
            other.__getattr__("update")(KEY, b"theirs", version=1, expires_at=sooner)
        clock.advance(HOUR if first else 60)
        assert way.update(KEY, b"mine") == Gone()
        assert way.get(KEY) is None


def test_a_touch_is_no_conflict(way: Way, other: Way, cost: Any) -> None:
    """A deadline that was moved since, here or elsewhere, stands in no save's way."""
    way.create(KEY, b"old")
    way.get(KEY)
    assert other.touch(KEY) is True
    assert cost(lambda: way.update(KEY, b"new")) == (Updated(2), {"evalsha": 1, "set": 2})
    way.get(KEY)
    assert way.touch(KEY, version=2) is True
    assert cost(lambda: way.update(KEY, b"newer", version=2)) == (Updated(3), SCRIPT)
    assert way.get(KEY) == Stored(3, NEVER, b"newer")


def test_a_version_that_was_not_read(way: Way, cost: Any) -> None:
    """Whoever names another version than was read last is told by script."""
    way.create(KEY, b"old")
    way.get(KEY)
    conflict = Conflict(Stored(1, NEVER, b"old"))
    assert cost(lambda: way.update(KEY, b"new", version=7)) == (conflict, {"evalsha": 1, "get": 1})


def test_a_record_keeps_its_user(way: Way, raw: Any, cost: Any, clock: ManualClock) -> None:
    """A user's record stays in the index, which outlives it however far the deadline moves."""
    way.__getattr__("admit")("ann", KEY, limit=None, evict=False)
    way.__getattr__("create")(KEY, b"1", expires_at=clock() + HOUR, user_id="ann")
    update = way.__getattr__("update")
    way.get(KEY)
    near = clock() + 2 * HOUR
    assert cost(lambda: update(KEY, b"2", version=1, expires_at=near)) == (Updated(2), SWAP)
    way.get(KEY)
    far = clock() + 9 * HORIZON
    updated, commands = cost(lambda: update(KEY, b"3", version=2, expires_at=far))
    assert (updated, "pexpire" in commands) == (Updated(3), True)
    assert raw.pttl(INDEX) > 9 * HORIZON * 1000
    assert way.get(KEY) == Stored(3, far, b"3")
    way.delete(KEY)
    assert list(way.entries("ann")) == []


def test_what_is_kept_is_bounded(way: Way, cost: Any) -> None:
    """Large values are not kept, nor many; what is not goes by script."""
    large = b"x" * LARGEST
    way.create(KEYS[1], large)
    way.get(KEYS[1])
    assert cost(lambda: way.update(KEYS[1], large)) == (Updated(2), SCRIPT)
    way.create(KEY, b"old")
    way.get(KEY)
    for number in range(MOST):
        way.create(key := f"{number:032x}".replace("0", "f", 1), b"")
        way.get(key)
    assert cost(lambda: way.update(KEY, b"new")) == (Updated(2), SCRIPT)


def test_a_server_that_cannot_compare(way: Way, cost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is too old is asked once; all goes by script then."""
    swap = Recent.swap

    def unknown(*arguments: Any) -> Any:
        command = swap(*arguments)
        return command and tuple("IFOLD" if part == "IFEQ" else part for part in command)

    monkeypatch.setattr(Recent, "swap", unknown)
    way.create(KEY, b"old")
    way.get(KEY)
    assert way.update(KEY, b"new") == Updated(2)
    monkeypatch.undo()
    way.get(KEY)
    assert cost(lambda: way.update(KEY, b"newer", version=2)) == (Updated(3), SCRIPT)
    assert way.get(KEY) == Stored(3, NEVER, b"newer")


@pytest.mark.parametrize(
    "refusal", ["unknown command", "wrong number of arguments for 'set' command", "Syntax error"]
)
def test_a_server_that_refuses_in_other_words(
    way: Way, refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a server says to a command that it does not know, the script decides."""
    asked: list[object] = []

    def refused(*_: object) -> tuple[object, ...]:
        asked.append(refusal)
        return ("EVAL", f"return redis.error_reply([[ERR {refusal}]])", b"0", b"", b"")

    monkeypatch.setattr(Recent, "swap", refused)
    way.create(KEY, b"old")
    assert way.update(KEY, b"new") == Updated(2)
    assert asked == [refusal]


@pytest.mark.parametrize("reply", [None, 0, b"", b"garbage", [b"r1"], "OK"])
def test_a_reply_that_is_no_record(reply: Any) -> None:
    """It says nothing, so the script decides."""
    swap = ("SET", b"name", b"new", "IFEQ", b"old", "GET")
    assert swapped(swap, reply, 1, 0.0) is None


def test_a_swap_that_was_sent_twice() -> None:
    """Something in between may repeat a command; its own value is no conflict."""
    swap = ("SET", b"name", b"new", "IFEQ", b"old", "GET")
    assert swapped(swap, b"old", 1, 0.0) == swapped(swap, b"new", 1, 0.0) == Updated(2)
