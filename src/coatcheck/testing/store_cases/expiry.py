"""Cases 11 to 15, 17, 18 and 25: deadlines and touches."""

from __future__ import annotations

import math

import pytest

from coatcheck.store.protocol import AsyncStore, Conflict, Gone, Stored, Updated
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import DAY, HOUR, KEY, Cases, OpenStore, handle, reopening


class ExpiryCases(Cases):
    """Deadlines and touches."""

    async def _expired(self, store: AsyncStore, clock: ManualClock) -> float:
        """Leave an expired record in the store and return its deadline."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id="ann")
        clock.set(deadline)
        return deadline

    async def test_11_get_of_expired(self, store: AsyncStore, clock: ManualClock) -> None:
        """An expired record is `None`."""
        await self._expired(store, clock)
        equal(await store.get(KEY), None, "get of an expired record is None")

    async def test_11_update_of_expired(self, store: AsyncStore, clock: ManualClock) -> None:
        """An update of an expired record is `Gone` and does not revive it."""
        await self._expired(store, clock)
        for version in (1, 7):
            outcome = await store.update(KEY, b"x", version=version, expires_at=clock() + HOUR)
            equal(outcome, Gone(), "update of an expired record is Gone, whatever the version")
        equal(await store.get(KEY), None, "update revives no expired record")

    async def test_11_touch_of_expired(self, store: AsyncStore, clock: ManualClock) -> None:
        """A touch of an expired record is `False` and does not revive it."""
        await self._expired(store, clock)
        touched = await store.touch(KEY, version=1, expires_at=clock() + HOUR)
        equal(touched, False, "touch of an expired record is False")
        equal(await store.get(KEY), None, "touch revives no expired record")

    async def test_11_delete_of_expired(self, store: AsyncStore, clock: ManualClock) -> None:
        """A delete of an expired record is `None`: it was gone before."""
        await self._expired(store, clock)
        equal(await store.delete(KEY), None, "delete of an expired record is None")

    async def test_11_create_over_expired(self, store: AsyncStore, clock: ManualClock) -> None:
        """`create` takes the key of an expired record and begins at version 1."""
        deadline = await self._expired(store, clock)
        created = await store.create(KEY, b"new", expires_at=deadline + HOUR, user_id=None)
        equal(created, True, "an expired record gives way to create")
        equal(await store.get(KEY), Stored(1, deadline + HOUR, b"new"), "create begins at 1")

    async def test_12_exact_boundary(self, store: AsyncStore, clock: ManualClock) -> None:
        """A record is live while the clock shows less than its deadline, not at its deadline."""
        for number, fraction in enumerate((0.0, 0.001, 0.1, 0.123456, 0.999999)):
            key, deadline = handle(number), math.floor(clock()) + HOUR + fraction
            await store.create(key, b"payload", expires_at=deadline, user_id=None)
            clock.set(math.nextafter(deadline, 0))
            equal(await store.get(key), Stored(1, deadline, b"payload"), "live before its deadline")
            touched = await store.touch(key, version=1, expires_at=deadline)
            equal(touched, True, "live before its deadline, for touch")
            outcome = await store.update(key, b"new", version=1, expires_at=deadline)
            equal(outcome, Updated(2), "live before its deadline, for update")
            clock.set(deadline)
            equal(await store.get(key), None, "expired at its deadline")
            touched = await store.touch(key, version=2, expires_at=deadline + HOUR)
            equal(touched, False, "expired at its deadline, for touch")
            outcome = await store.update(key, b"x", version=2, expires_at=deadline + HOUR)
            equal(outcome, Gone(), "expired at its deadline, for update")
            equal(await store.delete(key), None, "expired at its deadline, for delete")

    async def test_12_create_at_the_boundary(self, store: AsyncStore, clock: ManualClock) -> None:
        """`create` is `False` just before the deadline of what is there, and `True` at it."""
        deadline = clock() + HOUR
        await store.create(KEY, b"old", expires_at=deadline, user_id=None)
        clock.set(math.nextafter(deadline, 0))
        created = await store.create(KEY, b"new", expires_at=deadline + HOUR, user_id=None)
        equal(created, False, "live before its deadline, for create")
        clock.set(deadline)
        created = await store.create(KEY, b"new", expires_at=deadline + HOUR, user_id=None)
        equal(created, True, "expired at its deadline, for create")

    async def test_13_touch_moves_only_the_deadline(
        self, store: AsyncStore, clock: ManualClock
    ) -> None:
        """`touch` moves the deadline exactly, and neither the version nor the payload."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id=None)
        for later in (deadline + 1e-3, deadline + 0.123456, deadline + DAY, deadline + 400 * DAY):
            equal(await store.touch(KEY, version=1, expires_at=later), True, "touch is True")
            equal(await store.get(KEY), Stored(1, later, b"payload"), "touch moves the deadline")
        clock.set(deadline + 300 * DAY)
        moved = Stored(1, deadline + 400 * DAY, b"payload")
        equal(await store.get(KEY), moved, "a touched record lives until its new deadline")
        clock.set(deadline + 400 * DAY)
        equal(await store.get(KEY), None, "a touched record expires at its new deadline")

    async def test_13_touch_only_its_version(self, store: AsyncStore, clock: ManualClock) -> None:
        """`touch` of another version than the stored one is `False` and changes nothing."""
        deadline = clock() + HOUR
        await store.create(KEY, b"first", expires_at=deadline, user_id=None)
        await store.update(KEY, b"second", version=1, expires_at=deadline)
        for version in (1, 3, 0):
            touched = await store.touch(KEY, version=version, expires_at=deadline + DAY)
            equal(touched, False, f"touch of version {version} is False where version 2 stands")
        equal(await store.get(KEY), Stored(2, deadline, b"second"), "and changes nothing")

    async def test_14_touch_never_shortens(self, store: AsyncStore, clock: ManualClock) -> None:
        """`touch` never moves a deadline backward, nor gives one to a record without."""
        deadline = clock() + DAY
        await store.create(KEY, b"payload", expires_at=deadline, user_id=None)
        for earlier in (deadline - 1e-3, deadline - HOUR, clock() - 1, deadline):
            await store.touch(KEY, version=1, expires_at=earlier)
            equal(await store.get(KEY), Stored(1, deadline, b"payload"), "touch never shortens")
        await store.update(KEY, b"payload", version=1, expires_at=None)
        await store.touch(KEY, version=2, expires_at=clock() + HOUR)
        clock.advance(DAY)
        equal(await store.get(KEY), Stored(2, None, b"payload"), "touch sets no deadline")

    async def test_14_touch_creates_nothing(self, store: AsyncStore, clock: ManualClock) -> None:
        """`touch` of a missing record is `False` and creates nothing."""
        for version in (0, 1):
            touched = await store.touch(KEY, version=version, expires_at=clock() + HOUR)
            equal(touched, False, "touch of a missing record is False")
        equal(await store.get(KEY), None, "touch creates nothing")

    async def test_15_no_deadline(self, store: AsyncStore, clock: ManualClock) -> None:
        """A record without a deadline does not expire."""
        await store.create(KEY, b"payload", expires_at=None, user_id=None)
        clock.advance(36_500 * DAY)
        equal(await store.get(KEY), Stored(1, None, b"payload"), "None means never")
        outcome = await store.update(KEY, b"new", version=1, expires_at=None)
        equal(outcome, Updated(2), "None means never, for update")
        equal(await store.delete(KEY), Stored(2, None, b"new"), "None means never, for delete")

    async def test_15_far_future(self, store: AsyncStore, clock: ManualClock) -> None:
        """Deadlines centuries ahead are kept exactly."""
        for number, deadline in enumerate((2.0**31, 2.0**32 + 0.5, 4e10, 253_402_300_799.5)):
            key = handle(number)
            await store.create(key, b"payload", expires_at=deadline, user_id=None)
            equal(await store.get(key), Stored(1, deadline, b"payload"), "kept exactly")

    @pytest.mark.parametrize("verb", ["create", "update", "touch"])
    async def test_15_no_number_is_no_deadline(
        self, store: AsyncStore, clock: ManualClock, verb: str
    ) -> None:
        """A deadline that is no number is refused with `ValueError`, or the record has expired.

        NaN is neither before nor after any time, and some engines store it as NULL: a record that
        lives for ever.
        """
        if verb != "create":
            await store.create(KEY, b"payload", expires_at=clock() + HOUR, user_id=None)
        try:
            if verb == "create":
                await store.create(KEY, b"payload", expires_at=math.nan, user_id=None)
            elif verb == "update":
                await store.update(KEY, b"payload", version=1, expires_at=math.nan)
            else:
                await store.touch(KEY, version=1, expires_at=math.nan)
        except ValueError:
            pass
        clock.advance(HOUR)
        equal(await store.get(KEY), None, "a deadline that is no number is not 'never'")

    @reopening
    async def test_17_clocks_of_two_machines(
        self, open_store: OpenStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Each store judges by its own application's clock, and reading removes nothing."""
        ahead = ManualClock(clock() + 60)
        here, there = open_store(), open_store(clock=ahead)
        deadline = clock() + 30
        await here.create(KEY, b"payload", expires_at=deadline, user_id="ann")
        equal(await there.get(KEY), None, "expired by the clock that is ahead")
        outcome = await there.update(KEY, b"x", version=1, expires_at=deadline + DAY)
        equal(outcome, Gone(), "expired by the clock that is ahead, for update")
        touched = await there.touch(KEY, version=1, expires_at=deadline + DAY)
        equal(touched, False, "expired by the clock that is ahead, for touch")
        purges = driver.purges(there)
        if purges is not None:
            equal(await purges.purge(), 0, "purge waits for clocks that are behind")
        equal(await here.get(KEY), Stored(1, deadline, b"payload"), "live by our own clock")

    async def test_18_update_moves_the_deadline(
        self, store: AsyncStore, clock: ManualClock
    ) -> None:
        """`update` sets the deadline, forward, backward, to none and from none."""
        now = clock()
        deadlines = (now + HOUR, now + DAY, now + HOUR, None, now + 60.5)
        await store.create(KEY, b"payload", expires_at=now + DAY, user_id=None)
        for version, deadline in enumerate(deadlines, start=1):
            outcome = await store.update(KEY, b"new", version=version, expires_at=deadline)
            equal(outcome, Updated(version + 1), "update with another deadline")
            equal(await store.get(KEY), Stored(version + 1, deadline, b"new"), "the deadline moves")
        clock.set(now + 60.5)
        equal(await store.get(KEY), None, "expires at the deadline of the last update")

    async def test_18_conflict_moves_nothing(self, store: AsyncStore, clock: ManualClock) -> None:
        """An update in conflict leaves the deadline as it was."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id=None)
        outcome = await store.update(KEY, b"new", version=9, expires_at=deadline + DAY)
        current = Stored(1, deadline, b"payload")
        equal(outcome, Conflict(current), "update of another version is a Conflict")
        equal(await store.get(KEY), current, "an update in conflict moves nothing")

    async def test_25_touch_does_not_conflict(self, store: AsyncStore, clock: ManualClock) -> None:
        """A touch between a get and its update does not get into the update's way."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id=None)
        record = await store.get(KEY)
        holds(record is not None, "the record is there", record)
        equal(await store.touch(KEY, version=1, expires_at=deadline + 60), True, "touch is True")
        outcome = await store.update(KEY, b"new", version=1, expires_at=deadline + 30)
        equal(outcome, Updated(2), "a touch is no conflict")
        equal(await store.get(KEY), Stored(2, deadline + 30, b"new"), "the update decides")
