"""Cases 16 and 57: removing what has expired, and listing what is there."""

from __future__ import annotations

import functools

import pytest

from coatcheck.store.protocol import GARBAGE_AFTER, AsyncStore, Stored
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import DAY, HOUR, KEY, Cases, OpenStore, handle, reopening


class PurgeCases(Cases):
    """Removing what has expired."""

    async def test_16_purge_removes_what_has_expired(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` removes records that expired long ago, tells how many, and no others."""
        purges, now = self.purges(driver, store), clock()
        deadlines = (now + 10, now + 20, now + DAY, None)
        for number, deadline in enumerate(deadlines):
            await store.create(handle(number), b"payload", expires_at=deadline, user_id=None)
        equal(await purges.purge(), 0, "purge removes nothing that is live")
        clock.set(now + 20 + GARBAGE_AFTER + 1)
        removed = await purges.purge()
        if not self.engine_expires:
            equal(removed, 2, "purge removes what has expired, and says how many")
            equal(await purges.purge(), 0, "purge leaves nothing of it")
        clock.set(now)
        found = [await store.get(handle(number)) for number in range(4)]
        live = [Stored(1, now + DAY, b"payload"), Stored(1, None, b"payload")]
        equal(found[2:], live, "purge removes nothing that is live")
        if not self.engine_expires:
            equal(found[:2], [None, None], "what purge has removed is gone")

    async def test_16_purge_waits(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` leaves a record that expired less than `GARBAGE_AFTER` seconds ago."""
        purges, deadline = self.purges(driver, store), clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id=None)
        for age in (0.0, 1.0, GARBAGE_AFTER - 1):
            clock.set(deadline + age)
            equal(await purges.purge(), 0, f"purge leaves what expired {age} s ago")
        clock.set(deadline - 1)
        record = await store.get(KEY)
        equal(record, Stored(1, deadline, b"payload"), "another clock may still find it live")

    async def test_16_purge_knows_touches_and_updates(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` goes by the deadline that stands, not by the first one."""
        purges, now = self.purges(driver, store), clock()
        for number in range(3):
            await store.create(handle(number), b"old", expires_at=now + 10, user_id=None)
        await store.touch(handle(0), version=1, expires_at=now + DAY)
        await store.update(handle(1), b"new", version=1, expires_at=now + DAY)
        await store.update(handle(2), b"new", version=1, expires_at=None)
        clock.set(now + HOUR)
        equal(await purges.purge(), 0, "purge removes nothing that is live")
        wanted = [
            Stored(1, now + DAY, b"old"),
            Stored(2, now + DAY, b"new"),
            Stored(2, None, b"new"),
        ]
        equal([await store.get(handle(number)) for number in range(3)], wanted, "all are live")

    async def test_16_purge_in_batches(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` removes at most `limit` records; fewer than `limit` means that none is left."""
        purges = self.purges(driver, store)
        if self.engine_expires:
            pytest.skip(f"{type(self).__name__}.engine_expires: an engine collects, not purge")
        for number in range(5):
            await store.create(handle(number), b"old", expires_at=clock() + 10, user_id=None)
        for number in range(5, 8):
            await store.create(handle(number), b"live", expires_at=clock() + DAY, user_id=None)
        clock.advance(HOUR)
        removed = [await purges.purge(2) for _ in range(4)]
        equal(removed, [2, 2, 1, 0], "purge removes at most `limit` records")
        for number in range(5, 8):
            holds(await store.get(handle(number)) is not None, "purge removes nothing live")

    async def test_16_purge_takes_index_entries_along(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` removes the index entries of what it removes, and no others."""
        purges, users = self.purges(driver, store), self.index(driver, store)
        deadlines = {handle(0): clock() + 10, handle(1): clock() + DAY}
        for key, deadline in deadlines.items():
            await users.admit("ann", key, limit=None, evict=False)
            await store.create(key, b"payload", expires_at=deadline, user_id="ann")
        clock.advance(HOUR)
        await purges.purge()
        if not self.engine_expires:
            keys = [entry.key for entry in await users.entries("ann")]
            equal(keys, [handle(1)], "purge removes the index entries of what it removes")
        refused = await users.admit("ann", handle(2), limit=2, evict=False)
        equal(type(refused).__name__, "Admitted", "what is purged does not count")

    async def test_16_purge_takes_abandoned_entries(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """`purge` removes entries of sessions that were never created, but not at once."""
        purges, users = self.purges(driver, store), self.index(driver, store)
        for number in range(2):
            await users.admit("ann", handle(number), limit=None, evict=False)
        await store.create(handle(0), b"payload", expires_at=None, user_id="ann")
        await users.admit("bob", handle(2), limit=None, evict=False)
        await purges.purge()
        keys = [entry.key for entry in await users.entries("ann")]
        equal(keys, [handle(0), handle(1)], "purge leaves what may be about to be created")
        clock.advance(HOUR)
        await users.admit("ann", handle(3), limit=None, evict=False)
        await purges.purge()
        keys = [entry.key for entry in await users.entries("ann")]
        equal(keys, [handle(0), handle(3)], "purge removes old entries without a record")
        equal(list(await users.entries("bob")), [], "purge removes a user's last entry too")

    async def test_16_a_rescue_inside_a_purge(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a create takes an expired record's key during a purge, its record stands."""
        purges = self.purges(driver, store)
        for number, point in enumerate(driver.points(store)):
            await store.create(KEY, b"old", expires_at=clock() + 10, user_id="ann")
            clock.advance(HOUR)
            deadline = clock() + DAY
            _removed, created = await point.meet(
                purges.purge,
                functools.partial(store.create, KEY, b"new", expires_at=deadline, user_id="bob"),
            )
            equal(created, True, f"an expired record gives way (point {number})")
            record = await store.get(KEY)
            equal(
                record, Stored(1, deadline, b"new"), f"purge spares what is live (point {number})"
            )
            await store.delete(KEY)

    async def test_16_one_claims_the_purge(
        self, open_store: OpenStore, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Of all who would purge, one per interval may."""
        purges = self.purges(driver, store)
        other = self.purges(driver, open_store()) if self.reopens else purges
        equal(await purges.claim_purge(600), True, "the first to ask may")
        equal(await purges.claim_purge(600), False, "once per interval")
        equal(await other.claim_purge(600), False, "one of all processes")
        clock.advance(599)
        equal(await other.claim_purge(600), False, "the interval is not over")
        clock.advance(2)
        works = [purges.claim_purge, other.claim_purge] * 2
        claims = await driver.together(*(functools.partial(work, 600.0) for work in works))
        equal(sorted(claims), [False, False, False, True], "one per interval")


class ScanCases(Cases):
    """Listing what is there."""

    async def _scan(self, driver: Driver, store: AsyncStore, count: int) -> list[list[str]]:
        scans, cursor = self.scans(driver, store), None
        pages: list[list[str]] = []
        while len(pages) < 1000:
            page, cursor = await scans.scan(cursor, count=count)
            pages.append(list(page))
            if cursor is None:
                return pages
        raise AssertionError("scan comes to an end")

    async def test_57_scan_of_nothing(self, store: AsyncStore, driver: Driver) -> None:
        """A scan of an empty store is one empty page, or some."""
        pages = await self._scan(driver, store, 10)
        equal([key for page in pages for key in page], [], "an empty store has no keys")

    async def test_57_scan_lists_what_is_live(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """A scan lists every live key, in pages of about the size asked for, and no others."""
        live = {handle(number) for number in range(60)}
        for number in range(60):
            await store.create(handle(number), b"live", expires_at=None, user_id=None)
        for number in range(60, 70):
            await store.create(handle(number), b"x", expires_at=clock() + 10, user_id=None)
        await store.delete(handle(0))
        live.remove(handle(0))
        clock.advance(10)
        for count in (1, 7, 1000):
            pages = await self._scan(driver, store, count)
            found = {key for page in pages for key in page}
            equal(found, live, f"a scan lists what is live (count={count})")
        pages = await self._scan(driver, store, 5)
        holds(len(pages) > 1, "a scan comes in pages", pages)

    @pytest.mark.parametrize("change", ["delete", "create", "update"])
    async def test_57_scan_under_change(
        self, store: AsyncStore, clock: ManualClock, driver: Driver, change: str
    ) -> None:
        """Whatever is live from the first page to the last is listed, whatever else changes."""
        scans = self.scans(driver, store)
        stay = {handle(number) for number in range(0, 60, 2)}
        for number in range(60):
            await store.create(handle(number), b"1", expires_at=clock() + HOUR, user_id=None)
        seen: set[str] = set()
        cursor = None
        for number in range(1000):
            page, cursor = await scans.scan(cursor, count=5)
            seen.update(page)
            if cursor is None:
                break
            if change == "delete":
                # Removing what lies before the cursor shifts what lies behind it.
                for key in set(page) - stay:
                    await store.delete(key)
            elif change == "create" and number < 30:
                await store.create(handle(100 + number), b"1", expires_at=None, user_id=None)
            elif change == "update" and number < 30:
                key = handle(2 * number)
                await store.update(key, b"22" * 99, version=1, expires_at=clock() + DAY)
        holds(stay <= seen, "what stays from the first page to the last is listed", stay - seen)

    @reopening
    async def test_57_scan_goes_on_elsewhere(
        self, open_store: OpenStore, store: AsyncStore, driver: Driver
    ) -> None:
        """A cursor is text that another store of the same backend can go on from."""
        for number in range(30):
            await store.create(handle(number), b"1", expires_at=None, user_id=None)
        page, cursor = await self.scans(driver, store).scan(count=3)
        seen = set(page)
        while cursor is not None:
            equal(type(cursor), str, "a cursor is text")
            page, cursor = await self.scans(driver, open_store()).scan(cursor, count=9)
            seen.update(page)
        equal(seen, {handle(number) for number in range(30)}, "a cursor is all it takes")
