"""One pass of a copy from store to store; `copying` says how passes make a move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from math import inf

from coatcheck import checks
from coatcheck.clock import Clock
from coatcheck.copying.journal import CopyJournal, Noted
from coatcheck.errors import ConfigurationError, CorruptRecord
from coatcheck.layout import pack, unpack
from coatcheck.record import Content, Record, Tombstone
from coatcheck.shapes import Shape
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admitted,
    Stored,
    Updated,
)

_SOURCE, _TARGET = "source", "target"


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a pass has come."""

    seen: int = 0
    """Keys of the source that were looked at."""
    copied: int = 0
    """Sessions, and tombstones, that the target did not have."""
    updated: int = 0
    """Those whose data or deadline was changed in the target."""
    removed: int = 0
    """Those that were removed from the target, for the source no longer has them."""
    left: int = 0
    """Those that a program has changed, ended or revoked at the target, and so were left to it."""
    damaged: int = 0
    """Keys under which something else than a record lies; they were left alone."""
    cursor: str | None = None
    """Where a pass that is interrupted here goes on; `None`: it is complete."""


Progress = Callable[[Copied], object]


class Transfer:
    """One pass, from the first page of the source to the last of the target."""

    def __init__(
        self,
        *,
        source: Shape,
        target: Shape,
        journal: Shape | None,
        last: bool,
        switched_at: float | None,
        page: int,
        progress: Progress | None,
        clock: Clock,
    ) -> None:
        _check_stores(source, target, journal, last)
        self.source, self.target = source, target
        self.journal = CopyJournal(None if journal is None else journal.store, clock)
        self.last, self.clock = last, clock
        self.alone = not last or switched_at is None
        self.switched_at = clock() if switched_at is None else switched_at
        self.page = checks.count("page", page)
        self.progress = progress
        self.done = Copied()
        self.torn = False
        """Whether this page is the one at which the pass was interrupted."""

    async def run(self, cursor: str | None) -> Copied:
        """Run the pass, from `cursor` on."""
        part, _, place = (cursor or f"{_SOURCE}:").partition(":")
        if part not in ((_SOURCE, _TARGET) if self.last else (_SOURCE,)):
            raise ConfigurationError("the cursor is none of a pass like this: leave it out")
        self.torn = bool(place)
        await self._begin()
        if part == _SOURCE:
            await self._pages(self.source, part, place or None, self._level_in_order)
            place = ""
        if self.last:
            await self._pages(self.target, _TARGET, place or None, self._remove_if_ended)
        await self.journal.end(last=self.last)
        return self.done

    async def _begin(self) -> None:
        """Keep the order of passes, on which rests what an entry of the journal means."""
        journal = self.journal
        if self.last:
            await journal.begin_last()
        elif await journal.begin():
            await self._check_target_is_empty()
            await journal.started()

    async def _check_target_is_empty(self) -> None:
        """Refuse a target whose records the journal has not seen: they could not be told apart."""
        scans = self.target.scans
        if scans is not None and (await scans.scan(None, count=1))[0]:
            raise ConfigurationError(
                "the journal is new, and the target has sessions already: begin with an empty"
                " target, or give the journal of the copy that filled it"
            )

    async def _pages(
        self,
        side: Shape,
        part: str,
        place: str | None,
        treat: Callable[[str], Awaitable[None]],
    ) -> None:
        while side.scans is not None:
            keys, place = await side.scans.scan(place, count=self.page)
            for key in keys:
                try:
                    await treat(key)
                except CorruptRecord:
                    self._count(damaged=1)
            if part == _SOURCE:
                self._count(seen=len(keys))
            more = None if place is None else f"{part}:{place}"
            if more is None and part == _SOURCE and self.last:
                more = f"{_TARGET}:"
            self.done = replace(self.done, cursor=more)
            self.torn = False
            if self.progress is not None:
                self.progress(self.done)
            if place is None:
                return

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.done, name) + number for name, number in more.items()}
        self.done = replace(self.done, **counts)

    async def _read(self, side: Shape, key: str) -> tuple[Stored, Content] | None:
        """Return what is live under the key; raises `CorruptRecord`."""
        stored = await side.store.get(key)
        if stored is None:
            return None
        content = unpack(stored.payload)
        over = isinstance(content, Record) and content.ended(self.clock())
        return None if over else (stored, content)

    # What the source has

    async def _level_in_order(self, key: str) -> None:
        """Level a key, and with it the user's whole list, so that this keeps its order."""
        found = await self._read(self.source, key)
        if found is None:
            return
        user_id, order, users = found[1].user_id, self.source.users, self.target.users
        in_list = isinstance(found[1], Record) and user_id is not None
        here = await self.target.store.get(key)
        # In a torn page the list may have stopped behind it, at what lies before the cursor.
        levelled = here is not None and not self.torn
        if levelled or not in_list or user_id is None or order is None or users is None:
            await self._bring(key, *found, here)
            return
        keys = [entry.key for entry in await order.entries(user_id)]
        appended = False
        for each in keys if key in keys else [*keys, key]:
            try:
                added = await self._level(each)
                if appended and not added and self.alone:
                    # It came before what is older. Nobody was there to see, so it goes behind it.
                    copy = await self._read(self.target, each)
                    if copy is not None and isinstance(copy[1], Record):
                        await users.admit(user_id, each, limit=None, evict=False)
                appended = appended or added
            except CorruptRecord:
                continue  # it is counted where its own turn comes

    async def _level(self, key: str) -> bool:
        """Make the target have what the source has; `True` where it was added."""
        found = await self._read(self.source, key)
        if found is None:
            return False
        return await self._bring(key, *found, await self.target.store.get(key))

    async def _bring(self, key: str, there: Stored, content: Content, here: Stored | None) -> bool:
        if here is None:
            return await self._add(key, there, content, None)
        if here.payload != there.payload:
            if self.last and _is_reserved(key, here):
                return await self._add(key, there, content, here)
            await self._overwrite(key, there, content, here)
        elif here.expires_at != there.expires_at:
            await self._move_deadline(key, there.expires_at, here)
        return False

    async def _add(self, key: str, there: Stored, content: Content, here: Stored | None) -> bool:
        """Make the target have it; `here` is what the last pass left of it when it was cut short.

        In the last pass the key is reserved, then noted, and then its session is there: so nobody
        can have ended it before it is noted, and what has ended is known by that.
        """
        if self.last:
            noted = None if here is not None else await self.journal.noted(key)
            if noted is not None and noted.expires_at > self.switched_at:
                # It was there when programs began to use the target, so one of them has ended it.
                self._count(left=1)
                return False
        else:
            await self.journal.note(key, 1, there.expires_at)
        user_id = content.user_id if isinstance(content, Record) else None
        users, store = self.target.users, self.target.store
        admission = None
        if users is not None and user_id is not None:
            admission = await users.admit(user_id, key, limit=None, evict=False)
        payload = _reservation(key, content) if self.last else there.payload
        stands = here is not None or await store.create(
            key, payload, expires_at=there.expires_at, user_id=user_id
        )
        if self.last:
            await self.journal.note(key, 1, there.expires_at)
        if stands and users is not None and user_id is not None and isinstance(admission, Admitted):
            stands = await users.confirm(user_id, key, admission.epoch)
            if not stands:
                await store.delete(key, user_id=user_id)  # revoked there at this moment
        if stands and self.last:
            outcome = await store.update(key, there.payload, version=1, expires_at=there.expires_at)
            stands = isinstance(outcome, Updated)
        if stands:
            self._count(copied=1)
        else:
            self._count(left=1)
        return stands

    async def _overwrite(self, key: str, there: Stored, content: Content, here: Stored) -> None:
        expires_at = there.expires_at
        if self.last:
            noted = await self.journal.noted(key)
            if noted is None:
                self._count(left=1)
                return
            # An older one than was noted: the pass was interrupted before it wrote that.
            if here.version > noted.version:
                await self._differ(key, there, content)
                return
            if not _is_copy(here, noted):
                # A program has touched it there: nobody who is active is to be signed out.
                expires_at = _later(expires_at, here.expires_at)
        else:
            await self.journal.note(key, here.version + 1, expires_at)
        if not await self._update(key, there.payload, here.version, expires_at):
            await self._differ(key, there, content)
            return
        users = self.target.users
        if isinstance(content, Tombstone) and content.user_id is not None and users is not None:
            await users.forget(content.user_id, key)

    async def _differ(self, key: str, there: Stored, content: Content) -> None:
        """Decide where the source has changed a record, and a program at the target its copy."""
        if isinstance(content, Record):
            self._count(left=1)
            return
        # The source had replaced the session before: its ID was worth nothing any more.
        await self._end(key)
        await self.target.store.create(
            key, there.payload, expires_at=there.expires_at, user_id=None
        )

    async def _move_deadline(self, key: str, end: float | None, here: Stored) -> None:
        if self.last and _later(end, here.expires_at) == here.expires_at:
            noted = await self.journal.noted(key)
            if noted is None or not _is_copy(here, noted):
                return  # a program has touched it there
        if end is None or here.expires_at is None or end < here.expires_at:
            if not self.last:
                await self.journal.note(key, here.version + 1, end)
            moved = await self._update(key, here.payload, here.version, end)
        else:
            if not self.last:
                await self.journal.note(key, here.version, end)
            moved = await self.target.store.touch(key, version=here.version, expires_at=end)
            self._count(updated=int(moved))
        self._count(left=int(not moved))

    async def _update(
        self, key: str, payload: bytes, version: int, expires_at: float | None
    ) -> bool:
        outcome = await self.target.store.update(
            key, payload, version=version, expires_at=expires_at
        )
        updated = isinstance(outcome, Updated)
        self._count(updated=int(updated))
        return updated

    # What the source no longer has

    async def _remove_if_ended(self, key: str) -> None:
        """Remove a copy whose session was ended at the source."""
        if await self._read(self.source, key) is not None:
            return
        noted = await self.journal.noted(key)
        if noted is not None and noted.expires_at > self.clock():
            await self._end(key)
        # Else it began at the target; or it is in use there, and has expired at the source.

    async def _end(self, key: str) -> None:
        """Remove a record, and what a program at the target has replaced it by."""
        user_id: str | None = None
        while (removed := await self.target.store.delete(key, user_id=user_id)) is not None:
            self._count(removed=1)
            content = unpack(removed.payload)
            if not isinstance(content, Tombstone):
                return
            key, user_id = content.successor, content.user_id
            after = await self._read(self.target, key)
            if after is None or after[1].user_id != user_id:
                return  # another user's sign-in, a session of its own
            if await self._read(self.source, key) is not None:
                return


def _reservation(key: str, content: Content) -> bytes:
    """Return what keeps the place of a session until it is noted: a tombstone, leading to itself.

    Whoever comes with the ID meanwhile is anonymous, as before the copy.
    """
    return pack(Tombstone(content.secret_hash, None, 0.0, key, bytes(24)), text=False)


def _is_reserved(key: str, here: Stored) -> bool:
    try:
        content = unpack(here.payload)
    except CorruptRecord:
        return False
    return isinstance(content, Tombstone) and content.successor == key


def _check_stores(source: Shape, target: Shape, journal: Shape | None, last: bool) -> None:
    sides = [source, target] if journal is None else [source, target, journal]
    names = [_namespace(side) for side in sides]
    if names[0] != names[1]:
        raise ConfigurationError(
            f"the source's namespace is {names[0]!r}, the target's {names[1]!r},"
            " and an ID is good in one of them only: give both the same"
        )
    if len({(side.place, name) for side, name in zip(sides, names, strict=True)}) < len(sides):
        raise ConfigurationError(
            "source, target and journal must be different stores: give the journal a store, or a"
            " namespace, of its own"
        )
    for side in (source, target) if last else (source,):
        if side.scans is None:
            raise ConfigurationError(
                f"{type(side.given).__name__} does not list its keys: sessions are moved between"
                " stores that implement coatcheck.store.Scans"
            )
    if last and journal is None:
        raise ConfigurationError(
            "the last pass needs the journal of those before it, to know what came from the source:"
            " write journal=... in all of them"
        )


def _namespace(side: Shape) -> str:
    name: str = getattr(side.given, "namespace", DEFAULT_NAMESPACE)
    return name


def _is_copy(here: Stored, noted: Noted) -> bool:
    """Say whether nobody has saved or touched the record since it was copied."""
    expires_at = inf if here.expires_at is None else here.expires_at
    return here.version == noted.version and expires_at == noted.expires_at


def _later(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)
