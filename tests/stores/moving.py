"""Programs that use two stores while sessions are copied from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from coatcheck import Copied, SessionManager, copy_sessions
from coatcheck.layout import unpack
from coatcheck.record import Record
from coatcheck.store import MemoryStore, Scans, Store, UserIndex
from coatcheck.testing import ManualClock

SECRET: Final = "m0ving-Xk4Qp8sT2vZ6bN1cF7gJ3hR9dL5wY"
USERS: Final = ("ada", "bob")
_METHODS: Final = (
    *("get", "create", "update", "touch", "delete"),
    *("entries", "admit", "confirm", "revoke", "forget", "scan"),
)
Contents = dict[str, tuple[float | None, bytes]]


class Watched:
    """A store that calls a function before each of its calls."""

    namespace = "coatcheck"
    never_blocks = True

    def __init__(self, store: Any, before: Callable[[str], object]) -> None:
        for name in _METHODS:
            if hasattr(store, name):
                setattr(self, name, self._watched(name, getattr(store, name), before))

    def _watched(self, name: str, method: Any, before: Callable[[str], object]) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            before(name)
            return method(*args, **options)

        return call


def watched(store: object, before: Callable[[str], object]) -> Any:
    """Return the store, calling a function before each call."""
    return Watched(store, before)


class Move:
    """A source, a target, a journal, and programs that use the first two."""

    def __init__(
        self,
        source: Callable[[ManualClock], Store] | None = None,
        target: Callable[[ManualClock], Store] | None = None,
    ) -> None:
        def memory(clock: ManualClock) -> MemoryStore:
            return MemoryStore(clock=clock)

        self.clock = ManualClock()
        self.source: Any = (source or memory)(self.clock)
        self.target: Any = (target or memory)(self.clock)
        self.journal = MemoryStore(clock=self.clock)
        self.old = self._manager(self.source)
        self.new = self._manager(self.target)
        self.number = 0

    def _manager(self, store: Any) -> SessionManager:
        return SessionManager(
            secret=SECRET, store=store, expire=600, lifetime=6000, clock=self.clock
        )

    def run(self, last: bool = False, **options: Any) -> Copied:
        """Run a pass."""
        stores = {"source": self.source, "target": self.target, "journal": self.journal}
        given: dict[str, Any] = {"page": 3, "clock": self.clock, **stores, **options}
        return copy_sessions(given.pop("source"), given.pop("target"), last=last, **given)

    def act(self, manager: SessionManager, deed: str, choice: int = 0) -> None:
        """Let a program do something to one of the sessions that its store has."""
        store = self.source if manager is self.old else self.target
        self.number += 1
        if deed == "visit":
            manager.create(data={"n": self.number})
        elif deed == "sign in":
            manager.create(USERS[choice % 2], {"n": self.number})
        elif deed == "revoke":
            manager.revoke_user(USERS[choice % 2])
        elif deed == "wait":
            self.clock.advance((5, 90, 500)[choice % 3])
        elif handles := [key for key, (_, payload) in contents(store).items() if lives(payload)]:
            self._act_on(manager, handles[choice % len(handles)], deed)

    def _act_on(self, manager: SessionManager, handle: str, deed: str) -> None:
        session = manager.find(handle)
        if session is None:
            return
        if deed == "end":
            manager.delete(handle)
            return
        if deed == "change":
            session["n"] = self.number
        elif deed == "clear":
            session.clear()
        elif deed == "log in":
            session.login(USERS[self.number % 2])
        elif deed == "regenerate":
            session.regenerate()
        elif deed == "hurry":
            session.set_expiry(idle=60)
        session.save()

    def levelled(self) -> bool:
        """Say whether the target is what the source is, the lists of users included."""
        same = contents(self.source) == contents(self.target)
        return same and lists(self.source) == lists(self.target)


DEEDS: Final = (
    *("visit", "sign in", "sign in", "change", "change", "clear", "log in", "regenerate"),
    *("hurry", "end", "end", "revoke", "wait"),
)


def contents(store: Any) -> Contents:
    """Return all that is live in a store: deadlines and payloads."""
    found: Contents = {}
    cursor: str | None = None
    while True:
        keys, cursor = store.scan(cursor)
        for key in keys:
            stored = store.get(key)
            if stored is not None:
                found[key] = (stored.expires_at, stored.payload)
        if cursor is None:
            return dict(sorted(found.items()))


def lists(store: Scans | UserIndex) -> dict[str, Sequence[str]]:
    """Return the live sessions of each user, in the order of the index."""
    index: Any = store
    live = {key for key, (_, payload) in contents(store).items() if lives(payload)}
    return {
        user: [entry.key for entry in index.entries(user) if entry.key in live] for user in USERS
    }


def lives(payload: bytes) -> bool:
    """Say whether a payload is a session, and no tombstone."""
    return isinstance(unpack(payload), Record)


def owner(payload: bytes) -> str | None:
    """Return the user of a payload."""
    return unpack(payload).user_id
