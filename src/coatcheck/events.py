"""What happened to sessions: typed events, to one `on_event` callable and the `coatcheck` logger.

An event carries handles and names of keys, never an ID, a secret or a value, so it may go to any
log. A hook that raises is logged and never stops what was under way: an ending session still ends.

What a client can cause as often as it likes must not fill a disk (SEC-85, CWE-779): of such a kind
the logger is given one line a second. The hook is called each time, for it may have to count.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final, Literal

from coatcheck.clock import Clock

logger = logging.getLogger("coatcheck")

LINE_INTERVAL: Final = 1.0
"""Seconds between two lines in the log about events of one kind that `floods`."""


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events; `level` is the level at which it is logged.

    `floods`: whether a client, or an outage, can cause it without end. Then the log has one line a
    second, which says how many it stands for. Sign-ins, sign-outs and lost changes have one each.
    """

    level: ClassVar[int] = logging.INFO
    floods: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SessionCreated(Event):
    """A record was created."""

    level: ClassVar[int] = logging.DEBUG
    handle: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionReplaced(Event):
    """`login` or `regenerate` ended one record and began another."""

    old_handle: str
    handle: str
    user_id: str | None
    reason: Literal["login", "regenerate"]


@dataclass(frozen=True, slots=True)
class SessionDestroyed(Event):
    """A session was ended by its own client: `destroy`, `logout`, or `SessionManager.delete`."""

    handle: str
    user_id: str | None
    reason: Literal["destroy", "logout", "delete"]


@dataclass(frozen=True, slots=True)
class SessionRevoked(Event):
    """A session was ended from outside: revoked, or evicted to make room for a newer one."""

    handle: str
    user_id: str | None
    reason: Literal["revoked", "evicted", "unconfirmed", "stolen"]


@dataclass(frozen=True, slots=True)
class SessionExpired(Event):
    """A client came with the ID of a session that is past its absolute deadline."""

    level: ClassVar[int] = logging.DEBUG
    floods: ClassVar[bool] = True
    handle: str


@dataclass(frozen=True, slots=True)
class SessionMerged(Event):
    """A save met a newer version and was merged into it."""

    level: ClassVar[int] = logging.DEBUG
    handle: str
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class KeyOverwritten(Event):
    """Two requests changed the same key and nothing resolves it: the later save won."""

    level: ClassVar[int] = logging.WARNING
    handle: str
    key: str


@dataclass(frozen=True, slots=True)
class ChangesDropped(Event):
    """Changes were not saved, because of what another request or the response decided.

    `reason`: `"gone"` (ended, expired or revoked meanwhile), `"replaced"` (another request signed
    in or regenerated), `"cleared"` (another request cleared), `"error"` (status 500 or above, or an
    exception), `"late"` (the response was over), `"revoked"` (revoked while it was being created),
    `"outage"` (the store failed, and the response went on without it).
    """

    level: ClassVar[int] = logging.WARNING
    handle: str
    keys: Sequence[str]
    reason: Literal["gone", "replaced", "cleared", "error", "late", "revoked", "outage"]


@dataclass(frozen=True, slots=True)
class IDRejected(Event):
    """A client sent something in the form of an ID that was never signed with our secrets."""

    level: ClassVar[int] = logging.DEBUG
    floods: ClassVar[bool] = True
    reason: Literal["signature", "too-many"]


@dataclass(frozen=True, slots=True)
class UnknownID(Event):
    """A client sent a well-signed ID without a live record: expired, ended or replaced."""

    level: ClassVar[int] = logging.DEBUG
    floods: ClassVar[bool] = True
    handle: str


@dataclass(frozen=True, slots=True)
class WrongSecret(Event):
    """A client sent a well-signed ID whose handle is live but whose secret is not the record's."""

    level: ClassVar[int] = logging.WARNING
    floods: ClassVar[bool] = True
    handle: str


@dataclass(frozen=True, slots=True)
class SecretReused(Event):
    """A client sent the ID that `rotate_every` retired last, so somebody has a copy: a theft.

    The session, or all of its user's, end with it, as `on_theft` says.
    """

    level: ClassVar[int] = logging.WARNING
    floods: ClassVar[bool] = True
    handle: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class AmbiguousID(Event):
    """A client sent several different well-signed IDs, and not exactly one of them is live."""

    level: ClassVar[int] = logging.WARNING
    floods: ClassVar[bool] = True
    handles: Sequence[str]


@dataclass(frozen=True, slots=True)
class OriginRefused(Event):
    """A page of another origin tried to open a WebSocket with a visitor's session; it got a 403.

    Where it is a page of yours, name its origin in `websocket_origins`, or have the proxy pass on
    the `Host` that the browser sent. Both are what the client says, cut at 200 characters.
    """

    level: ClassVar[int] = logging.WARNING
    floods: ClassVar[bool] = True
    origin: str
    host: str


@dataclass(frozen=True, slots=True)
class RecordCorrupt(Event):
    """What lies in the store under a handle is not a record of ours; it was left alone."""

    level: ClassVar[int] = logging.ERROR
    floods: ClassVar[bool] = True
    handle: str
    error: str


@dataclass(frozen=True, slots=True)
class DecryptFailed(Event):
    """A record's data does not open under our keys, in this place; it was left alone.

    It was forged, swapped or damaged; or its secret is none of ours any more; or it was written
    with another `encrypt` than is configured, plain for one.
    """

    level: ClassVar[int] = logging.ERROR
    floods: ClassVar[bool] = True
    handle: str
    error: str


@dataclass(frozen=True, slots=True)
class ResponseMadePrivate(Event):
    """A response for one session said `Cache-Control: public`; it was made `private`."""

    level: ClassVar[int] = logging.WARNING
    floods: ClassVar[bool] = True
    handle: str | None


@dataclass(frozen=True, slots=True)
class StoreFailed(Event):
    """The store failed, and a request went on without it: `on_store_error="anonymous"`."""

    level: ClassVar[int] = logging.ERROR
    floods: ClassVar[bool] = True
    error: str


@dataclass(frozen=True, slots=True)
class PurgeFailed(Event):
    """Removing expired records failed; it is tried again in the next interval."""

    level: ClassVar[int] = logging.ERROR
    error: str


@dataclass(frozen=True, slots=True)
class TouchFailed(Event):
    """Noting that a session is in use failed; it is tried again in the next touch interval."""

    level: ClassVar[int] = logging.ERROR
    floods: ClassVar[bool] = True
    handle: str
    error: str


OnEvent = Callable[[Event], None]


class Emitter:
    """Sends events to the logger and to the hook, and survives both.

    The logger is not given all of those that flood; `clock` says how many of them.
    """

    __slots__ = ("_clock", "_hook", "_lines", "_lock")

    def __init__(self, hook: OnEvent | None, clock: Clock) -> None:
        self._hook = hook
        self._clock = clock
        self._lines: dict[type[Event], tuple[float, int]] = {}
        """When each kind that floods was last logged, and how many were not since."""
        self._lock = threading.Lock()

    def wants(self, kind: type[Event]) -> bool:
        """Say whether anybody would see such an event; to ask where making it would be noticed."""
        return self._hook is not None or logger.isEnabledFor(kind.level)

    def __call__(self, event: Event) -> None:
        if logger.isEnabledFor(event.level):
            if event.floods:
                self._log_now_and_then(event)
            else:
                logger.log(event.level, "%s", event)
        if self._hook is not None:
            try:
                self._hook(event)
            except Exception:
                # A broken hook must not keep a logout from taking effect (CVE-2021-34428).
                logger.exception("on_event raised for %s", type(event).__name__)

    def _log_now_and_then(self, event: Event) -> None:
        kind, now = type(event), self._clock()
        with self._lock:
            before, unsaid = self._lines.get(kind, (-inf, 0))
            # A clock that was set back silences nothing.
            if 0.0 <= now - before < LINE_INTERVAL:
                self._lines[kind] = before, unsaid + 1
                return
            self._lines[kind] = now, 0
        if unsaid:
            logger.log(event.level, "%s, and %d more since the last such line", event, unsaid)
        else:
            logger.log(event.level, "%s", event)
