"""`save()`, several saves in one request, and values held from one to the next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck.errors import SessionEnded, TooManySessions
from coatcheck.events import KeyOverwritten, SessionMerged
from coatcheck.session import Session
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in


def test_save_is_at_once(browser: Browser) -> None:
    """What was saved by hand is there before the response, and costs nothing at its start."""
    exchange = browser.begin()
    exchange.session["k"] = 1
    exchange.session.save()
    assert browser.harness.live() == [exchange.session.handle]
    assert browser.harness.store.take() == ["create"]
    reply = exchange.finish()
    assert reply.sent == browser.id
    assert browser.harness.store.take() == []


def test_a_second_save_writes_what_came_after(browser: Browser) -> None:
    """Each save writes the difference to the one before, at one update each."""
    exchange = browser.begin()
    exchange.session["a"] = 1
    exchange.session.save()
    exchange.session["b"] = 2
    exchange.session.save()
    exchange.session.save()
    exchange.session["a"] = 3
    exchange.finish()
    assert browser.harness.store.take() == ["create", "update", "update"]
    assert browser.saved() == {"a": 3, "b": 2}


def test_saving_nothing_costs_nothing(browser: Browser) -> None:
    """A save without changes is the one `get` of looking."""
    browser.visit(put(k=1))
    browser.harness.store.take()
    browser.visit(lambda session: session.save())
    assert browser.harness.store.take() == ["get"]


def test_a_held_value_may_change_after_a_save(browser: Browser) -> None:
    """An object got before a save is still the session's after it."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    cart: list[str] = exchange.session["cart"]
    cart.append("milk")
    exchange.session.save()
    assert browser.saved() == {"cart": ["tea", "milk"]}
    cart.append("bread")
    exchange.finish()
    assert browser.saved() == {"cart": ["tea", "milk", "bread"]}
    cart.append("salt")
    exchange.close()
    assert browser.saved() == {"cart": ["tea", "milk", "bread", "salt"]}


def test_a_value_put_in_by_update_may_change_after_a_save(browser: Browser) -> None:
    """So is an object that `update` or `setdefault` put in."""
    one: list[int] = []
    two: list[int] = []
    exchange = browser.begin()
    exchange.session.update(one=one)
    exchange.session.setdefault("two", two)
    exchange.finish()
    one.append(1)
    two.append(2)
    exchange.close()
    assert browser.saved() == {"one": [1], "two": [2]}


def test_a_held_value_may_change_after_a_conflict(browser: Browser) -> None:
    """A merge into the stored record leaves the application's objects alone."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    cart: list[str] = exchange.session["cart"]
    browser.visit(put(other=1))
    cart.append("milk")
    exchange.session.save()
    assert "other" not in exchange.session
    cart.append("bread")
    exchange.finish()
    assert browser.saved() == {"cart": ["tea", "milk", "bread"], "other": 1}


@pytest.mark.parametrize("ask", ["login", "regenerate"])
def test_a_held_value_may_change_after_a_new_id(browser: Browser, ask: str) -> None:
    """Signing in keeps the application's objects too."""
    browser.visit(put(cart=["tea"]))
    exchange = browser.begin()
    cart: list[str] = exchange.session["cart"]
    if ask == "login":
        exchange.session.login("ann")
    else:
        exchange.session.regenerate()
    cart.append("milk")
    exchange.finish()
    cart.append("bread")
    exchange.close()
    assert browser.saved() == {"cart": ["tea", "milk", "bread"]}


def test_a_held_value_may_change_after_a_sign_in_of_its_own(browser: Browser) -> None:
    """So does a sign-in that met another one: what was written after it is the same object."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    cart: list[str] = []
    exchange.session.login("ann")
    exchange.session["cart"] = cart
    browser.visit(sign_in("bob"))
    exchange.finish()
    cart.append("tea")
    exchange.close()
    assert browser.saved() == {"cart": ["tea"]}


def test_a_key_that_both_change_goes_to_the_later_save(browser: Browser) -> None:
    """The last committer of a key wins, and an event names the key."""
    browser.visit(put(k=0, other=0))
    slow = browser.begin()
    slow.session["k"] = "slow"
    browser.visit(put(k="fast", other=1))
    slow.finish()
    handle = browser.harness.identity(browser.id).handle
    assert browser.saved() == {"k": "slow", "other": 1}
    assert browser.harness.told(KeyOverwritten) == [KeyOverwritten(handle, "k")]
    assert browser.harness.told(SessionMerged) == [SessionMerged(handle, ("k",))]


def test_removing_is_a_change_like_any_other(browser: Browser) -> None:
    """Removal against change: the later save wins, either way round."""
    browser.visit(put(a=0, b=0))
    slow = browser.begin()
    slow.session["a"] = "kept"
    del slow.session["b"]
    browser.visit(lambda session: session.pop("a"))
    browser.visit(put(b="changed"))
    slow.finish()
    assert browser.saved() == {"a": "kept"}
    assert {event.key for event in browser.harness.told(KeyOverwritten)} == {"a", "b"}


def test_the_same_change_by_both_is_no_conflict(browser: Browser) -> None:
    """Who finds in place what he would write, overwrites nobody."""
    browser.visit(put(k=0))
    slow = browser.begin()
    slow.session["k"] = 1
    browser.visit(put(k=1))
    slow.finish()
    assert browser.saved() == {"k": 1}
    assert browser.harness.told(KeyOverwritten) == []


def test_a_key_changed_again_is_compared_with_ones_own_last_value(browser: Browser) -> None:
    """Between two saves somebody else changed the key: the second save overwrites, and tells."""
    browser.visit(put(k=0))
    exchange = browser.begin()
    exchange.session["k"] = "first"
    exchange.session.save()
    browser.visit(put(k="theirs"))
    exchange.session["n"] = 1
    exchange.session.save()
    assert browser.saved() == {"k": "theirs", "n": 1}
    assert browser.harness.told(KeyOverwritten) == []
    exchange.session["k"] = "second"
    exchange.finish()
    assert browser.saved() == {"k": "second", "n": 1}
    assert [event.key for event in browser.harness.told(KeyOverwritten)] == ["k"]


def test_a_merged_key_is_not_taken_back(browser: Browser) -> None:
    """Keys of others that a save merged are not in one's view, and are not removed by it."""
    browser.visit(put(k=0))
    exchange = browser.begin()
    exchange.session["k"] = 1
    browser.visit(put(theirs=1))
    exchange.session.save()
    exchange.session["k"] = 2
    exchange.session.save()
    exchange.session.refresh()
    assert dict(exchange.session) == {"k": 2, "theirs": 1}


def _add(base: int, mine: int, theirs: int) -> int:
    return (theirs or 0) + (mine or 0) - (base or 0)


def test_a_resolver_makes_counters_exact() -> None:
    """With a resolver for the key, parallel counting loses nothing and is no event."""
    browser = Browser(Harness(resolve={"hits": _add}))
    browser.visit(put(hits=0))
    exchanges = [browser.begin() for _ in range(5)]
    for exchange in exchanges:
        exchange.session["hits"] += 1
    for exchange in exchanges:
        exchange.finish()
    assert browser.saved() == {"hits": 5}
    assert browser.harness.told(KeyOverwritten) == []


def test_a_resolver_serves_sign_ins_too() -> None:
    """What was committed while a sign-in was under way meets the resolver as well."""
    browser = Browser(Harness(resolve={"hits": _add}))
    browser.visit(put(hits=1))
    exchange = browser.begin()
    exchange.session["hits"] += 1
    exchange.session.login("ann")
    browser.visit(lambda session: session.update(hits=session["hits"] + 1))
    exchange.finish()
    assert browser.saved() == {"hits": 3}


def test_what_a_resolver_raises_passes_through() -> None:
    """A mistake in a resolver is not hidden, and nothing is stored."""

    def fail(*_: object) -> object:
        raise ZeroDivisionError

    browser = Browser(Harness(resolve={"k": fail}))
    browser.visit(put(k=1))
    slow = browser.begin()
    slow.session["k"] = 2
    browser.visit(put(k=3))
    with pytest.raises(ZeroDivisionError):
        slow.finish()
    assert browser.saved() == {"k": 3}


# What save() raises


CHANGES: list[tuple[Callable[[Session], object], tuple[str, ...]]] = [
    (put(k=2, n=1), ("k", "n")),
    (lambda session: session.pop("k"), ("k",)),
    (lambda session: session.clear(), ("k",)),
    (lambda session: session.set_expiry(idle=60), ()),
    (lambda session: session.set_expiry(lifetime=60), ()),
    (lambda session: session.regenerate(), ()),
]


@pytest.mark.parametrize(("change", "keys"), CHANGES)
@pytest.mark.parametrize("other", ["logout", "regenerate", "expire"])
def test_save_raises_where_another_request_ended_the_session(
    clock: ManualClock,
    browser: Browser,
    other: str,
    change: Callable[[Session], object],
    keys: tuple[str, ...],
) -> None:
    """Whatever was to be saved and could not be is an exception that names the keys."""
    browser.visit(put(k=1))
    exchange = browser.begin()
    change(exchange.session)
    if other == "expire":
        clock.advance(3600)
    else:
        browser.visit(lambda session: getattr(session, other)())
    with pytest.raises(SessionEnded) as caught:
        exchange.session.save()
    assert set(caught.value.keys) == set(keys)
    assert exchange.finish().cookie is None
    assert browser.harness.dropped() == []


def test_save_of_a_mute_session_raises(browser: Browser) -> None:
    """A request in flight learns from its own save that its changes are not kept."""
    browser.visit(put(k=1))
    slow = Browser(browser.harness)
    slow.id = browser.id or ""
    browser.visit(lambda session: session.regenerate())
    exchange = slow.begin()
    exchange.session["late"] = 1
    with pytest.raises(SessionEnded, match="signed in or regenerated") as caught:
        exchange.session.save()
    assert caught.value.keys == ("late",)
    assert exchange.finish().cookie is None
    assert browser.harness.dropped() == []


def test_save_signs_in_at_once() -> None:
    """`login` then `save()` is a sign-in before the response, or raises what stopped it."""
    harness = Harness(max_sessions_per_user=1, evict="refuse")
    first, second = Browser(harness), Browser(harness)
    exchange = first.begin()
    exchange.session.login("ann")
    exchange.session.save()
    assert harness.record(exchange.session.id).user_id == "ann"
    assert exchange.finish().sent == first.id
    harness.clock.advance(60)
    exchange = second.begin()
    exchange.session["k"] = 1
    exchange.session.login("ann")
    with pytest.raises(TooManySessions):
        exchange.session.save()
    assert exchange.session.user_id is None
    assert exchange.finish().cookie is None
