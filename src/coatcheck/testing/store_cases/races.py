"""Cases 19 to 31: compare-and-set, one winner, and nothing that comes back."""

from __future__ import annotations

import functools

import pytest

from coatcheck.store.protocol import (
    AsyncStore,
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
)
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver, Work
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import (
    DAY,
    HOUR,
    KEY,
    Cases,
    OpenStore,
    handle,
    increment,
)

WORKERS = 4
ROUNDS = 10


class RaceCases(Cases):
    """Compare-and-set, one winner, and nothing that comes back."""

    async def test_19_conflict_carries_the_record(
        self, store: AsyncStore, clock: ManualClock
    ) -> None:
        """An update of another version is a `Conflict` with the record as it stands."""
        deadline = clock() + HOUR
        await store.create(KEY, b"first", expires_at=deadline, user_id=None)
        await store.update(KEY, b"second", version=1, expires_at=deadline + 1)
        current = Stored(2, deadline + 1, b"second")
        for version in (1, 3, 0, -1, 2**40):
            outcome = await store.update(KEY, b"late", version=version, expires_at=deadline + DAY)
            equal(outcome, Conflict(current), f"version {version} where 2 stands is a Conflict")
            equal(await store.get(KEY), current, "an update in conflict writes nothing")

    async def test_19_update_creates_nothing(self, store: AsyncStore, clock: ManualClock) -> None:
        """An update of a missing record is `Gone` and creates nothing."""
        for version in (0, 1, 2):
            outcome = await store.update(KEY, b"x", version=version, expires_at=clock() + HOUR)
            equal(outcome, Gone(), "update of a missing record is Gone")
            equal(await store.get(KEY), None, "update creates nothing")

    async def test_20_conflict_carries_the_newest(
        self, open_store: OpenStore, store: AsyncStore, clock: ManualClock
    ) -> None:
        """A `Conflict` carries the newest record also when two updates came in between."""
        deadline = clock() + HOUR
        other = open_store() if self.reopens else store
        await store.create(KEY, b"base", expires_at=deadline, user_id=None)
        await store.get(KEY)
        await other.update(KEY, b"theirs", version=1, expires_at=deadline)
        await other.update(KEY, b"theirs again", version=2, expires_at=deadline)
        outcome = await store.update(KEY, b"mine", version=1, expires_at=deadline)
        equal(
            outcome, Conflict(Stored(3, deadline, b"theirs again")), "Conflict carries the newest"
        )
        outcome = await store.update(KEY, b"mine", version=3, expires_at=deadline)
        equal(outcome, Updated(4), "the version that the Conflict carries is the one to update")

    async def test_21_no_increment_is_lost(self, store: AsyncStore, driver: Driver) -> None:
        """Increments by compare-and-set from several threads or tasks add up."""
        await store.create(KEY, b"0", expires_at=None, user_id=None)
        work = functools.partial(increment, store, KEY, ROUNDS)
        await driver.together(*[work] * WORKERS)
        wanted = Stored(1 + WORKERS * ROUNDS, None, b"%d" % (WORKERS * ROUNDS))
        equal(await store.get(KEY), wanted, "no increment is lost")

    async def test_23_one_winner_of_many_updates(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Of many updates of one version at the same time exactly one takes place."""
        deadline = clock() + HOUR
        for number in range(ROUNDS):
            key = handle(number)
            await store.create(key, b"base", expires_at=deadline, user_id=None)
            works = [
                functools.partial(store.update, key, b"%d" % n, version=1, expires_at=deadline)
                for n in range(WORKERS)
            ]
            outcomes = await driver.together(*works)
            winners = [n for n, outcome in enumerate(outcomes) if outcome == Updated(2)]
            equal(len(winners), 1, "exactly one of the updates of one version takes place")
            current = Stored(2, deadline, b"%d" % winners[0])
            equal(await store.get(key), current, "the winner's payload stands")
            losers = [outcome for n, outcome in enumerate(outcomes) if n != winners[0]]
            equal(losers, [Conflict(current)] * (WORKERS - 1), "the others are told of the winner")

    async def test_23_an_update_inside_an_update(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever an update comes in between another of the same version, one takes place."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            await store.create(key, b"base", expires_at=deadline, user_id=None)
            first, second = await point.meet(
                functools.partial(store.update, key, b"A", version=1, expires_at=deadline),
                functools.partial(store.update, key, b"B", version=1, expires_at=deadline),
            )
            current = Stored(2, deadline, b"A" if first == Updated(2) else b"B")
            equal(await store.get(key), current, f"the winner stands (point {number})")
            both: list[UpdateOutcome] = [first, second]
            holds(
                both in ([Updated(2), Conflict(current)], [Conflict(current), Updated(2)]),
                f"one takes place, the other is told of it (point {number})",
                both,
            )

    async def test_24_one_winner_of_many_creates(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Of many creates of one key at the same time exactly one takes place."""
        deadline = clock() + HOUR
        for number in range(ROUNDS):
            key = handle(number)
            works = [
                functools.partial(
                    store.create, key, b"%d" % n, expires_at=deadline, user_id=f"user-{n}"
                )
                for n in range(WORKERS)
            ]
            outcomes = await driver.together(*works)
            equal(outcomes.count(True), 1, "exactly one of the creates takes place")
            current = Stored(1, deadline, b"%d" % outcomes.index(True))
            equal(await store.get(key), current, "the winner's record stands")

    async def test_24_a_create_inside_a_create(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a create comes in between another of the same key, one takes place."""
        for number, point in enumerate(driver.points(store)):
            key, deadline = handle(number), clock() + HOUR
            if number % 2:
                await store.create(key, b"expired", expires_at=deadline, user_id=None)
                clock.advance(HOUR)
            deadline = clock() + HOUR
            first, second = await point.meet(
                functools.partial(store.create, key, b"A", expires_at=deadline, user_id=None),
                functools.partial(store.create, key, b"B", expires_at=deadline, user_id=None),
            )
            equal(sorted((first, second)), [False, True], f"one takes place (point {number})")
            current = Stored(1, deadline, b"A" if first else b"B")
            equal(await store.get(key), current, f"the winner stands (point {number})")

    async def test_26_update_after_delete(self, store: AsyncStore, clock: ManualClock) -> None:
        """A record deleted between a get and its update stays deleted."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id="ann")
        await store.get(KEY)
        await store.delete(KEY)
        for version in (1, 2):
            outcome = await store.update(KEY, b"late", version=version, expires_at=deadline)
            equal(outcome, Gone(), "update of a deleted record is Gone")
        equal(await store.get(KEY), None, "what is deleted stays deleted")

    async def test_27_touch_after_delete(self, store: AsyncStore, clock: ManualClock) -> None:
        """A record deleted between a get and its touch stays deleted."""
        deadline = clock() + HOUR
        await store.create(KEY, b"payload", expires_at=deadline, user_id="ann")
        await store.get(KEY)
        await store.delete(KEY)
        touched = await store.touch(KEY, version=1, expires_at=deadline + 60)
        equal(touched, False, "touch of a deleted record is False")
        equal(await store.get(KEY), None, "what is deleted stays deleted")

    async def test_30_a_delete_inside_an_update(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a delete comes in between an update, the record is gone afterwards."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            await store.create(key, b"old", expires_at=deadline, user_id="ann")
            outcome, removed = await point.meet(
                functools.partial(store.update, key, b"new", version=1, expires_at=deadline),
                functools.partial(store.delete, key, user_id="ann"),
            )
            equal(await store.get(key), None, f"what is deleted stays deleted (point {number})")
            before, after = Stored(1, deadline, b"old"), Stored(2, deadline, b"new")
            holds(
                (outcome, removed) in ((Updated(2), after), (Gone(), before)),
                f"delete returns what stood, update says whether it stood (point {number})",
                (outcome, removed),
            )

    async def test_30_a_delete_inside_a_touch(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a delete comes in between a touch, the record is gone afterwards."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            await store.create(key, b"payload", expires_at=deadline, user_id="ann")
            touched, removed = await point.meet(
                functools.partial(store.touch, key, version=1, expires_at=deadline + 60),
                functools.partial(store.delete, key, user_id="ann"),
            )
            equal(await store.get(key), None, f"what is deleted stays deleted (point {number})")
            wanted = Stored(1, deadline + 60 if touched else deadline, b"payload")
            equal(removed, wanted, f"delete returns what stood (point {number})")

    async def test_30_an_update_inside_a_touch(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever an update comes in between a touch, its payload and version stand."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            await store.create(key, b"old", expires_at=deadline, user_id=None)
            _touched, outcome = await point.meet(
                functools.partial(store.touch, key, version=1, expires_at=deadline + DAY),
                functools.partial(store.update, key, b"new", version=1, expires_at=deadline + 1),
            )
            equal(outcome, Updated(2), f"a touch is no conflict (point {number})")
            record = await store.get(key)
            equal(record, Stored(2, deadline + 1, b"new"), f"the update stands (point {number})")

    async def test_30_one_of_two_deletes(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a delete comes in between another, exactly one of them returns the record."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key, record = handle(number), Stored(1, deadline, b"payload")
            await store.create(key, b"payload", expires_at=deadline, user_id="ann")
            pair = await point.meet(
                functools.partial(store.delete, key), functools.partial(store.delete, key)
            )
            holds(
                pair in ((record, None), (None, record)),
                f"exactly one delete returns the record (point {number})",
                pair,
            )

    async def test_30_a_get_is_whole(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a get comes in between a write, it shows the record before or after it."""
        deadline = clock() + HOUR
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            before, after = Stored(1, deadline, b"old" * 999), Stored(2, deadline + 9, b"new")
            await store.create(key, before.payload, expires_at=deadline, user_id=None)
            _outcome, seen = await point.meet(
                functools.partial(
                    store.update, key, after.payload, version=1, expires_at=deadline + 9
                ),
                functools.partial(store.get, key),
            )
            holds(seen in (before, after), f"a get shows no mixture (point {number})", seen)

    @pytest.mark.parametrize("verb", ["update", "touch", "delete"])
    async def test_30_a_write_inside_a_get(
        self, store: AsyncStore, clock: ManualClock, driver: Driver, verb: str
    ) -> None:
        """Wherever a write comes in between a get, the get shows the record before or after it."""
        deadline = clock() + HOUR
        before = Stored(1, deadline, b"old" * 999)
        after = {
            "update": Stored(2, deadline + 9, b"new"),
            "touch": before._replace(expires_at=deadline + 9),
            "delete": None,
        }[verb]
        for number, point in enumerate(driver.points(store)):
            key = handle(number)
            await store.create(key, before.payload, expires_at=deadline, user_id=None)
            later = deadline + 9
            write: dict[str, Work[object]] = {
                "update": functools.partial(store.update, key, b"new", version=1, expires_at=later),
                "touch": functools.partial(store.touch, key, version=1, expires_at=later),
                "delete": functools.partial(store.delete, key),
            }
            seen, _outcome = await point.meet(functools.partial(store.get, key), write[verb])
            holds(seen in (before, after), f"a get shows no mixture (point {number})", seen)
            equal(await store.get(key), after, f"the write takes place (point {number})")

    async def test_31_expiry_inside_an_update(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Wherever a record expires during its update, it is updated or gone, and whole."""
        for number, point in enumerate(driver.points(store)):
            key, deadline = handle(number), clock() + HOUR

            async def expire(deadline: float = deadline) -> None:
                clock.set(deadline)

            await store.create(key, b"old", expires_at=deadline, user_id=None)
            outcome, _none = await point.meet(
                functools.partial(store.update, key, b"new", version=1, expires_at=deadline + HOUR),
                expire,
            )
            wanted = Stored(2, deadline + HOUR, b"new") if outcome == Updated(2) else None
            holds(outcome in (Updated(2), Gone()), f"Updated or Gone (point {number})", outcome)
            equal(await store.get(key), wanted, f"as the update said (point {number})")
