"""What befalls a service: sign-ins at once, hostile values, full disks, damage, other people's
files. Each method answers with a failed result that says what to do, and no session is lost.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from coatcheck import ConfigurationError, Result, ServiceSession, SessionService, StoreError
from coatcheck.store.memory import MemoryStore
from tests.core.harness import FullStore, SpyStore
from tests.seeds.services import (
    SECRET,
    Place,
    begun,
    data_of,
    done,
    got,
    lives,
    refused,
    replaced,
    session_of,
)
from tests.stores.file_tools import ended, forked

T = TypeVar("T")
ROUNDS = 200


# Sign-ins at once


@pytest.fixture
def hurried() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def rounds(works: list[Callable[[], T]], times: int) -> Iterator[list[T]]:
    """Do all works in threads at the same moment, round by round; yield each round's outcomes."""
    barrier = threading.Barrier(len(works) + 1, timeout=30)
    outcomes: list[T] = []

    def run(work: Callable[[], T]) -> None:
        for _ in range(times):
            barrier.wait()
            outcomes.append(work())
            barrier.wait()

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for _ in range(times):
        outcomes.clear()
        barrier.wait()
        barrier.wait()
        yield list(outcomes)
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kind", ["memory", "file", "database"])
def test_of_two_sessions_begun_at_once_one_is_left(kind: str, quick: Path) -> None:
    """200 times: exactly one session of the user lives, and it is one that was returned."""
    place = Place(quick, kind)
    shared = MemoryStore(clock=place.clock)

    def opened() -> SessionService:
        if kind == "memory":
            return SessionService(store=shared, secret=SECRET, clock=place.clock)
        return place.open()

    with opened() as one, opened() as two:
        begun(one, "ann")
        at_once = [
            lambda: one.new_session("ann", data={"by": "one"}),
            lambda: two.new_session("ann", data={"by": "two"}),
        ]
        for results in rounds(at_once, ROUNDS):
            returned = [result.session for result in results if result.session is not None]
            (left,) = [session for session in returned if lives(one, session)]
            assert data_of(got(two, left))["by"] in ("one", "two")
            assert one.cleanup_sessions().active == (left.handle(),)
            for result in results:
                if not result:
                    assert refused(result, "at the same moment").code == "ended"


# Whatever fails on the way


class FailingStore(SpyStore):
    """A store of which, from one call on, whatever writes fails: before or after it took effect."""

    WRITES = frozenset({"create", "update", "touch", "delete", "admit", "confirm", "forget"})

    def __init__(self, inner: FullStore) -> None:
        super().__init__(inner)
        self.left = -1
        """How many writes still succeed; negative: all."""
        self.late = False
        """Whether a write that fails has taken effect."""
        self.once = False
        """Whether only one fails."""

    def _pass(self, verb: str, call: Callable[[], T]) -> T:
        if verb not in self.WRITES or self.left < 0:
            return call()
        if self.left > 0:
            self.left -= 1
            return call()
        if self.once:
            self.left = -1
        if self.late:
            call()
        raise StoreError("the disk is full: make room on it")


@pytest.mark.parametrize("kind", ["memory", "file", "database"])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_wherever_new_session_fails_one_session_is_left(
    kind: str, once: bool, late: bool, quick: Path
) -> None:
    """S-20: at each of its writes, for a moment or for good; and afterwards it works again."""
    place = Place(quick, kind)
    inner = MemoryStore(clock=place.clock) if kind == "memory" else place.store()
    store = FailingStore(inner)
    service = SessionService(store=store, secret=SECRET, clock=place.clock)
    failures = 0
    for writes in range(8):
        store.left, store.once, store.late = -1, once, late
        old = begun(service, data={"n": writes})
        replaced(old, {"n": [writes]})
        store.left = writes
        result = service.new_session("ann", data={"new": writes})
        store.left = -1
        if result:
            assert not lives(service, old)
            assert lives(service, session_of(result))
        else:
            failures += 1
            refused(result, "new_session: the disk is full: make room on it")
            if not late:
                assert data_of(got(service, old)) == {"n": [writes]}
                done(old.save())
        again = begun(service)
        assert not lives(service, old)
        assert service.cleanup_sessions().active == (again.handle(),), writes
    assert failures >= 3


@pytest.mark.parametrize("method", ["save", "delete_session", "delete_user_session"])
def test_a_write_that_fails_changes_nothing_and_can_be_repeated(place: Place, method: str) -> None:
    """The data waits in memory, the session stands in the store, and trying again helps."""
    store = FailingStore(place.store())
    service = SessionService(store=store, secret=SECRET, clock=place.clock)
    session = begun(service, data={"a": 1})
    session.set_data({"a": 2})
    calls: dict[str, Callable[[], Result]] = {
        "save": session.save,
        "delete_session": lambda: service.delete_session(session.session_id()),
        "delete_user_session": lambda: service.delete_user_session("ann"),
    }
    store.left = 0
    refused(calls[method](), f"{method}: the disk is full: make room on it")
    store.left = -1
    assert data_of(got(service, session)) == {"a": 1}
    assert (session.is_dirty(), session.is_valid(), data_of(session)) == (True, True, {"a": 2})
    done(calls[method]())
    if method == "save":
        assert data_of(got(service, session)) == {"a": 2}
    else:
        assert not lives(service, session)


def test_a_disk_that_is_full_in_earnest(place: Place) -> None:
    """Saves fail, what was saved before stands, and with room on the disk the work goes on."""

    def work() -> None:
        with place.open(max_size=10**8) as service:
            session = begun(service, data={"saved": "before"})
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            session.set_data({"large": "x" * 300_000})
            result = refused(session.save(), "save: ")
            assert result.code == "store", result
            refused(service.new_session("ann", data={"large": "x" * 300_000}), "new_session: ")
            assert data_of(got(service, session)) == {"saved": "before"}
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert session.is_dirty()
            done(session.save())
            assert len(data_of(got(service, session))["large"]) == 300_000
            assert service.cleanup_sessions().active == (session.handle(),)

    assert ended(forked(work)) == 0


# Hostile values


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


# Damage


def damage(place: Place, session: ServiceSession, payload: Callable[[bytes], bytes]) -> None:
    """Change what is stored of the session behind the service's back."""
    if place.backend == "database":
        connection = sqlite3.connect(place.folder / "sessions.db")
        ((stored,),) = connection.execute(
            "SELECT payload FROM sessions WHERE key = ?", (session.handle(),)
        ).fetchall()
        with connection:
            connection.execute(
                "UPDATE sessions SET payload = ? WHERE key = ?",
                (payload(stored), session.handle()),
            )
        connection.close()
    else:
        (path,) = [path for path in place.folder.rglob(session.handle()) if path.is_file()]
        header, _, stored = path.read_bytes().partition(b"\n")
        path.write_bytes(header + b"\n" + payload(stored))


DAMAGE: list[Callable[[bytes], bytes]] = [
    lambda old: old[:-1] + b"?",
    lambda old: old[:0],
    lambda _: b"{}",
    bytes.upper,
]


@pytest.mark.parametrize("payload", DAMAGE)
def test_a_damaged_session_is_a_failure_and_can_be_ended(
    service: SessionService, place: Place, payload: Callable[[bytes], bytes]
) -> None:
    """Whatever was done to it, whether or not somebody holds it; others are unharmed."""
    session, other = begun(service, "ann", data={"a": 1}), begun(service, "bob", data={"b": 1})
    held = got(service, session)
    damage(place, session, payload)
    result = refused(service.get_session(session.session_id()), "get_session_info: ")
    assert "end it with delete_session()" in result.message
    assert result.code == "damaged"
    assert service.cleanup_sessions().damaged == (session.handle(),)
    assert data_of(held) == {"a": 1}
    assert refused(held.refresh(), "end it with delete_session()").code == "damaged"
    assert (held.is_active(), data_of(held)) == (True, {"a": 1})
    assert data_of(got(service, other)) == {"b": 1}
    done(service.delete_session(session.session_id()))
    assert service.cleanup_sessions().damaged == ()
    assert data_of(begun(service, "ann", data={"a": 2})) == {"a": 2}
    assert lives(service, other)


def test_a_user_with_a_damaged_session_can_begin_another(
    service: SessionService, place: Place
) -> None:
    """And the damaged one goes, as any former session does."""
    session = begun(service, "ann", data={"a": 1})
    damage(place, session, lambda old: old[:-1] + b"?")
    again = begun(service, "ann")
    result = service.cleanup_sessions()
    assert (result.active, result.damaged) == ((again.handle(),), ())


# Other people's files


@pytest.mark.parametrize("kind", ["database", "text", "folder", "newer"])
def test_a_database_that_is_not_ours_fails_construction(kind: str, tmp_path: Path) -> None:
    """It says what to do, and leaves the file as it was."""
    path = tmp_path / "sessions.db"
    if kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "text":
        path.write_text("my diary\n" * 100)
    elif kind == "newer":
        SessionService(storage_dir=tmp_path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
    else:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("CREATE TABLE sessions (id TEXT)")
        connection.close()
    if kind != "folder":
        path.chmod(0o600)
    before = None if kind == "folder" else path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"Failed to initialize backend: .*name") as error:
        SessionService(storage_dir=tmp_path)
    assert str(path) in str(error.value)
    assert before is None or path.read_bytes() == before


def test_a_database_that_is_replaced_while_it_is_open_is_a_failure(tmp_path: Path) -> None:
    """By one that is not ours, or by none; put back, it goes on as if nothing had happened."""
    place = Place(tmp_path, "database")
    path, aside = tmp_path / "sessions.db", tmp_path / "aside"
    with place.open() as service:
        session = begun(service, data={"a": 1})
        session.set_data({"a": 2})
        for content in (None, b"my diary\n" * 100):
            aside.mkdir()
            for file in tmp_path.glob("sessions.db*"):
                file.rename(aside / file.name)
            if content is not None:
                path.write_bytes(content)
                path.chmod(0o600)
            place.clock.advance(2)
            for result in (
                service.new_session("bob"),
                service.get_session(session.session_id()),
                service.delete_session(session.session_id()),
                service.delete_user_session("ann"),
                service.cleanup_sessions(),
                session.save(),
                session.refresh(),
            ):
                assert refused(result, "sessions.db").code in ("store", "damaged")
            assert data_of(session) == {"a": 2}
            path.unlink(missing_ok=True)
            for file in aside.iterdir():
                os.replace(file, tmp_path / file.name)
            aside.rmdir()
            place.clock.advance(2)
            assert data_of(got(service, session)) == {"a": 1}
        done(session.save())
        assert data_of(got(service, session)) == {"a": 2}


def test_what_replaced_the_data_as_a_whole_is_told_of(service: SessionService) -> None:
    """A save from before it fails until the session is read again, and then may be made anew."""
    session = begun(service, data={"a": 1})
    held = got(service, session)
    replaced(session, ["whole"])
    held.set_data({"a": 2})
    for _ in range(2):
        result = refused(held.save(), "call refresh()")
        assert result.code == "ended"
        assert (held.is_dirty(), held.is_active(), data_of(held)) == (True, True, {"a": 2})
    assert data_of(got(service, session)) == ["whole"]
    done(held.refresh())
    assert (held.is_dirty(), data_of(held)) == (False, ["whole"])
    replaced(held, {"a": 2})
    assert data_of(got(service, session)) == {"a": 2}


def test_parallel_changes_of_different_keys_are_both_kept(service: SessionService) -> None:
    """`set_data` of a mapping is saved key by key."""
    session = begun(service, data={"a": 1, "b": 1, "gone": 1})
    one, two = got(service, session), got(service, session)
    replaced(one, {"a": 2, "b": 1})
    data_of(two)["b"] = 2
    done(two.save())
    assert data_of(got(service, session)) == {"a": 2, "b": 2}
    one.set_data({"a": 3, "b": 1})
    done(one.refresh())
    assert (data_of(one), one.is_dirty()) == ({"a": 3, "b": 2}, True)
    done(one.save())
    assert data_of(got(service, session)) == {"a": 3, "b": 2}
