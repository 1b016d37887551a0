"""Sign-ins at once, full disks, two programs on one session: failures are told, nothing is lost."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from coatcheck import Result, SessionService, StoreError
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


# Several programs on one session


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
