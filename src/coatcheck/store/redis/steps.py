"""What both stores do with a link, written once as coroutines: all but the reading of a record.

A user's index lies under another name than the records, in a cluster on another node, so there is
no step that changes both. Their order keeps them safe: an entry is there before its record and
goes after it, and the index is told to last before the record is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any, Final

from coatcheck.clock import Clock
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.events import logger
from coatcheck.store.protocol import (
    GARBAGE_AFTER,
    Admission,
    Admitted,
    Conflict,
    Gone,
    IndexEntry,
    Refused,
    Stored,
    UpdateOutcome,
    make_updated,
)
from coatcheck.store.redis import records, scripts, users
from coatcheck.store.redis.keys import (
    ADMISSION_TIME,
    HORIZON,
    Names,
    everything_under,
    time_to_live,
)
from coatcheck.store.redis.link import AsyncLink, Command, Reply
from coatcheck.store.redis.trouble import NoScript, NotAString
from coatcheck.store.redis.users import Entry

_PAGE: Final = 500
"""Names that a purge looks at in one go."""
_is_key: Final = re.compile(rb"[0-9a-f]{32}").fullmatch


class Steps:
    """The store's work over a link."""

    def __init__(self, link: AsyncLink, names: Names, clock: Clock) -> None:
        self._link = link
        self._names = names
        self._clock = clock

    async def create(
        self, key: str, payload: bytes, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        name, now, token = self._names.session(key), self._clock(), records.new_token()
        value = records.first(payload, expires_at, user_id, token)
        life = time_to_live(expires_at, now)
        insert: Command = (
            ("SET", name, value, "NX", "PX", life) if life else ("SET", name, value, "NX")
        )
        if user_id is None:
            created = await self._link.call(*insert)
        else:
            created = await self._after(self._keep(self._names.user(user_id), expires_at), insert)
        if created is not None:
            return True
        return await self.take(key, value, life, user_id, token)

    async def take(
        self, key: str, value: bytes, life: bytes, user_id: str | None, token: bytes
    ) -> bool:
        """Insert where `SET NX` could not: over an expired record, or over one's own."""
        moment = records.pack_time(self._clock())
        before = await self._link.run(
            scripts.CREATE, self._names.session(key), value, life, moment, token
        )
        if before == 0:
            return False
        if before and (user_id is None or self._names.user(user_id) != self._names.users + before):
            await self._link.run(users.FORGET, self._names.users + before, key, b"")
        return True

    async def update(
        self, key: str, payload: bytes, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Compare and set."""
        name, now = self._names.session(key), self._clock()
        arguments = update_arguments(payload, version, expires_at, now)
        reply: Reply = await self._link.run(scripts.UPDATE, name, *arguments)
        if isinstance(reply, list):
            await self._link.call(*self._keep(self._names.users + _owner(reply), expires_at))
            horizon = records.pack_time(records.horizon(expires_at))
            reply = await self._link.run(scripts.UPDATE, name, *arguments, horizon)
        return outcome(reply, version)

    async def touch(self, key: str, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        name, now = self._names.session(key), self._clock()
        arguments = touch_arguments(version, expires_at, now)
        reply: Reply = await self._link.run(scripts.TOUCH, name, *arguments)
        if isinstance(reply, list):
            await self._link.call(*self._keep(self._names.users + _owner(reply), expires_at))
            horizon = records.pack_time(records.horizon(expires_at))
            reply = await self._link.run(scripts.TOUCH, name, *arguments, horizon)
        return bool(reply == 1)

    async def delete(self, key: str, user_id: str | None) -> Stored | None:
        """Remove the record, then its index entry; return the live record that was removed."""
        name, now = self._names.session(key), self._clock()
        index = None if user_id is None else self._names.user(user_id)
        removed: Reply
        if index is not None and self._link.ordered:
            forget: Command = ("EVALSHA", users.FORGET.sha, 1, index, key, b"")
            removed, forgotten = await self._link.each([("GETDEL", name), forget])
            if isinstance(removed, Exception):
                raise removed
            if isinstance(forgotten, Exception):
                await self._forget_quietly(index, key, forgotten)
        else:
            removed = await self._link.call("GETDEL", name)
            if index is not None:
                await self._forget_quietly(index, key)
        if removed is None:
            return None
        try:
            record = records.live(removed, now)
        except CorruptRecord:
            # It is gone now, and it never was a session.
            return None
        owner = records.user_of(removed)
        if owner and index != self._names.users + owner:
            await self._forget_quietly(self._names.users + owner, key)
        return record

    async def _forget_quietly(self, index: bytes, key: str, error: Exception | None = None) -> None:
        """Remove an entry whose record is gone; what stays behind goes with the next purge.

        The record was removed, and only this call can say so.
        """
        try:
            if error is not None and not isinstance(error, NoScript):
                raise error
            await self._link.run(users.FORGET, index, key, b"")
        except StoreError as failure:
            logger.warning("an index entry in Redis was not removed: %s", failure)

    async def entries(self, user_id: str) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        found = users.entries(await self._link.read("HGETALL", self._names.user(user_id)))
        return [entry.public for entry in found]

    async def admit(
        self, user_id: str, key: str, limit: int | None, evict: bool, replaces: str | None
    ) -> Admission:
        """Enter a key, within the limit; where it is reached, see first who is still there."""
        index, now = self._names.user(user_id), self._clock()
        arguments = (
            *(key, records.pack_time(now), "" if limit is None else limit),
            *("1" if evict else "0", replaces or "", ADMISSION_TIME),
        )
        reply = await self._link.run(users.ADMIT, index, *arguments, "0")
        if reply[0] == b"check":
            dead = await self._dead(users.to_check(reply), now)
            reply = await self._link.run(users.ADMIT, index, *arguments, "1", *users.pairs_of(dead))
        if reply[0] != b"admitted":
            return Refused()
        return Admitted(int(reply[1]), [other.decode("ascii") for other in reply[2:]])

    async def confirm(self, user_id: str, key: str, epoch: int) -> bool:
        """Say whether the session may live."""
        index = self._names.user(user_id)
        return bool(await self._link.run(users.CONFIRM, index, key, epoch) == 1)

    async def revoke(self, user_id: str, keep: Collection[str]) -> Sequence[str]:
        """Advance the user's epoch and return the keys."""
        fields = await self._link.run(users.REVOKE, self._names.user(user_id))
        return [entry.key for entry in users.entries(fields) if entry.key not in keep]

    async def forget(self, user_id: str, key: str) -> None:
        """Remove an index entry."""
        await self._link.run(users.FORGET, self._names.user(user_id), key, b"")

    async def purge(self) -> int:
        """Remove the entries without a record from all indexes; records expire by themselves."""
        before = self._clock() - GARBAGE_AFTER
        async for names in self._pages(self._names.users, _PAGE):
            for index, fields in zip(
                names, await self._all([("HGETALL", name) for name in names], {}), strict=True
            ):
                old = [one for one in users.entries(fields) if one.admitted_at <= before]
                dead = await self._dead(old, before)
                if dead:
                    await self._link.run(users.FORGET, index, *users.pairs_of(dead))
        return 0

    async def claim_purge(self, interval: float) -> bool:
        """Take the interval, unless it is taken."""
        times = (records.pack_time(self._clock()), records.pack_time(interval))
        life = time_to_live(interval, 0)
        return bool(await self._link.run(scripts.CLAIM, self._names.purge, *times, life) == 1)

    async def scan(self, cursor: str | None, count: int) -> tuple[Sequence[str], str | None]:
        """Return the live keys of a page, and the cursor of the next.

        What is no record of ours is live, so that whoever copies or counts is told of it.
        """
        start = self._names.sessions
        names, after = await self._link.scan(cursor or "", everything_under(start), count)
        keys = [self._names.key(name) for name in names if _is_key(name[len(start) :])]
        now = self._clock()
        deadlines = await self._deadlines(keys)
        live = [key for key, at in zip(keys, deadlines, strict=True) if records.is_live(at, now)]
        return live, after

    async def _pages(self, start: bytes, count: int) -> AsyncIterator[list[bytes]]:
        cursor: str | None = ""
        while cursor is not None:
            names, cursor = await self._link.scan(cursor, everything_under(start), count)
            if names:
                yield names

    async def _dead(self, found: Sequence[Entry], now: float) -> list[Entry]:
        """Return the entries whose record is not there, or not live at that time."""
        deadlines = await self._deadlines([entry.key for entry in found])
        return [
            entry
            for entry, at in zip(found, deadlines, strict=True)
            if not records.is_live(at, now)
        ]

    async def _deadlines(self, keys: Iterable[str]) -> list[bytes]:
        name = self._names.session
        return await self._all(
            [("GETRANGE", name(key), *records.DEADLINE_AT) for key in keys], records.NO_DEADLINE
        )

    async def _all(self, commands: Sequence[Command], odd: Any = None) -> list[Any]:
        """Return the replies to commands none of which may fail.

        `odd` stands for those under whose name lies what this store has never written.
        """
        replies = list(await self._link.each(commands)) if commands else []
        for place, reply in enumerate(replies):
            if isinstance(reply, NotAString) and odd is not None:
                replies[place] = odd
            elif isinstance(reply, Exception):
                raise reply
        return replies

    def _keep(self, index: bytes, expires_at: float | None) -> Command:
        """Return the command by which an index outlives a record with that deadline."""
        until = None if expires_at is None else expires_at + HORIZON
        life = time_to_live(until, self._clock())
        return ("PEXPIRE", index, life, "GT") if life else ("PERSIST", index)

    async def _after(self, first: Command, second: Command) -> Reply:
        """Run a command once another has succeeded; return the reply to it."""
        if not self._link.ordered:
            await self._link.call(*first)
            return await self._link.call(*second)
        _kept, reply = await self._all([first, second])
        return reply


def _owner(reply: Reply) -> bytes:
    owner: bytes = reply[0]
    return owner


def update_arguments(
    payload: bytes, version: int, expires_at: float | None, now: float
) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what `UPDATE` is given, but for the horizon."""
    return (
        records.pack_version(version),
        records.following(version, payload, expires_at),
        records.pack_time(now),
        time_to_live(expires_at, now),
    )


def outcome(reply: Reply, version: int) -> UpdateOutcome:
    """Return what a reply to `UPDATE` means."""
    if reply == 1:
        return make_updated((version + 1,))
    if reply is None:
        return Gone()
    try:
        return Conflict(records.parse(reply))
    except CorruptRecord as error:
        raise StoreError(f"{error}; delete it") from error


def touch_arguments(
    version: int, expires_at: float, now: float
) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what `TOUCH` is given, but for the horizon."""
    return (
        records.pack_version(version),
        records.pack_time(expires_at),
        records.pack_time(now),
        time_to_live(expires_at, now),
    )
