"""What a store is: five verbs over opaque bytes, and four capabilities that it may have besides.

A store never looks into a payload and never decides about sessions; it keeps versions and deadlines
exactly. The rules that make sessions safe rest on a few properties of these verbs:

- only `create` inserts, so nothing else can bring a removed record back;
- `update` is a compare-and-set on the version, so no change is ever lost silently;
- `delete` tells what this very call removed, which decides every race about ending a session.

Every verb raises `ValueError` for a key that is not 32 lower-case hex digits, before any I/O,
`StoreError` where the system behind it is broken, and nothing else on purpose; `get` may raise
`CorruptRecord` where something that is not a record of ours lies under the key. A record is live
while `clock() < expires_at`; a record that is not live is absent to every verb.

Any object with the methods is a store. A class that derives from one of the protocols and lacks one
of its methods cannot be instantiated.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from coatcheck.tuples import maker

DEFAULT_NAMESPACE: Final = "coatcheck"
GARBAGE_AFTER: Final = 120.0
"""Seconds for which an expired record is left in place before `purge` takes it."""
ADMISSION_GRACE: Final = 30.0
"""Seconds for which an index entry without a record is a session that is being created."""

is_key: Final = re.compile(r"[0-9a-f]{32}").fullmatch
"""Says, by a match or `None`, whether a text can be a key."""


def check_key(key: str) -> str:
    """Return `key` if it is 32 lower-case hex digits; else raise `ValueError` (CWE-22, CWE-89)."""
    if not is_key(key):
        raise ValueError("a store key is a session's handle: 32 lower-case hex digits")
    return key


class Stored(NamedTuple):
    """A record as a store hands it out."""

    version: int
    """1 at creation; each update adds one."""
    expires_at: float | None
    """The sliding deadline in seconds since the epoch; `None`: never."""
    payload: bytes


make_stored: Final = maker(Stored)


class Updated(NamedTuple):
    """The update took place."""

    version: int


make_updated: Final = maker(Updated)


class Conflict(NamedTuple):
    """Another update came first; nothing was written."""

    current: Stored


class Gone(NamedTuple):
    """No live record is there: never write this again."""


class Admitted(NamedTuple):
    """The user's index has an entry for the key."""

    epoch: int
    """The user's epoch at that moment, to be shown to `confirm`."""
    evicted: Sequence[str]
    """Keys that were marked to make room; their records are for the caller to end."""


class Refused(NamedTuple):
    """The user has as many sessions as the limit allows; nothing was written."""


class IndexEntry(NamedTuple):
    """One session in a user's index."""

    key: str
    admitted_at: float


UpdateOutcome: TypeAlias = Updated | Conflict | Gone
Admission: TypeAlias = Admitted | Refused


class Store(Protocol):
    """A store whose methods return when the work is done; they may block the calling thread.

    Besides the verbs a store may have these attributes: `namespace` (str, default `"coatcheck"`):
    stores of different namespaces never see each other; `never_blocks` (bool, default false): calls
    are so short that they may run on an event loop; `preferred_codec` (`"binary"` or `"json"`);
    `location` (str): equal in stores that keep the same records.
    """

    @abstractmethod
    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`: missing and expired are the same."""
        ...

    @abstractmethod
    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False`, and nothing written, where a live record has the key.

        An expired record that was not collected yet gives way. `user_id` says whose index the
        record belongs to; it never changes for this record.
        """
        ...

    @abstractmethod
    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`; never insert."""
        ...

    @abstractmethod
    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward.

        Never shortens, never changes version or payload, never creates. `True`: that version stands
        and expires at `expires_at` or later. `False` proves nothing.
        """
        ...

    @abstractmethod
    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed.

        `user_id` is a hint: whose index to clean where the record itself is no longer there.
        """
        ...


@runtime_checkable
class UserIndex(Protocol):
    """A store that knows which sessions a user has. Each method is one atomic step."""

    @abstractmethod
    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first, evicted ones that still stand too."""
        ...

    @abstractmethod
    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """Enter `key`, before its record is created.

        Counted against `limit` are the entries that are not marked as evicted and are not
        `replaces`. At the limit the oldest ones are marked (`evict`) or the call is `Refused`. The
        order is that of admissions, by a counter of the index's own, never by a clock. An entry
        older than `ADMISSION_GRACE` whose record is not live need not be counted and may go.
        """
        ...

    @abstractmethod
    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live: the epoch has not moved, the entry stands, unmarked.

        Where it may, the entry named as `replaces` at admission goes.
        """
        ...

    @abstractmethod
    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`, for the caller to end."""
        ...

    @abstractmethod
    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        ...


@runtime_checkable
class Enrols(Protocol):
    """A user index that lies where the records do, so that both can be changed in one step.

    No store needs it: it spares those that have it two calls for each session that begins.
    """

    @abstractmethod
    def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        """Do what `admit`, `create` and `confirm` do, in one atomic step.

        `Refused`, or `None` where a live record has the key: nothing was written.
        """
        ...


@runtime_checkable
class Purges(Protocol):
    """A store that must be told to remove what has expired."""

    @abstractmethod
    def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries.

        Returns how many were removed; fewer than `limit` means that none is left.
        """
        ...

    @abstractmethod
    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller, of all processes, is to purge in this `interval` (s)."""
        ...


@runtime_checkable
class Scans(Protocol):
    """A store whose live keys can be listed, page by page, in bounded memory."""

    @abstractmethod
    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some keys and the cursor of the next page, `None` after the last.

        A record that is live from the first page to the last is returned at least once.
        """
        ...


class AsyncStore(Protocol):
    """The same five verbs as `Store`, awaited.

    Besides the attributes of `Store` (but `never_blocks`) it may have `get_never_suspends` (bool,
    default false): `get` is a coroutine that returns without ever suspending.
    """

    @abstractmethod
    async def get(self, key: str, /) -> Stored | None:
        """See `Store.get`."""
        ...

    @abstractmethod
    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """See `Store.create`."""
        ...

    @abstractmethod
    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """See `Store.update`."""
        ...

    @abstractmethod
    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """See `Store.touch`."""
        ...

    @abstractmethod
    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """See `Store.delete`."""
        ...


@runtime_checkable
class AsyncUserIndex(Protocol):
    """The same methods as `UserIndex`, awaited."""

    @abstractmethod
    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """See `UserIndex.entries`."""
        ...

    @abstractmethod
    async def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """See `UserIndex.admit`."""
        ...

    @abstractmethod
    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """See `UserIndex.confirm`."""
        ...

    @abstractmethod
    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """See `UserIndex.revoke`."""
        ...

    @abstractmethod
    async def forget(self, user_id: str, key: str, /) -> None:
        """See `UserIndex.forget`."""
        ...


@runtime_checkable
class AsyncEnrols(Protocol):
    """The same method as `Enrols`, awaited."""

    @abstractmethod
    async def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        """See `Enrols.enrol`."""
        ...


@runtime_checkable
class AsyncPurges(Protocol):
    """The same methods as `Purges`, awaited."""

    @abstractmethod
    async def purge(self, limit: int = 1000, /) -> int:
        """See `Purges.purge`."""
        ...

    @abstractmethod
    async def claim_purge(self, interval: float, /) -> bool:
        """See `Purges.claim_purge`."""
        ...


@runtime_checkable
class AsyncScans(Protocol):
    """The same method as `Scans`, awaited."""

    @abstractmethod
    async def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """See `Scans.scan`."""
        ...
