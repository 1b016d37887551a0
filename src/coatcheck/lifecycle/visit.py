"""One session during one request (or one program's use of it): what the lifecycle knows of it.

The application never sees a Visit; it holds a `Session`, which is a face of one. Adapters hold it
too, but only to hand it back to the lifecycle. It has data and small rules, and no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from coatcheck.errors import CorruptRecord, UnserializableValue
from coatcheck.events import ChangesDropped, RecordCorrupt
from coatcheck.ids import Identity
from coatcheck.record import Record, Tombstone, difference
from coatcheck.tuples import maker

if TYPE_CHECKING:
    from coatcheck.request import Request
    from coatcheck.runtime import Runtime

IMMUTABLE: Final = frozenset(
    {str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, Decimal, UUID}
)
"""Types whose values, handed out, cannot change what is stored without the session knowing."""

DropReason = Literal["gone", "replaced", "cleared", "error", "late", "revoked", "outage"]


class Phase(Enum):
    """Where a session stands."""

    UNOPENED = "nobody looked at it"
    NEW = "no record is behind it"
    STORED = "a record is behind it"
    UNREADABLE = "the store failed: anonymous, nothing is written, and nothing may leave"
    MUTE = "its record was just replaced by another request: anonymous, and nothing may leave"
    ENDED = "this request destroyed it"
    LOST = "another request ended it"


Claim: TypeAlias = tuple[str, Identity, bool]
"""A well-signed ID, what it says, and whether the current secret signed it."""


class Held(NamedTuple):
    """The record as stored, as far as this request knows."""

    version: int
    expires_at: float | None
    record: Record

    @property
    def ends_at(self) -> float | None:
        """When the session ends if nobody uses it: the smaller of both deadlines; `None`: never."""
        ends = [end for end in (self.expires_at, self.record.deadline) if end is not None]
        return min(ends, default=None)


make_held: Final = maker(Held)


@dataclass(slots=True)
class Replacement:
    """A `login` or `regenerate` that the next commit carries out."""

    reason: Literal["login", "regenerate"]
    user_id: str | None
    identity: Identity
    keep: frozenset[str] | None
    """The keys that pass from the old record to the new one; `None`: all."""
    mark: bytes
    """The encoded view at the moment of the call; what differs from it came after."""
    remember: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A record that `destroy` or `logout` ends at the next opportunity."""

    handle: str
    user_id: str | None
    reason: Literal["destroy", "logout", "stolen"]


class Visit:
    """The mutable state of one session during one request."""

    __slots__ = (
        "base",
        "begun",
        "buried",
        "candidates",
        "carried",
        "cleared",
        "codec",
        "drops",
        "endings",
        "epoch",
        "expiry",
        "fresh",
        "held",
        "identity",
        "must_clear",
        "must_issue",
        "phase",
        "reissue",
        "renew",
        "replacement",
        "request",
        "response_started",
        "runtime",
        "seen_user",
        "shared",
        "tombstone",
        "touch_at",
        "verified",
        "view",
        "written",
    )

    def __init__(
        self, runtime: Runtime, request: Request | None, begun: float, renew: bool = True
    ) -> None:
        self.runtime = runtime
        self.request = request
        self.begun = begun
        self.renew = renew
        self.phase = Phase.UNOPENED
        self.fresh = True
        # What the client sent.
        self.candidates: Sequence[str] | None = None
        self.verified: Sequence[Claim] = ()
        self.carried: str | None = None
        self.reissue = False
        # What lies in the store, and what this request knew of it last.
        self.identity: Identity | None = None
        self.held: Held | None = None
        self.buried: Identity | None = None
        self.tombstone: Tombstone | None = None
        self.epoch = 0
        self.touch_at = inf
        self.seen_user: str | None = None
        # The application's view: `base` is the view as last saved, `view` the live objects. A view
        # that is None was never decoded, and is unchanged, not empty. `codec` is the number of the
        # one that `base` is in: that of the record as loaded, which a newer one need not be in.
        self.base = b""
        self.codec = runtime.codec_number
        self.view: dict[str, Any] | None = None
        # What the application did.
        self.written = False
        self.shared = False
        self.cleared = False
        self.expiry: dict[str, Any] | None = None
        self.replacement: Replacement | None = None
        self.endings: list[Ending] = []
        # What is to be told and sent.
        self.drops: list[ChangesDropped] = []
        self.must_issue = False
        self.must_clear = False
        self.response_started = False

    # What it is

    @property
    def handle(self) -> str | None:
        """The handle of the record that is, or will be, behind the session, if there is one."""
        identity = self.replacement.identity if self.replacement else self.identity
        return identity.handle if identity else None

    @property
    def user_id(self) -> str | None:
        """The user that the session belongs to, once what is pending has been carried out."""
        if self.replacement is not None:
            return self.replacement.user_id
        return self.held.record.user_id if self.held else None

    @property
    def changed(self) -> bool:
        """Whether the view may differ from what was last saved."""
        return self.written or self.shared or self.cleared

    # How it changes

    def hold(self, held: Held) -> None:
        """Take note of the record as stored; the application's view is not changed by that."""
        self.held = held
        self.phase = Phase.STORED
        _, expires_at, record = held
        runtime, idle = self.runtime, record.idle
        if record.user_id is not None:
            self.seen_user = record.user_id
        if idle is None or expires_at is None or not runtime.slides:
            self.touch_at = inf
        else:
            self.touch_at = expires_at - idle + runtime.touch_interval(idle)

    def adopt(self, held: Held) -> None:
        """Take over the record as stored, and make the application's view be it."""
        self.hold(held)
        record = held.record
        self.base, self.codec = record.data, record.codec
        self.epoch = record.epoch
        self.view = self.expiry = None
        self.fresh = self.written = self.shared = self.cleared = False

    def settle(self) -> None:
        """Take note that nothing waits to be saved; values handed out may still change."""
        self.written = self.cleared = False
        self.expiry = None
        if self.view is None:
            self.shared = False

    def revert(self) -> None:
        """Go back to what was last saved: what was pending could not be carried out."""
        self.replacement = None
        self.view = None if self.held else {}
        self.settle()

    def become_new(self) -> None:
        """Go on as an empty anonymous session without a record."""
        self.phase = Phase.NEW
        self.fresh = True
        self.identity = self.held = self.replacement = None
        self.buried = self.tombstone = None
        self.view = {}
        self.base, self.codec = self.runtime.empty, self.runtime.codec_number
        self.epoch = 0
        self.touch_at = inf
        self.reissue = self.must_issue = False
        self.shared = False
        self.settle()

    def data(self) -> dict[str, Any]:
        """Return the live view, decoding it at the first call.

        Data that does not decode, though its checksum is right (an unregistered type, another
        codec), is an event and an anonymous session, as any corrupt record is.
        """
        view = self.view
        if view is None:
            held = self.held
            if held is None:
                view = self.view = {}
                return view
            runtime = self.runtime
            try:
                if self.codec == runtime.codec_number:
                    view = runtime.decode(self.base)
                else:
                    view = runtime.codec_of(self.codec).decode(self.base)
                    self.base, self.codec = runtime.codec.encode(view), runtime.codec_number
            except CorruptRecord as error:
                runtime.emit(RecordCorrupt(self.handle or "", str(error)))
                self.become_new()
                return self.data()
            self.view = view
        return view

    def unchanged(self) -> bool:
        """Say whether the values handed out still are what was last saved."""
        return self.view is None or self.runtime.is_encoding_of(self.base, self.view)

    def changed_keys(self) -> Sequence[str]:
        """Name the keys whose changes have not been saved; every key where the view is broken."""
        if not self.changed or self.view is None:
            return ()
        codec = self.runtime.codec
        try:
            return difference(codec, self.base, codec.encode(self.view))
        except (CorruptRecord, TypeError):
            return tuple(self.view)

    def drop(self, reason: DropReason) -> None:
        """Forget what was not saved, and keep note of it, so that somebody is told."""
        keys = self.changed_keys()
        times = self.expiry and self.phase is not Phase.NEW
        if keys or self.replacement is not None or self.cleared or times:
            identity = self.identity or self.buried
            handle = identity.handle if identity else self.handle or ""
            self.drops.append(ChangesDropped(handle, keys, reason))
        if keys and self.view is not None:
            # That is dealt with, and what the application holds may still change.
            try:
                self.base = self.runtime.codec.encode(self.view)
            except UnserializableValue:
                self.shared = False
        self.replacement = None
        self.settle()

    def drop_data(self, reason: DropReason, mine: bytes) -> None:
        """Keep note that changed data is not saved, where the session itself goes on.

        What was dropped counts as dealt with: only what differs from it is told the next time.
        """
        self.drops.append(ChangesDropped(self.handle or "", self.changed_keys(), reason))
        self.base = mine

    def lose(self, reason: DropReason) -> None:
        """Take note that another request ended the session: nothing may be saved or sent."""
        self.drop(reason)
        self.phase = Phase.LOST
        self.held = None
        self.must_issue = self.reissue = False
        self.touch_at = inf

    def end(self, reason: Literal["destroy", "logout"]) -> None:
        """End the session: note the record to be ended, and the deletion to be sent."""
        if self.held is not None and self.identity is not None:
            self.endings.append(Ending(self.identity.handle, self.held.record.user_id, reason))
        elif self.phase is Phase.LOST and self.identity is not None:
            # What replaced it, perhaps, still stands.
            self.endings.append(Ending(self.identity.handle, self.seen_user, reason))
        elif self.tombstone is not None and self.buried is not None:
            self.endings.append(Ending(self.buried.handle, self.tombstone.user_id, reason))
        if self.carried is not None or self.held is not None:
            self.must_clear = True
        self.become_new()
        if reason == "destroy":
            self.phase = Phase.ENDED

    def amend(self, changes: Mapping[str, Any]) -> None:
        """Note changed times: `idle`, `lifetime`, `least_lifetime` (s or None), `persistent`."""
        self.expiry = {**(self.expiry or {}), **changes}
