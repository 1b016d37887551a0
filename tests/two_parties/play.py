"""Plays a cell of the table on a store, and says where what came of it is not what stands there."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from coatcheck.errors import SessionEnded
from coatcheck.events import ChangesDropped, KeyOverwritten
from coatcheck.manager import SessionManager
from coatcheck.options import Options
from coatcheck.record import Record
from coatcheck.store.file import FileStore
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import GARBAGE_AFTER
from coatcheck.store.sqlite import SQLiteStore
from coatcheck.testing.clock import ManualClock
from tests.core.harness import Browser, Exchange, FullStore, Harness, Reply, put, sign_in
from tests.two_parties.words import (
    EXPIRE,
    LATE_PURGE,
    LIFETIME,
    PURGE,
    REVOKE,
    REVOKE_USER,
    Act,
    Cell,
    Cookie,
    Left,
    Start,
    When,
)

Evict = Literal["oldest", "refuse"]
STORES: Final = ("memory", "file", "sqlite")
_SPAN: Final = 3600.0
"""Seconds until the session ends, by its idle timeout or, where the cell says so, its lifetime."""
_LONGER: Final = 2 * _SPAN
_IN_FLIGHT: Final = 5.0
"""Seconds after a `login` or `regenerate` from which the old ID is that of a stranger."""
_SINCE_START: Final = 100.0
"""Seconds between the last activity and these two parties: a touch is due."""


@contextmanager
def opened(kind: str, folder: Path, clock: ManualClock) -> Generator[FullStore]:
    """Open an empty store of that kind."""
    if kind == "memory":
        yield MemoryStore(clock=clock)
    elif kind == "file":
        yield FileStore(folder / "sessions", clock=clock)
    else:
        store = SQLiteStore(folder / "sessions.db", clock=clock)
        try:
            yield store
        finally:
            store.close()


class Play:
    """One cell, played once; `acts_early` says whether B acts before A commits, or after.

    `saves` lets B call `save()` where its response would start. With `evict` a user may have one
    session only.
    """

    def __init__(
        self,
        store: FullStore,
        clock: ManualClock,
        cell: Cell,
        start: Start,
        when: When,
        *,
        acts_early: bool = True,
        saves: bool = False,
        evict: Evict | None = None,
    ) -> None:
        self.cell, self.start, self.when = cell, start, when
        self.acts_early = acts_early and not cell.second.ends
        self.saves = saves
        by_lifetime = LIFETIME in (cell.first, cell.second)
        spans = (_LONGER, _SPAN) if by_lifetime else (_SPAN, _LONGER)
        options: Options = {"expire": spans[0], "lifetime": spans[1]}
        if evict is not None:
            options = {**options, "max_sessions_per_user": 1, "evict": evict}
        self.harness = Harness(store, clock, **options)
        self.manager = SessionManager(self.harness.config, store=store)
        self.browser = Browser(self.harness)
        store_something = put(start="start")
        if start is Start.ANNS:
            store_something = sign_in("ann", start="start")
        self.browser.visit(store_something)
        self.old_id = self.browser.id or ""
        self.handle = self.harness.identity(self.old_id).handle
        self.end, self.idle_end = clock() + _SPAN, clock() + spans[0]
        clock.advance(_SINCE_START)
        self.harness.events.clear()
        self.error: SessionEnded | None = None
        self.replies = self._play()
        self.events = list(self.harness.events)

    # Playing

    def _play(self) -> tuple[Reply | None, Reply | None]:
        first, second = self.cell.first, self.cell.second
        exchange: Exchange | None = None
        if self.when is When.OVERLAP:
            exchange = self._begin(second)
            if exchange is not None and self.acts_early:
                self._act(exchange, second, "b")
        reply = self._finish(self._begin(first), first, "a", acted=False)
        clock = self.harness.clock
        if self.when is When.OVERLAP:
            clock.advance(1.0)
        else:
            clock.advance(_IN_FLIGHT - (0.001 if self.when is When.SOON else 0.0))
            exchange = self._begin(second)
        acted = self.acts_early and self.when is When.OVERLAP
        return reply, self._finish(exchange, second, "b", acted=acted)

    def _begin(self, act: Act) -> Exchange | None:
        """Begin a request with the old ID, and load the session."""
        if act.request is None:
            return None
        exchange = self._request(self.old_id)
        len(exchange.session)
        return exchange

    def _request(self, session_id: str) -> Exchange:
        return self.browser.begin(f"{self.harness.config.cookie_name}={session_id}")

    def _act(self, exchange: Exchange, act: Act, party: str) -> None:
        if act.request is not None:
            act.request(exchange.session, party)

    def _finish(
        self, exchange: Exchange | None, act: Act, party: str, *, acted: bool
    ) -> Reply | None:
        if exchange is None:
            self._beside(act)
            return None
        if not acted:
            self._act(exchange, act, party)
        if party == "b" and self.saves:
            try:
                exchange.session.save()
            except SessionEnded as error:
                self.error = error
        return exchange.finish(deliver=False)

    def _beside(self, act: Act) -> None:
        manager, clock = self.manager, self.harness.clock
        if act in (EXPIRE, LIFETIME):
            clock.set(self.end)
        elif act is REVOKE:
            manager.revoke(self.handle, user_id=None if self.start is Start.ANONYMOUS else "ann")
        elif act is REVOKE_USER:
            manager.revoke_user("ann")
        elif act is PURGE:
            _same("purged", manager.purge_expired(), 0)
        elif act is LATE_PURGE:
            clock.set(self.end + GARBAGE_AFTER)
            _same("purged", manager.purge_expired(), 1)
        else:
            raise AssertionError(f"nobody knows how to {act.name}")

    # Looking

    def check(self) -> None:
        """Raise `AssertionError` where something is not as the cell says."""
        self._check_cookies()
        self._check_told()
        self._check_sessions()
        self._check_users()
        self._check_end()
        self._check_third_requests()

    def _check_cookies(self) -> None:
        kinds = tuple(self._kind(reply) for reply in self.replies)
        _same("cookies of A and B", kinds, self.cell.cookies)

    def _kind(self, reply: Reply | None) -> Cookie:
        if reply is None:
            return Cookie.SILENT
        if reply.cookie is None:
            return Cookie.NONE
        if reply.deleted:
            return Cookie.DELETION
        if reply.sent == self.old_id:
            raise AssertionError("a response sent the old ID")
        first = self.replies[0]
        joined = first is not None and reply is not first and reply.sent == first.sent
        return Cookie.JOINED if joined else Cookie.NEW

    def _check_told(self) -> None:
        told = self.cell.outcome.told
        drops = [event for event in self.events if isinstance(event, ChangesDropped)]
        expected = [] if told is None else [(told.reason, set(self.values(told.keys)))]
        _same("told", [(drop.reason, set(drop.keys)) for drop in drops], expected)
        overwritten = [event.key for event in self.events if isinstance(event, KeyOverwritten)]
        _same("overwritten", overwritten, [key for key in [self.cell.outcome.overwritten] if key])

    def values(self, text: str) -> dict[str, str]:
        """Return what keys and values a session holds, of which an outcome has the short form."""
        values: dict[str, str] = {}
        for word in text.split():
            key, _, value = word.partition("=")
            act = {"a": self.cell.first, "b": self.cell.second}.get(key)
            names = [key] if act is None else [name.format(key) for name in act.writes]
            if not names:
                raise AssertionError(f"{act} writes nothing")
            values |= {name: value or name.partition("-")[0] for name in names}
        return values

    def _expected(self) -> dict[str, tuple[str | None, dict[str, str]]]:
        """Return the sessions that should stand, by their IDs: user and data."""
        outcome, start_user = self.cell.outcome, None if self.start is Start.ANONYMOUS else "ann"
        sessions: dict[str, tuple[str | None, dict[str, str]]] = {}
        if not isinstance(outcome.old, Left):
            sessions[self.old_id] = (start_user, self.values(outcome.old))
        for act, reply, holds in zip(
            (self.cell.first, self.cell.second), self.replies, (outcome.a, outcome.b), strict=True
        ):
            if holds is not None:
                if reply is None or reply.sent is None:
                    raise AssertionError("what stands has an ID that nobody was sent")
                user = act.user or (start_user if act.name == "regenerate" else None)
                sessions[reply.sent] = (user, self.values(holds))
        return sessions

    def _check_sessions(self) -> None:
        harness, now = self.harness, self.harness.clock()
        found: dict[str, tuple[str | None, dict[str, str]]] = {}
        left: Left | None = Left.NOTHING
        for handle in harness.store.inner.scan(None, count=1000)[0]:
            stored = harness.store.inner.get(handle)
            content = harness.runtime.read(handle, stored.payload) if stored else None
            if isinstance(content, Record) and not content.ended(now):
                data = harness.runtime.codec.decode(content.data)
                found[handle] = content.user_id, data
                left = None if handle == self.handle else left
            elif handle == self.handle and not isinstance(content, Record) and content is not None:
                left = Left.TOMBSTONE
        expected = {harness.identity(key).handle: one for key, one in self._expected().items()}
        _same("sessions in the store", found, expected)
        old = self.cell.outcome.old
        _same("left under the old ID", left, old if isinstance(old, Left) else None)

    def _check_users(self) -> None:
        """The lists of the users have what stands, and no more."""
        for name in ("ann", "bob"):
            owned = {
                self.harness.identity(session_id).handle
                for session_id, (user, _) in self._expected().items()
                if user == name
            }
            listed = {session.handle for session in self.manager.sessions_of(name)}
            _same(f"sessions of {name}", listed, owned)
            if not {EXPIRE, LIFETIME} & {self.cell.first, self.cell.second}:
                entries = {entry.key for entry in self.harness.store.inner.entries(name)}
                _same(f"index of {name}", entries, owned)

    def _check_end(self) -> None:
        """Whatever a client does moves the end of the idle timeout, and nothing else does."""
        if self.cell.first is LIFETIME:
            lies = self.harness.store.inner.get(self.handle)
            if lies is not None:
                _same("the end of an ended session", lies.expires_at, self.idle_end)
        if isinstance(self.cell.outcome.old, Left):
            return
        stored = self.harness.stored(self.old_id)
        by_client = any(act.request for act in (self.cell.first, self.cell.second))
        _same("the end has moved", (stored.expires_at or 0.0) > self.end, by_client)

    def _check_third_requests(self) -> None:
        """Whoever comes next, with any of the IDs, sees what stands, and changes nothing else."""
        expected = self._expected()
        ids = {self.old_id, *(reply.sent for reply in self.replies if reply and reply.sent)}
        for session_id in ids:
            exchange = self._request(session_id)
            seen = exchange.session.user_id, dict(exchange.session)
            _same("a third request sees", seen, expected.get(session_id, (None, {})))
            reply = exchange.finish(deliver=False)
            _same("a third request is sent", reply.cookie, None)
        self._check_mute()

    def _check_mute(self) -> None:
        """Where a tombstone stands, a request in flight stores nothing and sends nothing."""
        if self.cell.outcome.old is not Left.TOMBSTONE or self.when is When.LATER:
            return
        if self.when is When.SOON and self.cell.cookies[1] is Cookie.NONE:
            return  # B was such a request
        self.harness.events.clear()
        exchange = self._request(self.old_id)
        exchange.session["third"] = "third"
        _same("a mute request is sent", exchange.finish(deliver=False).cookie, None)
        _same("a mute request tells", self.harness.dropped(), [("replaced", ("third",))])
        self._check_sessions()


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, and the table says {expected!r}")
