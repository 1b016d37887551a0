"""Sessions outside a request: each test runs synchronously, inline, and in threads."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck.errors import (
    ConfigurationError,
    SessionEnded,
    SessionError,
    UnserializableValue,
)
from coatcheck.events import SessionDestroyed, SessionRevoked
from coatcheck.manager import AsyncSessionManager, SessionManager
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import GARBAGE_AFTER
from coatcheck.testing.clock import ManualClock
from tests.core.bench import Bench, InThreads, done
from tests.core.harness import SECRET, Browser, Harness, SpyStore, sign_in

pytestmark = pytest.mark.anyio


# create, open, find, save, delete


async def test_create_stores_at_once(bench: Bench) -> None:
    """A session without user and data is a session; its ID opens it."""
    session = await bench("create")
    assert bench.store.take() == ["create"]
    assert dict(session) == {}
    opened = await bench("open", session.id)
    assert opened.handle == session.handle
    assert (opened.user_id, opened.id) == (None, session.id)


async def test_create_with_user_and_data(bench: Bench) -> None:
    """Signed in from the start, and admitted to the user's index."""
    session = await bench("create", "ann", {"cart": ["tea"]})
    assert bench.store.take() == ["admit", "create", "confirm"]
    opened = await bench("open", session.id)
    assert (opened.user_id, dict(opened)) == ("ann", {"cart": ["tea"]})
    assert opened.created_at == bench.clock()


async def test_create_refuses_what_cannot_be_stored(bench: Bench) -> None:
    """Nothing is begun with a value or a user that no store keeps."""
    for user, data in ((None, {"bad": object()}), ("ann", {"bad": object()})):
        with pytest.raises(UnserializableValue):
            await bench("create", user, data)
    with pytest.raises(ValueError, match="user_id"):
        await bench("create", "")
    assert bench.store.inner.scan() == ([], None)


@pytest.mark.parametrize("sent", ["", "junk", "A" * 68, "\u00e9" * 68, "x" * 100_000])
async def test_open_verifies(bench: Bench, sent: str) -> None:
    """What a client made up opens nothing, and costs no store call."""
    assert await bench("open", sent) is None
    assert bench.store.take() == []


async def test_sec_39_open_takes_no_handle(bench: Bench) -> None:
    """The public name of a session is no credential."""
    session = await bench("create")
    assert await bench("open", session.handle) is None


async def test_open_of_what_ended_is_none(bench: Bench) -> None:
    """Deleted, expired or replaced: there is no session."""
    deleted, expired, replaced = [await bench("create") for _ in range(3)]
    old = replaced.id
    await bench("delete", deleted.handle)
    assert await bench("open", deleted.id) is None
    replaced.regenerate()
    await bench("save", replaced)
    assert await bench("open", old) is None
    assert (await bench("open", replaced.id)).handle == replaced.handle
    bench.clock.advance(3600)
    assert await bench("open", expired.id) is None


async def test_find_is_for_administrators(bench: Bench) -> None:
    """By its handle a session can be read, changed and ended, but its ID stays its client's."""
    created = await bench("create", "ann", {"k": 1})
    found = await bench("find", created.handle)
    assert (found.user_id, dict(found), found.handle) == ("ann", {"k": 1}, created.handle)
    with pytest.raises(SessionError, match="only its client has the ID"):
        assert found.id
    found["k"] = 2
    await bench("save", found)
    assert dict(await bench("open", created.id)) == {"k": 2}
    found.logout()
    await bench("save", found)
    assert await bench("open", created.id) is None


async def test_what_was_found_can_be_replaced(bench: Bench) -> None:
    """Who regenerates a session by its handle gets the new ID, and nobody follows the old one."""
    created = await bench("create", "ann", {"k": 1})
    found = await bench("find", created.handle)
    found.regenerate()
    await bench("save", found)
    assert await bench("open", created.id) is None
    assert dict(await bench("open", found.id)) == {"k": 1}
    created["late"] = 1
    with pytest.raises(SessionEnded):
        await bench("save", created)


@pytest.mark.parametrize("handle", ["", "../../etc", "A" * 32, "0" * 31, "0" * 33, "g" * 32])
@pytest.mark.parametrize("method", ["find", "delete", "revoke"])
async def test_a_handle_is_32_hex_digits(bench: Bench, method: str, handle: str) -> None:
    """Anything else is refused before it reaches the store."""
    with pytest.raises(ValueError, match="32 lower-case hex digits"):
        await bench(method, handle)
    assert bench.store.take() == []


async def test_find_of_nothing_is_none(bench: Bench) -> None:
    """An unknown handle has no session."""
    assert await bench("find", "0" * 32) is None
    assert await bench("delete", "0" * 32) is False
    assert await bench("revoke", "0" * 32) is False


async def test_save_and_refresh(bench: Bench) -> None:
    """Two programs that hold one session keep each other's keys."""
    created = await bench("create", None, {"a": 1})
    one, two = await bench("open", created.id), await bench("open", created.id)
    one["one"] = 1
    two["two"] = 2
    await bench("save", one)
    await bench("save", two)
    await done(one.refresh())
    assert dict(one) == {"a": 1, "one": 1, "two": 2}
    await bench("delete", created.handle)
    one["late"] = 1
    with pytest.raises(SessionEnded) as caught:
        await bench("save", one)
    assert caught.value.keys == ("late",)


async def test_delete_ends_and_tells(bench: Bench) -> None:
    """True for the call that ended it, and an event."""
    session = await bench("create", "ann")
    assert await bench("delete", session.handle) is True
    assert await bench("delete", session.handle) is False
    told = [event for event in bench.events if isinstance(event, SessionDestroyed)]
    assert told == [SessionDestroyed(session.handle, "ann", "delete")]
    assert bench.store.inner.entries("ann") == []


@pytest.mark.parametrize("how", ["delete", "revoke", "revoke-own"])
async def test_ending_follows_a_replacement(bench: Bench, how: str) -> None:
    """The handle of a session that was just replaced ends what it is now."""
    session = await bench("create", "ann")
    handle = session.handle
    for _ in range(2):
        session.regenerate()
        await bench("save", session)
    if how == "delete":
        assert await bench("delete", handle) is True
    else:
        options = {"user_id": "ann"} if how == "revoke-own" else {}
        assert await bench("revoke", handle, **options) is True
    assert await bench("open", session.id) is None


# The sessions of a user


async def test_sessions_of_a_user_oldest_first(bench: Bench) -> None:
    """Only the user's, only live ones, in the order of their sign-ins."""
    created: list[Any] = []
    for number in range(4):
        created.append(await bench("create", "ann", {"n": number}))
        bench.clock.advance(1)
    await bench("create", "bob")
    await bench("delete", created[1].handle)
    assert [session["n"] for session in await bench("sessions_of", "ann")] == [0, 2, 3]
    assert await bench("sessions_of", "nobody") == []
    bench.clock.advance(3597)
    assert [session["n"] for session in await bench("sessions_of", "ann")] == [2, 3]


async def test_sec_39_revoke_checks_the_owner(bench: Bench) -> None:
    """A user can end own sessions from a list of handles, and nobody else's."""
    session = await bench("create", "ann")
    anonymous = await bench("create")
    assert await bench("revoke", session.handle, user_id="bob") is False
    assert await bench("revoke", anonymous.handle, user_id="bob") is False
    assert (await bench("open", session.id)).user_id == "ann"
    assert await bench("revoke", session.handle, user_id="ann") is True
    assert await bench("open", session.id) is None
    told = [event for event in bench.events if isinstance(event, SessionRevoked)]
    assert told == [SessionRevoked(session.handle, "ann", "revoked")]


async def test_sec_38_revoke_user_ends_all_but_what_is_kept(bench: Bench) -> None:
    """Sessions in use end too; other users' stay; what is kept stays."""
    mine = [await bench("create", "ann", {"n": number}) for number in range(12)]
    theirs = [await bench("create", "bob") for _ in range(12)]
    for session in mine[:5]:
        session["late"] = 1
    assert await bench("revoke_user", "ann", keep=[mine[11].handle]) == 11
    for session in mine[:5]:
        with pytest.raises(SessionEnded):
            await bench("save", session)
    left = await bench("sessions_of", "ann")
    assert [session["n"] for session in left] == [11]
    assert len(await bench("sessions_of", "bob")) == len(theirs)
    assert await bench("revoke_user", "ann") == 1
    assert await bench("revoke_user", "ann") == 0
    assert await bench("revoke_user", "nobody") == 0
    assert bench.store.inner.entries("ann") == []


@pytest.mark.parametrize("step", ["admit", "create"])
async def test_a_sign_in_under_way_does_not_survive_a_revocation(bench: Bench, step: str) -> None:
    """What was admitted before the revocation is not confirmed after it, and tells."""
    index = bench.store.inner
    bench.store.after(step, lambda: index.revoke("ann"))
    with pytest.raises(SessionEnded, match="revoked"):
        await bench("create", "ann", {"k": 1})
    assert index.scan() == ([], None)
    assert index.entries("ann") == []
    told = [event for event in bench.events if isinstance(event, SessionRevoked)]
    assert [event.reason for event in told] == ["unconfirmed"]
    assert (await bench("create", "ann")).user_id == "ann"


# Housekeeping and construction


async def test_purge_removes_what_has_expired(bench: Bench) -> None:
    """In batches, all of it, and nothing that is live."""
    for number in range(2005):
        bench.store.inner.create(
            f"{number:032x}", b"old", expires_at=bench.clock() + 1, user_id=None
        )
    session = await bench("create", "ann")
    bench.clock.advance(GARBAGE_AFTER + 2)
    bench.store.take()
    assert await bench("purge_expired") == 2005
    assert bench.store.take() == ["purge"] * 3
    assert await bench("purge_expired") == 0
    assert (await bench("open", session.id)).user_id == "ann"


async def test_it_manages_the_sessions_of_a_web_application(bench: Bench) -> None:
    """With the same secret and store, what a browser has is what the manager sees."""
    web = Harness(bench.store, bench.clock, cookie_name="other", cookie_options={"path": "/app"})
    browser = Browser(web)
    reply = browser.visit(sign_in("ann", k=1), deliver=False)
    session = await bench("open", reply.sent)
    assert (session.user_id, dict(session)) == ("ann", {"k": 1})
    assert await bench("revoke_user", "ann") == 1
    assert web.live() == []


def test_it_takes_the_configuration_of_a_web_application(clock: ManualClock) -> None:
    """How the ID travels is no matter without a web."""
    web = Harness(time=clock, cookie_name="other", cookie_options={"path": "/app"})
    manager = SessionManager(web.config, store=web.store)
    session = manager.create(None, {"k": 1})
    opened = manager.open(session.id)
    assert opened is not None
    assert dict(opened) == {"k": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cookie_name": "a;b"},
        {"cookie_options": {"samesite": "x"}},
        {"cookie_name": "__Host-a", "cookie_options": {"domain": "shop.example"}},
    ],
)
def test_a_cookie_that_no_application_takes_is_refused(wrong: dict[str, Any]) -> None:
    """The options of a web application are checked as there, though no cookie is ever sent."""
    for kind in (SessionManager, AsyncSessionManager):
        with pytest.raises(ConfigurationError):
            kind(secret=SECRET, store="memory://", **wrong)


def test_an_awaited_store_is_refused_where_nobody_awaits(clock: ManualClock) -> None:
    """The synchronous manager says so at construction, and names the remedy."""
    store: Any = InThreads(SpyStore(MemoryStore(clock=clock)))
    with pytest.raises(ConfigurationError, match="give the blocking store instead"):
        SessionManager(secret=SECRET, store=store)


def test_a_namespace_is_given_once(clock: ManualClock) -> None:
    """The store's counts; another one beside it is a mistake."""
    store = MemoryStore(clock=clock, namespace="shop")
    with pytest.raises(ConfigurationError, match="give the namespace once"):
        SessionManager(secret=SECRET, store=store, namespace="blog")
    session = SessionManager(secret=SECRET, store=store, clock=clock).create()
    blog = MemoryStore(clock=clock, namespace="blog")
    assert SessionManager(secret=SECRET, store=blog, clock=clock).open(session.id) is None
    same = SessionManager(secret=SECRET, store=store, namespace="shop", clock=clock)
    assert same.open(session.id) is not None
