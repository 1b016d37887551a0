"""Cases 58 and 59: a session that is admitted, created and confirmed in one step."""

from __future__ import annotations

import functools
import math

import pytest

from coatcheck.store.protocol import (
    Admission,
    Admitted,
    AsyncEnrols,
    AsyncStore,
    AsyncUserIndex,
    IndexEntry,
    Refused,
    Stored,
    Updated,
)
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver, Work
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import DAY, HOUR, Cases, OpenStore, handle, reopening

A, B, C, D, E = (handle(number) for number in range(5))


def enrolling(
    enrolment: AsyncEnrols,
    key: str,
    user: str = "ann",
    payload: bytes = b"payload",
    *,
    expires_at: float | None = None,
    limit: int | None = None,
    evict: bool = False,
) -> Work[Admission | None]:
    """Return the call that enrols a session: without a limit, if none is given."""
    return functools.partial(
        enrolment.enrol, user, key, payload, expires_at=expires_at, limit=limit, evict=evict
    )


class EnrolCases(Cases):
    """Sessions that are admitted, created and confirmed in one step."""

    @pytest.fixture
    def enrolment(self, driver: Driver, store: AsyncStore) -> AsyncEnrols:
        """Return the store's enrolment."""
        return self.enrols(driver, store)

    async def _enrol(self, enrolment: AsyncEnrols, key: str, user: str = "ann") -> int:
        """Enrol without a limit and return the epoch."""
        admitted = await enrolling(enrolment, key, user)()
        if not isinstance(admitted, Admitted):
            raise AssertionError("without a limit everybody is enrolled under a key that is free")
        equal(list(admitted.evicted), [], "without a limit nobody is evicted")
        return admitted.epoch

    async def _keys(self, users: AsyncUserIndex, user: str = "ann") -> list[str]:
        return [entry.key for entry in await users.entries(user)]

    async def test_58_enrol_creates_the_record(
        self, store: AsyncStore, enrolment: AsyncEnrols, clock: ManualClock
    ) -> None:
        """An enrolled session has its record, at version 1, as `create` would have written it."""
        payloads = (b"", bytes(range(256)) * 99)
        deadlines = (None, clock() + HOUR + 0.123456)
        for number, (payload, deadline) in enumerate(zip(payloads, deadlines, strict=True)):
            key = handle(number)
            admitted = await enrolling(enrolment, key, payload=payload, expires_at=deadline)()
            equal(type(admitted), Admitted, "without a limit everybody is enrolled")
            equal(await store.get(key), Stored(1, deadline, payload), "enrol creates the record")
            outcome = await store.update(key, b"new", version=1, expires_at=deadline)
            equal(outcome, Updated(2), "it is a record like any other")

    async def test_58_no_number_is_no_deadline(
        self, store: AsyncStore, enrolment: AsyncEnrols, clock: ManualClock
    ) -> None:
        """A deadline that is no number is refused with `ValueError`, or the session has expired."""
        try:
            await enrolling(enrolment, A, expires_at=math.nan)()
        except ValueError:
            equal(await store.get(A), None, "what is refused is not there")
        clock.advance(HOUR)
        equal(await store.get(A), None, "a deadline that is no number is not 'never'")

    async def test_58_enrol_enters_the_key(
        self, enrolment: AsyncEnrols, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """An enrolled session is listed, confirmed and revoked like one that was admitted."""
        epochs: dict[str, int] = {}
        wanted: list[IndexEntry] = []
        for key, step in ((D, 5.0), (B, -DAY), (E, 0.0), (A, 60.0)):
            clock.advance(step)
            if key == B:
                admitted = await users.admit("ann", key, limit=None, evict=False)
                epochs[key] = getattr(admitted, "epoch", 0)
            else:
                epochs[key] = await self._enrol(enrolment, key)
            wanted.append(IndexEntry(key, clock()))
        equal(list(await users.entries("ann")), wanted, "entries come in the order of admission")
        for key, epoch in epochs.items():
            equal(await users.confirm("ann", key, epoch), True, "what is enrolled is confirmed")
        revoked = await users.revoke("ann")
        equal(list(revoked), [D, B, E, A], "a revocation lists what is enrolled")
        equal(await users.confirm("ann", A, epochs[A]), False, "enrolled before the revocation")
        epoch = await self._enrol(enrolment, C)
        equal(await users.confirm("ann", C, epoch), True, "enrolled after the revocation")

    async def test_58_the_record_is_the_users(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex
    ) -> None:
        """`delete` removes an enrolled session's entry with its record, without the hint."""
        for key in (A, B):
            await self._enrol(enrolment, key)
        equal(await store.delete(A), Stored(1, None, b"payload"), "the record was there")
        equal(await self._keys(users), [B], "the record belongs to the user who was enrolled")

    async def test_58_refused_at_the_limit(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex
    ) -> None:
        """At the limit, where none may be evicted, `enrol` is `Refused` and writes nothing."""
        epoch = await self._enrol(enrolment, A)
        await users.admit("ann", B, limit=None, evict=False)
        for user, limit in (("ann", 2), ("bob", 0)):
            refused = await enrolling(enrolment, C, user, limit=limit)()
            equal(refused, Refused(), "what is enrolled counts, and so does what is admitted")
            equal(await self._keys(users), [A, B], "a refusal enters nothing")
            equal(await self._keys(users, "bob"), [], "a refusal enters nothing")
            equal(await store.get(C), None, "a refusal creates nothing")
        equal(await users.confirm("ann", A, epoch), True, "a refusal evicts nobody")
        refused = await users.admit("ann", D, limit=1, evict=False)
        equal(refused, Refused(), "what is enrolled counts where another is admitted")
        other = await enrolling(enrolment, C, "bob", limit=2)()
        equal(type(other), Admitted, "limits are per user, and a key that was refused is free")

    async def test_58_the_oldest_are_evicted(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """At the limit the oldest are named, and marked: they still stand, but count no more."""
        epochs: dict[str, int] = {}
        for key in (D, A, C):
            epochs[key] = await self._enrol(enrolment, key)
            clock.advance(-60)
        admitted = await enrolling(enrolment, B, limit=2, evict=True)()
        if not isinstance(admitted, Admitted):
            raise AssertionError("with evict=True nobody is refused")
        equal(list(admitted.evicted), [D, A], "the oldest are evicted, as many as it takes")
        equal(await self._keys(users), [D, A, C, B], "an evicted entry stands until it is ended")
        for key in (D, A):
            holds(await store.get(key) is not None, "the evicted records are the caller's to end")
            confirmed = await users.confirm("ann", key, epochs[key])
            equal(confirmed, False, "a marked entry may not live")
        equal(await users.confirm("ann", C, epochs[C]), True, "the newest ones may live")
        equal(await users.confirm("ann", B, admitted.epoch), True, "the enrolled one may live")
        third = await enrolling(enrolment, E, limit=3)()
        equal(type(third), Admitted, "a marked entry does not count against the limit")

    async def test_58_a_key_that_is_taken(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex
    ) -> None:
        """Where a live record has the key, `enrol` is `None` and changes nothing for anybody."""
        await self._enrol(enrolment, A)
        epochs = {key: await self._enrol(enrolment, key, "bob") for key in (B, C)}
        entries = [list(await users.entries(user)) for user in ("ann", "bob")]
        for user, key in (("bob", A), ("bob", B), ("ann", A)):
            taken = await enrolling(enrolment, key, user, b"other", limit=1, evict=True)()
            equal(taken, None, "a key that is taken cannot be enrolled")
            record = await store.get(key)
            equal(record, Stored(1, None, b"payload"), "the record that has the key stands")
            found = [list(await users.entries(name)) for name in ("ann", "bob")]
            equal(found, entries, "no entry comes, goes or moves")
        for key, epoch in epochs.items():
            equal(await users.confirm("bob", key, epoch), True, "nobody is evicted")

    async def test_58_an_expired_record_gives_way(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """A key whose record has expired can be enrolled, also by another user."""
        await enrolling(enrolment, A, "bob", b"expired", expires_at=clock() + HOUR)()
        clock.advance(HOUR)
        epoch = await self._enrol(enrolment, A)
        equal(await store.get(A), Stored(1, None, b"payload"), "an expired record gives way")
        equal(await users.confirm("ann", A, epoch), True, "the enrolled one may live")
        await store.delete(A)
        equal(await self._keys(users), [], "the record belongs to the user who was enrolled last")

    async def test_58_namespaces_are_apart(
        self, open_store: OpenStore, driver: Driver, enrolment: AsyncEnrols, users: AsyncUserIndex
    ) -> None:
        """In another namespace the key is free, and the user's sessions do not count."""
        theirs = open_store(namespace="another-app")
        epoch = await self._enrol(enrolment, A)
        for key, evicted in ((A, list[str]()), (B, [A])):
            other = enrolling(self.enrols(driver, theirs), key, limit=1, evict=True)
            admitted = await other()
            found = list(getattr(admitted, "evicted", ["not enrolled"]))
            equal(found, evicted, "limits and keys are per namespace")
        equal(await theirs.get(B), Stored(1, None, b"payload"), "the record is where the entry is")
        equal(await self._keys(users), [A], "another namespace enters nothing here")
        equal(await users.confirm("ann", A, epoch), True, "another namespace evicts nobody here")

    @reopening
    async def test_58_what_is_enrolled_stays(
        self, open_store: OpenStore, driver: Driver, enrolment: AsyncEnrols
    ) -> None:
        """Record, entry and marks are seen at once by another store of the same backend."""
        first = await self._enrol(enrolment, A)
        other = open_store()
        users = self.index(driver, other)
        equal(await other.get(A), Stored(1, None, b"payload"), "the other store sees the record")
        equal(await users.confirm("ann", A, first), True, "the other store sees the entry")
        admitted = await enrolling(enrolment, B, limit=1, evict=True)()
        equal(list(getattr(admitted, "evicted", ())), [A], "the older one is evicted")
        equal(await users.confirm("ann", A, first), False, "the other store sees the mark")

    async def test_59_enrolments_together(
        self, open_store: OpenStore, store: AsyncStore, driver: Driver, users: AsyncUserIndex
    ) -> None:
        """Of many enrolments at the same time as many take place as the limit allows."""
        stores = (store, open_store()) if self.reopens else (store, store)
        works = [
            enrolling(self.enrols(driver, stores[number % 2]), handle(number), limit=3)
            for number in range(6)
        ]
        admissions = await driver.together(*works)
        enrolled = {handle(n) for n, found in enumerate(admissions) if isinstance(found, Admitted)}
        equal(len(enrolled), 3, "the limit holds")
        equal(set(await self._keys(users)), enrolled, "who is enrolled has an entry")
        live = {key for key in map(handle, range(6)) if await store.get(key) is not None}
        equal(live, enrolled, "who is enrolled has a record")

    @pytest.mark.parametrize("evict", [False, True])
    async def test_59_an_enrolment_inside_an_enrolment(
        self,
        store: AsyncStore,
        enrolment: AsyncEnrols,
        users: AsyncUserIndex,
        driver: Driver,
        evict: bool,
    ) -> None:
        """Wherever an enrolment comes in between another, the limit of one holds."""
        for number, point in enumerate(driver.points(store)):
            user, keys = f"user-{number}", (handle(number), handle(~number & 0xFFFF))
            one, two = (enrolling(enrolment, key, user, limit=1, evict=evict) for key in keys)
            pair = await point.meet(one, two)
            confirmed = [
                isinstance(found, Admitted) and await users.confirm(user, key, found.epoch)
                for key, found in zip(keys, pair, strict=True)
            ]
            equal(sorted(confirmed), [False, True], f"one of the two may live (point {number})")
            refusals = sum(isinstance(found, Refused) for found in pair)
            equal(refusals, int(not evict), f"who is over the limit is told so (point {number})")
            records = sum([await store.get(key) is not None for key in keys])
            equal(records + refusals, 2, f"who is refused has no record (point {number})")

    async def test_59_two_for_one_key(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Wherever an enrolment comes in between another of the same key, one takes place."""
        for number, point in enumerate(driver.points(store)):
            key, names = handle(number), (f"ann-{number}", f"bob-{number}")
            one, two = (enrolling(enrolment, key, name, name.encode()) for name in names)
            pair = await point.meet(one, two)
            winners = [
                name
                for name, found in zip(names, pair, strict=True)
                if isinstance(found, Admitted) and await users.confirm(name, key, found.epoch)
            ]
            equal(len(winners), 1, f"one of the two takes place (point {number})")
            equal(pair.count(None), 1, f"the other is told that the key is taken (point {number})")
            record = Stored(1, None, winners[0].encode())
            equal(await store.get(key), record, f"the winner's record stands (point {number})")
            (loser,) = {*names} - {*winners}
            equal(await self._keys(users, loser), [], f"the other is not entered (point {number})")

    async def test_59_a_revocation_inside_an_enrolment(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Wherever a revocation comes in between, it ends the session or comes before it."""
        for number, point in enumerate(driver.points(store)):
            user, key = f"user-{number}", handle(number)

            async def revoke(user: str = user) -> list[str]:
                listed = list(await users.revoke(user))
                for one in listed:
                    await store.delete(one, user_id=user)
                return listed

            admitted, listed = await point.meet(enrolling(enrolment, key, user), revoke)
            stands = await store.get(key) is not None
            equal(stands, key not in listed, f"what was revoked stays away (point {number})")
            if stands:
                confirmed = await users.confirm(user, key, getattr(admitted, "epoch", 0))
                equal(confirmed, True, f"what was not revoked may live (point {number})")

    async def test_59_a_look_inside_an_enrolment(
        self, store: AsyncStore, enrolment: AsyncEnrols, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Whoever looks in between finds both the entry and the record, or neither."""
        for number, point in enumerate(driver.points(store)):
            user, key, old = f"user-{number}", handle(number), handle(~number & 0xFFFF)
            await self._enrol(enrolment, old, user)

            async def look(user: str = user, key: str = key) -> list[bool]:
                before = await store.get(key) is not None
                listed = key in await self._keys(users, user)
                return [before, listed, await store.get(key) is not None]

            _admitted, seen = await point.meet(enrolling(enrolment, key, user), look)
            equal(seen, sorted(seen), f"a record has its entry, and the reverse (point {number})")
