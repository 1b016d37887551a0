"""How changes reach the record: what is written, and what never is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from coatcheck.errors import SaveConflict, SessionTooLarge, StoreError, UnserializableValue
from coatcheck.session import Session
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import Conflict, UpdateOutcome
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, raising, sign_in

# Round trips


def test_a_new_session_costs_one_create(browser: Browser) -> None:
    """The first value that is stored creates the record, and sends the ID."""
    reply = browser.visit(put(k=1))
    assert browser.harness.store.take() == ["create"]
    assert reply.sent == browser.id
    assert browser.saved() == {"k": 1}


def test_a_write_costs_a_get_and_an_update(browser: Browser) -> None:
    """Changing a stored session is two round trips, and no cookie."""
    browser.visit(put(k=1))
    browser.harness.store.take()
    reply = browser.visit(put(k=2))
    assert browser.harness.store.take() == ["get", "update"]
    assert reply.cookie is None
    assert browser.saved() == {"k": 2}


UNCHANGED: list[Callable[[Session], object]] = [
    lambda session: session.update(k=1),
    lambda session: (session.setdefault("other", 1), session.pop("other")),
    lambda session: session.setdefault("k", 5),
    lambda session: session.pop("missing", None),
    lambda session: session["cart"].append(session["cart"].pop()),
    lambda session: list(session.values()),
    lambda session: session.copy(),
]


@pytest.mark.parametrize("act", UNCHANGED)
def test_what_is_written_unchanged_is_not_written(
    browser: Browser, act: Callable[[Session], object]
) -> None:
    """Values that are the same in the end cost no update."""
    browser.visit(put(k=1, cart=["tea"]))
    browser.harness.store.take()
    browser.visit(act)
    assert browser.harness.store.take() == ["get"]


NOTHING: list[Callable[[Session], object]] = [
    len,
    lambda session: session.get("k", []),
    lambda session: (session.setdefault("k", 1), session.pop("k")),
    lambda session: session.clear(),
    lambda session: session.logout(),
    lambda session: session.regenerate(),
    lambda session: session.destroy(),
    lambda session: session.set_expiry(idle=60),
    lambda session: session.id,
    lambda session: session.save(),
]


@pytest.mark.parametrize("act", NOTHING)
def test_a_visitor_who_stores_nothing_has_no_row(
    browser: Browser, act: Callable[[Session], object]
) -> None:
    """Looking, asking and clearing make no record, no cookie, no store call and no noise."""
    exchange = browser.begin()
    act(exchange.session)
    assert exchange.finish().cookie is None
    exchange.close()
    assert browser.harness.store.take() == []
    assert browser.harness.events == []


def test_an_emptied_session_stays(browser: Browser) -> None:
    """A session that becomes empty is updated, never deleted: its ID and user stay."""
    browser.visit(sign_in("ann", k=1))
    before = browser.id
    browser.visit(lambda session: session.pop("k"))
    assert browser.saved() == {}
    assert browser.id == before
    assert browser.user() == "ann"
    browser.visit(lambda session: session.clear())
    assert browser.user() == "ann"


# Parallel requests


def test_parallel_requests_keep_each_others_keys(browser: Browser) -> None:
    """A save applies the keys that it changed to the newest record, at one more round trip."""
    browser.visit(put(base=0))
    one, two = browser.begin(), browser.begin()
    one.session["one"] = 1
    two.session["two"] = 2
    one.finish()
    browser.harness.store.take()
    two.finish()
    assert browser.harness.store.take() == ["update", "update"]
    assert browser.saved() == {"base": 0, "one": 1, "two": 2}
    assert browser.harness.dropped() == []


def test_a_hundred_parallel_requests_keep_all_keys(browser: Browser) -> None:
    """However many load the same version, no key is lost."""
    browser.visit(put(base=0))
    exchanges = [browser.begin() for _ in range(100)]
    for number, exchange in enumerate(exchanges):
        exchange.session[f"key{number}"] = number
    for exchange in exchanges:
        exchange.finish()
    assert browser.saved() == {"base": 0} | {f"key{number}": number for number in range(100)}


def test_a_reader_overwrites_nothing(clock: ManualClock, browser: Browser) -> None:
    """A request that began earlier, reads and ends later leaves what others wrote."""
    browser.visit(put(n=1, cart=[]))
    clock.advance(100)
    slow = browser.begin()
    assert slow.session["cart"] == []
    browser.visit(put(n=2))
    slow.finish()
    assert browser.saved()["n"] == 2


def test_sec_33_a_removed_key_does_not_come_back(browser: Browser) -> None:
    """Who loaded a right before it was taken away does not restore it by saving something else."""
    browser.visit(put(role="admin"))
    slow = browser.begin()
    assert slow.session["role"] == "admin"
    browser.visit(lambda session: session.pop("role"))
    slow.session["page"] = 2
    slow.finish()
    assert browser.saved() == {"page": 2}


def test_nested_changes_of_different_keys_are_both_kept(browser: Browser) -> None:
    """The difference is taken from the values as they are, not from assignments."""
    browser.visit(put(a=[1], b={"x": 1}))
    slow = browser.begin()
    slow.session["a"].append(2)
    browser.visit(lambda session: session["b"].update(y=2))
    slow.finish()
    assert browser.saved() == {"a": [1, 2], "b": {"x": 1, "y": 2}}


def test_a_conflict_is_tried_again_until_it_fits(browser: Browser) -> None:
    """Others may come between any number of times."""
    browser.visit(put(base=0))
    harness = browser.harness

    def interfere(times: int) -> None:
        browser.visit(put(**{f"other{times}": times}))
        if times:
            harness.store.before("update", lambda: interfere(times - 1))

    slow = browser.begin()
    slow.session["mine"] = 1
    harness.store.before("update", lambda: interfere(4))
    slow.finish()
    assert browser.saved().keys() == {"base", "mine", *(f"other{times}" for times in range(5))}


class _Contended(MemoryStore):
    """A store in which somebody else is always faster."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        stored = self.get(key)
        if version > 50:
            raise AssertionError("this goes on for ever")
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        return outcome if stored is None else Conflict(stored)


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two seconds of conflicts a save gives up with an error that names the reason."""
    clock, ticks = ManualClock(), count(0.0, 0.25)
    monkeypatch.setattr("coatcheck.lifecycle.saving.monotonic", lambda: next(ticks))
    browser = Browser(Harness(_Contended(clock=clock), clock))
    browser.visit(put(k=1))
    browser.harness.store.take()
    with pytest.raises(SaveConflict, match="kept changing"):
        browser.visit(put(k=2))
    assert 8 <= browser.harness.store.take().count("update") <= 12


# What cannot be stored


def test_a_value_that_does_not_encode_harms_nothing(browser: Browser) -> None:
    """The error names the place; the stored record is as it was, and nothing was written."""
    browser.visit(put(k=1, cart=["tea"]))
    browser.harness.store.take()
    exchange = browser.begin()
    exchange.session["k"] = 2
    exchange.session["cart"].append({"bad": object()})
    with pytest.raises(UnserializableValue) as caught:
        exchange.finish()
    assert (caught.value.key, caught.value.path) == ("cart", "['cart'][1]['bad']")
    assert browser.harness.store.take() == ["get"]
    assert browser.read() == {"k": 1, "cart": ["tea"]}


def test_a_new_session_with_a_bad_value_is_not_begun(browser: Browser) -> None:
    """Nothing is created for what cannot be stored."""
    with pytest.raises(UnserializableValue):
        browser.visit(put(bad=object()))
    assert browser.harness.store.take() == []
    assert browser.id is None


def test_a_mended_value_is_saved(browser: Browser) -> None:
    """After the error the application may mend the value and go on."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session["k"] = object()
    with pytest.raises(UnserializableValue):
        exchange.session.save()
    exchange.session["k"] = "mended"
    exchange.finish()
    assert browser.saved() == {"k": "mended"}


def test_sec_24_a_session_has_a_largest_size() -> None:
    """One byte more than `max_size` is refused before any write, and tells both sizes."""
    browser = Browser(Harness(max_size=200))
    size = len(browser.harness.runtime.codec.encode({"k": ""}))
    browser.visit(put(k="x" * (199 - size)))
    browser.harness.store.take()
    with pytest.raises(SessionTooLarge) as caught:
        browser.visit(put(k="x" * 201))
    assert caught.value.limit == 200
    assert caught.value.size > 200
    assert browser.harness.store.take() == ["get"]
    assert len(browser.read()["k"]) == 199 - size


def test_sec_24_the_limit_is_that_of_the_encoded_bytes() -> None:
    """Exactly `max_size` bytes fit."""
    harness = Harness(max_size=100)
    empty = len(harness.runtime.codec.encode({"k": "x" * 50})) - 50
    browser = Browser(harness)
    browser.visit(put(k="x" * (100 - empty)))
    assert len(harness.record(browser.id).data) == 100
    with pytest.raises(SessionTooLarge):
        browser.visit(put(k="x" * (101 - empty)))


def test_a_merge_has_the_same_largest_size() -> None:
    """Two requests that each fit do not together store more than `max_size`."""
    browser = Browser(Harness(max_size=300))
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["mine"] = "x" * 200
    browser.visit(put(theirs="y" * 200))
    with pytest.raises(SessionTooLarge):
        slow.finish()
    assert browser.saved() == {"k": 1, "theirs": "y" * 200}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_store_that_fails_is_told_and_can_be_tried_again(browser: Browser, when: str) -> None:
    """Whether the update failed or its answer got lost, trying again stores it once."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    exchange.session["k"] = 2
    getattr(browser.harness.store, when)("update", raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        exchange.session.save()
    exchange.session.save()
    exchange.finish()
    assert browser.saved() == {"k": 2}
    assert browser.harness.dropped() == []


def test_sec_03_a_handle_that_is_taken_gives_way(harness: Harness, browser: Browser) -> None:
    """A collision makes another ID, and never overwrites what is there."""
    exchange = browser.begin()
    taken = exchange.session.handle
    harness.store.inner.create(taken, b"somebody's", expires_at=None, user_id=None)
    exchange.session["k"] = 1
    reply = exchange.finish()
    assert harness.store.take() == ["create", "create"]
    assert harness.identity(reply.sent).handle != taken
    assert exchange.session.id == reply.sent
    stored = harness.store.inner.get(taken)
    assert stored is not None
    assert stored.payload == b"somebody's"


class _Full(MemoryStore):
    """A store in which every handle is taken."""

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        return False


@pytest.mark.parametrize("act", [put(k=1), sign_in("ann")])
def test_sec_03_retries_of_handles_end(act: Callable[[Session], None]) -> None:
    """Random handles that collide again and again are no randomness."""
    clock = ManualClock()
    browser = Browser(Harness(_Full(clock=clock), clock))
    with pytest.raises(StoreError, match="randomness"):
        browser.visit(act)
    assert browser.harness.store.take().count("create") <= 3
