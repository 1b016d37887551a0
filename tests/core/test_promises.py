"""The seven promises, over every built-in store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from coatcheck.errors import ConfigurationError, StoreError, UnserializableValue
from coatcheck.events import ChangesDropped, RecordCorrupt
from coatcheck.manager import SessionManager
from coatcheck.session import Session
from coatcheck.store.urls import open_store
from coatcheck.testing.clock import ManualClock
from tests.core.harness import SECRET, Browser, Harness, SpyStore, put, raising, sign_in
from tests.servers import mariadb, postgresql, redis

STORES: dict[str, Callable[[Path], str]] = {
    "memory": lambda _folder: "memory://",
    "file": lambda folder: f"file://{folder}/sessions",
    "sqlite": lambda folder: f"sqlite:///{folder}/sessions.db",
    "redis": lambda _folder: redis.fresh_url(),
    "postgresql": lambda _folder: postgresql.fresh_url(),
    "mariadb": lambda _folder: mariadb.fresh_url(),
}


@pytest.fixture(params=STORES)
def harness(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> Iterator[Harness]:
    """A server over each built-in store."""
    store: Any = open_store(STORES[request.param](tmp_path), clock=clock)
    yield Harness(SpyStore(store), clock)
    store.close()


def at_once(*works: Callable[[], object]) -> None:
    """Run all in threads that start together, and raise what any of them raised."""
    barrier, errors = Barrier(len(works)), list[BaseException]()

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


# 1. Reads never write


def test_1_what_each_request_costs(clock: ManualClock, browser: Browser) -> None:
    """Untouched, read, touched, written, new, signed in, ended: the exact store calls."""
    store = browser.harness.store

    def cost(act: Callable[[Session], object] | None) -> list[str]:
        store.take()
        if act is None:
            browser.begin().finish()
        else:
            browser.visit(act)
        return store.take()

    assert cost(None) == []
    assert cost(dict) == []
    assert cost(put(k=1)) == ["create"]
    assert cost(None) == []
    assert cost(dict) == ["get"]
    clock.advance(61)
    assert cost(dict) == ["get", "touch"]
    assert cost(dict) == ["get"]
    assert cost(put(k=1)) == ["get"]
    assert cost(put(k=2)) == ["get", "update"]
    assert cost(lambda session: session.regenerate()) == ["get", "create", "update"]
    assert cost(sign_in("ann")) == ["get", "admit", "create", "update", "confirm"]
    assert cost(sign_in("ann")) == ["get", "admit", "create", "update", "confirm"]
    assert cost(lambda session: session.logout()) == ["get", "delete"]
    assert cost(dict) == []


def test_1_visitors_leave_nothing(harness: Harness) -> None:
    """However many look around, there is no row and no cookie."""
    for _ in range(50):
        assert Browser(harness).visit(dict).cookie is None
    assert harness.store.inner.scan() == ([], None)


# 2. Writes never clobber


def test_2_parallel_threads_keep_all_keys(browser: Browser) -> None:
    """Eight threads that change different keys of one session at once all keep their changes."""
    harness = browser.harness
    browser.visit(put(base=0))

    def write(thread: int) -> None:
        own = Browser(harness)
        own.id = browser.id or ""
        for number in range(4):
            own.visit(put(**{f"key{thread}.{number}": number}))

    at_once(*(partial(write, thread) for thread in range(8)))
    expected = {f"key{thread}.{number}": number for thread in range(8) for number in range(4)}
    assert browser.read() == {"base": 0} | expected
    assert harness.dropped() == []


def test_2_a_reader_and_a_remover(browser: Browser) -> None:
    """What was taken away stays away, whoever saves something else later."""
    browser.visit(put(role="admin", n=0))
    slow = browser.begin()
    slow.session["n"] += 1
    browser.visit(lambda session: session.pop("role"))
    slow.finish()
    assert browser.read() == {"n": 1}


# 3. What is destroyed stays destroyed


ENDS: dict[str, Callable[[Browser], object]] = {
    "logout": lambda browser: browser.visit(lambda session: session.logout()),
    "destroy": lambda browser: browser.visit(lambda session: session.destroy()),
    "delete": lambda browser: _manager(browser).delete(browser.harness.live()[0]),
    "revoke-user": lambda browser: _manager(browser).revoke_user("ann"),
    "expire": lambda browser: browser.harness.clock.advance(3600),
}


def _manager(browser: Browser) -> SessionManager:
    harness = browser.harness
    return SessionManager(secret=SECRET, store=harness.store, clock=harness.clock)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_3_nothing_late_brings_it_back(
    clock: ManualClock, browser: Browser, end: Callable[[Browser], object]
) -> None:
    """Save, touch, nested change, clear, new ID and sign-in, all begun before the end."""
    browser.visit(sign_in("ann", cart=["tea"]))
    clock.advance(100)
    acts: list[Callable[[Any], object]] = [
        put(late=1),
        len,
        lambda session: session["cart"].append("milk"),
        lambda session: session.clear(),
        lambda session: session.regenerate(),
        lambda session: session.set_expiry(idle=99_999),
    ]
    held = [browser.begin() for _ in acts]
    for exchange, act in zip(held, acts, strict=True):
        act(exchange.session)
    end(browser)
    for exchange in held:
        assert exchange.finish().cookie is None
    assert browser.harness.live() == []
    assert browser.read() == {}


def test_3_signing_out_wins_in_threads(harness: Harness) -> None:
    """Saves, regenerations and a sign-out at the same moment: nothing of the session is alive."""
    for _ in range(12):
        browser = Browser(harness)
        browser.visit(sign_in("ann", k=1))
        copies = [Browser(harness) for _ in range(4)]
        for copy in copies:
            copy.id = browser.id or ""
        acts = (put(one=1), _regenerate, _regenerate, _logout)
        at_once(*(partial(copy.visit, act) for copy, act in zip(copies, acts, strict=True)))
        assert [handle for handle in harness.live() if _user_of(harness, handle) == "ann"] == []
        assert harness.store.inner.entries("ann") == []


def _regenerate(session: Session) -> None:
    session.regenerate()


def _logout(session: Session) -> None:
    session.logout()


def _user_of(harness: Harness, handle: str) -> str | None:
    session = SessionManager(secret=SECRET, store=harness.store, clock=harness.clock).find(handle)
    return session.user_id if session else None


def test_3_a_double_clicked_sign_in_is_one_session(harness: Harness) -> None:
    """In threads too: one session, one ID that both responses sent."""
    for number in range(8):
        browser = Browser(harness)
        browser.visit(put(cart=["tea"]))
        clicks = [Browser(harness) for _ in range(3)]
        for click in clicks:
            click.id = browser.id or ""
        user = f"user{number}"
        at_once(*(partial(click.visit, sign_in(user)) for click in clicks))
        assert len({click.id for click in clicks}) == 1
        assert [entry.key for entry in harness.store.inner.entries(user)] == [
            harness.identity(clicks[0].id).handle
        ]
        assert clicks[0].read() == {"cart": ["tea"]}


def test_3_limits_hold_in_threads(harness: Harness) -> None:
    """Twenty sign-ins of one user at once: no more sessions than allowed, then or later."""
    capped = harness.twin(max_sessions_per_user=3)
    browsers = [Browser(capped) for _ in range(20)]
    at_once(*(partial(one.visit, sign_in("ann")) for one in browsers))
    assert 1 <= len(capped.live()) <= 3
    Browser(capped).visit(sign_in("ann"))
    assert 1 <= len(capped.live()) <= 3


# 4. Forged IDs never reach the store


def test_4_forgeries_cost_nothing_and_open_nothing(browser: Browser) -> None:
    """Every altered character, every other length: no store call, no exception, nobody."""
    browser.visit(sign_in("ann", k=1))
    good = browser.id or ""
    store = browser.harness.store
    forgeries = [
        good[:place] + ("B" if good[place] == "A" else "A") + good[place + 1 :]
        for place in range(68)
    ]
    forgeries += [good[:size] for size in range(68)] + [good + "A", good * 2, "A" * 4000]
    store.take()
    for forged in forgeries:
        exchange = browser.begin(f"session={forged}")
        assert exchange.session.user_id is None
        assert exchange.finish().cookie is None
    assert store.take() == []


def test_4_a_planted_id_is_worth_nothing_after_the_sign_in(
    clock: ManualClock, browser: Browser
) -> None:
    """Who gave the victim an ID reads and writes nothing of the session that it became."""
    attacker = Browser(browser.harness)
    attacker.visit(put(cart=["planted"]))
    planted = attacker.id or ""
    browser.id = planted
    browser.visit(sign_in("ann", secret=1))
    for wait in (0, 6, 600, 6000):
        clock.advance(wait)
        exchange = attacker.begin(f"session={planted}")
        assert exchange.session.user_id is None
        assert "secret" not in exchange.session
        exchange.session["planted"] = 1
        exchange.finish(deliver=False)
        if wait < 3600:
            assert "planted" not in browser.read()


# 5. A stolen store holds no usable ID


def test_5_what_is_stored_opens_nothing(browser: Browser, tmp_path: Path) -> None:
    """Neither the ID nor its secret half lies anywhere, of a live session or a replaced one."""
    browser.visit(sign_in("ann", k=1))
    ids = [browser.id or ""]
    browser.visit(lambda session: session.regenerate())
    ids.append(browser.id or "")
    harness = browser.harness
    stolen = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for session_id in ids:
        stolen += harness.stored(session_id).payload
    for session_id in ids:
        secret = harness.identity(session_id).secret
        for hidden in (session_id.encode(), secret, secret.hex().encode()):
            assert hidden not in stolen
    for handle in harness.store.inner.scan()[0]:
        assert browser.begin(f"session={handle}").session.user_id is None
        assert browser.begin(f"session={handle + handle + 'AAAA'}").session.user_id is None


# 6. A change is saved or somebody is told


def test_6_nested_and_late_changes_are_saved(browser: Browser) -> None:
    """What is changed inside a value, and after the headers have left, is stored."""
    browser.visit(put(deep={"a": [{"b": []}]}))
    exchange = browser.begin()
    inner: list[int] = exchange.session["deep"]["a"][0]["b"]
    inner.append(1)
    exchange.finish()
    inner.append(2)
    exchange.close()
    assert browser.read() == {"deep": {"a": [{"b": [1, 2]}]}}


def test_6_what_cannot_be_saved_is_raised(browser: Browser) -> None:
    """What the program can mend is an exception, and the stored record is as it was."""
    browser.visit(put(k=1))
    with pytest.raises(UnserializableValue):
        browser.visit(put(k=object()))
    browser.harness.store.before("update", raising(StoreError("out of reach")))
    with pytest.raises(StoreError):
        browser.visit(put(k=2))
    assert browser.read() == {"k": 1}


OTHERS: dict[str, Callable[[Session], object]] = {
    "gone": lambda session: session.logout(),
    "replaced": lambda session: session.regenerate(),
    "cleared": lambda session: session.clear(),
}


@pytest.mark.parametrize("reason", [*OTHERS, "error"])
def test_6_what_others_decided_is_told(browser: Browser, reason: str) -> None:
    """An event names the keys and the reason."""
    browser.visit(put(k=1))
    handle = browser.harness.identity(browser.id).handle
    slow = browser.begin()
    slow.session.update(k=2, n=1)
    if reason in OTHERS:
        browser.visit(OTHERS[reason])
    slow.finish(failed=reason == "error")
    (told,) = browser.harness.told(ChangesDropped)
    assert (told.handle, set(told.keys), told.reason) == (handle, {"k", "n"}, reason)


# 7. A broken record, cookie or option is never a crash loop


@pytest.mark.parametrize(
    "payload", [b"", b"\0" * 100, b"\xcc\x01", b"coatcheck/1 crc32=", b"\x80\x04."]
)
def test_7_a_broken_record_is_an_anonymous_session(browser: Browser, payload: bytes) -> None:
    """An event, no exception; the visitor goes on, and may begin anew."""
    harness = browser.harness
    browser.visit(sign_in("ann", k=1))
    stored, handle = harness.stored(browser.id), harness.live()[0]
    harness.store.inner.update(
        handle, payload, version=stored.version, expires_at=stored.expires_at
    )
    for _ in range(3):
        assert browser.read() == {}
    assert {event.handle for event in harness.told(RecordCorrupt)} == {handle}
    assert browser.visit(put(k=2)).sent is not None
    assert browser.read() == {"k": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"secret": ""},
        {"secret": None},
        {"old_secrets": "a bare string"},
        {"expire": 0},
        {"lifetime": -1},
        {"touch_interval": 3600},
        {"namespace": "no spaces"},
        {"codec": "pickle"},
        {"max_size": 0},
        {"evict": "newest"},
        {"exprie": 5},
    ],
)
def test_7_a_bad_option_is_refused_at_construction(options: dict[str, Any]) -> None:
    """The error comes before the first request, and names the option."""
    with pytest.raises(ConfigurationError) as caught:
        Harness(**options)
    assert next(iter(options)) in str(caught.value)
