"""Cases 8, 29 and 54 to 56: which sessions a user has."""

from __future__ import annotations

import functools

import pytest

from coatcheck.store.protocol import (
    ADMISSION_GRACE,
    Admitted,
    AsyncStore,
    AsyncUserIndex,
    Refused,
)
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import DAY, HOUR, Cases, OpenStore, handle, reopening

A, B, C, D, E = (handle(number) for number in range(5))

USERS = (
    "ann",
    "Ann",
    "ann ",
    "42",
    "../ann",
    "ann/..",
    "a" * 300,
    "a" * 301,
    "ann'; --",
    "%",
    "_nn",
    "*",
    "an\\n",
    "ann:bob",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{GRINNING FACE}",
)
"""Users whom a collation, a path, a pattern or a separator might take for one another."""


class IndexCases(Cases):
    """Which sessions a user has."""

    async def _admit(self, users: AsyncUserIndex, key: str, user: str = "ann") -> int:
        """Admit without a limit and return the epoch."""
        admitted = await users.admit(user, key, limit=None, evict=False)
        if not isinstance(admitted, Admitted):
            raise AssertionError("without a limit everybody is admitted")
        equal(list(admitted.evicted), [], "without a limit nobody is evicted")
        return admitted.epoch

    async def _keys(self, users: AsyncUserIndex, user: str = "ann") -> list[str]:
        return [entry.key for entry in await users.entries(user)]

    async def test_08_namespaces_have_their_own_index(
        self, open_store: OpenStore, driver: Driver
    ) -> None:
        """A store of another namespace lists, revokes and forgets no sessions of a user."""
        ours = self.index(driver, open_store())
        theirs = self.index(driver, open_store(namespace="another-app"))
        admitted = await ours.admit("ann", A, limit=1, evict=False)
        epoch = getattr(admitted, "epoch", 0)
        equal(list(await theirs.entries("ann")), [], "another namespace lists nothing")
        equal(list(await theirs.revoke("ann")), [], "another namespace revokes nothing")
        await theirs.forget("ann", A)
        equal([entry.key for entry in await ours.entries("ann")], [A], "namespaces are apart")
        equal(await ours.confirm("ann", A, epoch), True, "epochs are apart")

    async def test_29_delete_takes_the_entry_along(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """`delete` removes the index entry with the record, also without the hint."""
        for key in (A, B):
            await self._admit(users, key)
            await store.create(key, b"payload", expires_at=clock() + HOUR, user_id="ann")
        await store.delete(A)
        equal(await self._keys(users), [B], "delete removes the record's index entry")
        await store.delete(B, user_id="ann")
        equal(await self._keys(users), [], "delete with the hint removes the entry")

    async def test_29_delete_of_a_missing_record_takes_the_entry_along(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """`delete` with the user as a hint removes an entry that has no live record."""
        await self._admit(users, A)
        equal(await store.delete(A, user_id="ann"), None, "there was no record")
        equal(await self._keys(users), [], "the hint says whose index to clean")
        await self._admit(users, B)
        await store.create(B, b"payload", expires_at=clock() + HOUR, user_id="ann")
        clock.advance(HOUR)
        equal(await store.delete(B, user_id="ann"), None, "the record has expired")
        equal(await self._keys(users), [], "an expired record's entry goes as well")

    async def test_54_entries_in_the_order_of_admission(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """A user's entries come in the order of admission, whatever the clock showed."""
        equal(await self._keys(users), [], "nobody has sessions at first")
        admitted_at: list[float] = []
        for key, step in ((D, 5.0), (B, -DAY), (E, 0.0), (A, 2 * DAY), (C, -1.5)):
            clock.advance(step)
            await self._admit(users, key)
            await store.create(key, b"payload", expires_at=None, user_id="ann")
            admitted_at.append(clock())
        entries = await users.entries("ann")
        equal([entry.key for entry in entries], [D, B, E, A, C], "in the order of admission")
        found = [entry.admitted_at for entry in entries]
        equal(found, admitted_at, "an entry shows when it was admitted")

    async def test_54_users_are_apart(self, users: AsyncUserIndex) -> None:
        """Users whose names look alike have nothing to do with each other."""
        epochs = [
            await self._admit(users, handle(number), user) for number, user in enumerate(USERS)
        ]
        for number, user in enumerate(USERS):
            equal(await self._keys(users, user), [handle(number)], f"the entries of {user!r}")
        equal(list(await users.revoke(USERS[0])), [handle(0)], "revoke lists one user's keys")
        for number, user in enumerate(USERS[1:], start=1):
            confirmed = await users.confirm(user, handle(number), epochs[number])
            equal(confirmed, True, f"revoking {USERS[0]!r} leaves {user!r} alone")

    async def test_54_forget(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """`forget` removes one entry, leaves its record alone, and does nothing twice."""
        for key in (A, B):
            await self._admit(users, key)
        await store.create(A, b"payload", expires_at=clock() + HOUR, user_id="ann")
        for _ in range(2):
            await users.forget("ann", A)
            equal(await self._keys(users), [B], "forget removes the entry")
        await users.forget("nobody", A)
        holds(await store.get(A) is not None, "forget leaves the record alone")

    async def test_54_unlimited(self, users: AsyncUserIndex) -> None:
        """Without a limit nobody is evicted or refused."""
        for number in range(20):
            await self._admit(users, handle(number))
        equal(len(await users.entries("ann")), 20, "all entries stand")

    async def test_54_refused_at_the_limit(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """At the limit, where none may be evicted, `admit` is `Refused` and writes nothing."""
        for key in (A, B):
            admitted = await users.admit("ann", key, limit=2, evict=False)
            equal(type(admitted), Admitted, "below the limit everybody is admitted")
            await store.create(key, b"payload", expires_at=clock() + HOUR, user_id="ann")
        clock.advance(ADMISSION_GRACE + 1)
        refused = await users.admit("ann", C, limit=2, evict=False)
        equal(refused, Refused(), "at the limit nobody is admitted")
        equal(await self._keys(users), [A, B], "a refusal writes nothing")
        other = await users.admit("bob", C, limit=2, evict=False)
        equal(type(other), Admitted, "limits are per user")

    async def test_54_a_session_in_the_making_counts(self, users: AsyncUserIndex) -> None:
        """An entry whose record does not exist yet counts against the limit."""
        await self._admit(users, A)
        refused = await users.admit("ann", B, limit=1, evict=False)
        equal(refused, Refused(), "a session that is being created counts")

    async def test_54_the_oldest_are_evicted(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """At the limit the oldest admissions are marked, as many as it takes; they still stand."""
        epochs: dict[str, int] = {}
        for key in (D, A, C, B):
            epochs[key] = await self._admit(users, key)
            await store.create(key, b"payload", expires_at=clock() + HOUR, user_id="ann")
            clock.advance(-60)
        admitted = await users.admit("ann", E, limit=2, evict=True)
        if not isinstance(admitted, Admitted):
            raise AssertionError("with evict=True nobody is refused")
        equal(list(admitted.evicted), [D, A, C], "the oldest admissions are evicted")
        equal(await self._keys(users), [D, A, C, B, E], "an evicted entry stands until it is ended")
        for key in (D, A, C):
            holds(await store.get(key) is not None, "the evicted records are the caller's to end")
            equal(
                await users.confirm("ann", key, epochs[key]), False, "a marked entry may not live"
            )
        equal(await users.confirm("ann", B, epochs[B]), True, "the newest ones may live")
        equal(await users.confirm("ann", E, admitted.epoch), True, "the admitted one may live")

    async def test_54_marked_entries_do_not_count(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """A marked entry counts no more and is not evicted twice."""
        for key in (A, B):
            await self._admit(users, key)
            await store.create(key, b"payload", expires_at=clock() + HOUR, user_id="ann")
        first = await users.admit("ann", C, limit=2, evict=True)
        equal(list(getattr(first, "evicted", ())), [A], "the oldest is evicted")
        second = await users.admit("ann", D, limit=3, evict=False)
        equal(type(second), Admitted, "a marked entry does not count against the limit")
        third = await users.admit("ann", E, limit=3, evict=True)
        equal(list(getattr(third, "evicted", ())), [B], "a marked entry is not evicted again")

    async def test_54_the_replaced_does_not_count(
        self, store: AsyncStore, users: AsyncUserIndex, clock: ManualClock
    ) -> None:
        """The entry that is replaced does not count, is not evicted, and goes with `confirm`."""
        for key in (A, B):
            await self._admit(users, key)
            await store.create(key, b"payload", expires_at=clock() + HOUR, user_id="ann")
        admitted = await users.admit("ann", C, limit=2, evict=True, replaces=A)
        if not isinstance(admitted, Admitted):
            raise AssertionError("the entry that is replaced does not count")
        equal(list(admitted.evicted), [], "the entry that is replaced makes room")
        equal(await self._keys(users), [A, B, C], "the replaced entry stands until confirm")
        equal(await users.confirm("ann", C, admitted.epoch), True, "the new one may live")
        equal(await self._keys(users), [B, C], "confirm removes the replaced entry")
        refused = await users.admit("ann", D, limit=2, evict=False, replaces=E)
        equal(refused, Refused(), "a replaced key that has no entry makes no room")

    async def test_54_confirm_needs_the_entry(self, users: AsyncUserIndex) -> None:
        """`confirm` is `False` for a key that has no entry, or another user's."""
        epoch = await self._admit(users, A)
        equal(await users.confirm("ann", B, epoch), False, "no entry, no confirmation")
        equal(await users.confirm("bob", A, epoch), False, "another user's entry is none")
        equal(await users.confirm("ann", A, epoch), True, "the entry stands")
        equal(await users.confirm("ann", A, epoch), True, "confirm can be repeated")
        await users.forget("ann", A)
        equal(await users.confirm("ann", A, epoch), False, "the entry is gone")

    async def test_54_a_failed_confirm_removes_nothing(self, users: AsyncUserIndex) -> None:
        """Where `confirm` is `False`, the entry that was to be replaced stands."""
        await self._admit(users, A)
        admitted = await users.admit("ann", B, limit=None, evict=False, replaces=A)
        await users.revoke("ann")
        epoch = getattr(admitted, "epoch", 0)
        equal(await users.confirm("ann", B, epoch), False, "the epoch has moved")
        holds(A in await self._keys(users), "a failed confirm removes nothing")

    async def test_55_revoke_lists_and_spares(self, users: AsyncUserIndex) -> None:
        """`revoke` returns all keys of the user but those to keep, marked ones too."""
        for key in (A, B, C):
            await self._admit(users, key)
        await self._admit(users, E, "bob")
        await users.admit("ann", D, limit=3, evict=True)
        listed = await users.revoke("ann", keep=(B, E))
        equal(sorted(listed), sorted((A, C, D)), "revoke returns all keys but those to keep")
        holds(B in await self._keys(users), "a kept entry stands")
        equal(await self._keys(users, "bob"), [E], "other users keep their sessions")
        equal(list(await users.revoke("nobody")), [], "a user without sessions has none to revoke")

    async def test_55_revoke_moves_the_epoch(self, users: AsyncUserIndex) -> None:
        """What was admitted before a revocation is not confirmed after it; what comes later is."""
        early = await self._admit(users, A)
        kept = await self._admit(users, B)
        await users.revoke("ann", keep=[B])
        equal(await users.confirm("ann", A, early), False, "admitted before the revocation")
        equal(await users.confirm("ann", B, kept), False, "the epoch has moved for all")
        late = await self._admit(users, C)
        holds(late > early, "the epoch advances", (early, late))
        equal(await users.confirm("ann", C, late), True, "admitted after the revocation")

    async def test_55_the_epoch_outlives_the_entries(
        self, store: AsyncStore, users: AsyncUserIndex
    ) -> None:
        """An epoch never comes back, also when all entries of the user have gone in between."""
        early = await self._admit(users, A)
        await users.revoke("ann")
        await store.delete(A, user_id="ann")
        equal(await self._keys(users), [], "all entries are gone")
        await self._admit(users, B)
        await store.delete(B, user_id="ann")
        await self._admit(users, A)
        equal(await users.confirm("ann", A, early), False, "an epoch never comes back")

    @reopening
    async def test_55_what_is_stored_stays(
        self, open_store: OpenStore, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Entries, marks and epochs are seen by another store of the same backend."""
        first = await self._admit(users, A)
        other = self.index(driver, open_store())
        equal(await self._keys(other), [A], "the other store sees the entry")
        admitted = await other.admit("ann", B, limit=1, evict=True)
        equal(list(getattr(admitted, "evicted", ())), [A], "the other store counts it")
        equal(await users.confirm("ann", A, first), False, "the first store sees the mark")
        equal(sorted(await users.revoke("ann")), sorted((A, B)), "the first store sees both")
        epoch = getattr(admitted, "epoch", 0)
        equal(await other.confirm("ann", B, epoch), False, "the other store sees the epoch")

    async def test_56_a_revocation_inside_an_admission(
        self, store: AsyncStore, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Wherever a revocation comes in between an admission, it lists the key or comes before."""
        for number, point in enumerate(driver.points(store)):
            user, key = f"user-{number}", handle(number)
            admitted, listed = await point.meet(
                functools.partial(users.admit, user, key, limit=5, evict=True),
                functools.partial(users.revoke, user),
            )
            confirmed = await users.confirm(user, key, getattr(admitted, "epoch", 0))
            equal(
                confirmed,
                key not in listed,
                f"a session lives only if the revocation came before it (point {number})",
            )

    async def test_56_a_revocation_inside_a_confirmation(
        self, store: AsyncStore, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Wherever a revocation comes in between a confirmation, it lists the key."""
        for number, point in enumerate(driver.points(store)):
            user, key, old = f"user-{number}", handle(number), handle(~number & 0xFFFF)
            await self._admit(users, old, user)
            admitted = await users.admit(user, key, limit=None, evict=False, replaces=old)
            epoch = getattr(admitted, "epoch", 0)
            _confirmed, listed = await point.meet(
                functools.partial(users.confirm, user, key, epoch),
                functools.partial(users.revoke, user),
            )
            holds(key in listed, f"a revocation lists what stands (point {number})", listed)
            equal(await users.confirm(user, key, epoch), False, "the epoch has moved")

    @pytest.mark.parametrize("evict", [False, True])
    async def test_56_an_admission_inside_an_admission(
        self, store: AsyncStore, users: AsyncUserIndex, driver: Driver, evict: bool
    ) -> None:
        """Wherever an admission comes in between another, the limit of one holds."""
        for number, point in enumerate(driver.points(store)):
            user, one, two = f"user-{number}", handle(number), handle(~number & 0xFFFF)
            pair = await point.meet(
                functools.partial(users.admit, user, one, limit=1, evict=evict),
                functools.partial(users.admit, user, two, limit=1, evict=evict),
            )
            confirmed = [
                isinstance(admission, Admitted) and await users.confirm(user, key, admission.epoch)
                for key, admission in zip((one, two), pair, strict=True)
            ]
            equal(sorted(confirmed), [False, True], f"one of the two may live (point {number})")
            refusals = sum(isinstance(admission, Refused) for admission in pair)
            equal(refusals, int(not evict), f"who is over the limit is told so (point {number})")

    async def test_56_a_forgetting_inside_an_admission(
        self, store: AsyncStore, users: AsyncUserIndex, driver: Driver
    ) -> None:
        """Wherever another entry is removed in between an admission, both take effect."""
        for number, point in enumerate(driver.points(store)):
            user, key, old = f"user-{number}", handle(number), handle(~number & 0xFFFF)
            await self._admit(users, old, user)
            await point.meet(
                functools.partial(users.admit, user, key, limit=5, evict=False),
                functools.partial(store.delete, old, user_id=user),
            )
            equal(await self._keys(users, user), [key], f"no entry is lost (point {number})")

    async def test_56_admissions_together(self, users: AsyncUserIndex, driver: Driver) -> None:
        """Of many admissions at the same time as many are admitted as the limit allows."""
        works = [
            functools.partial(users.admit, "ann", handle(number), limit=3, evict=False)
            for number in range(6)
        ]
        admissions = await driver.together(*works)
        admitted = [admission for admission in admissions if isinstance(admission, Admitted)]
        equal(len(admitted), 3, "the limit holds")
        equal(len(await users.entries("ann")), 3, "the limit holds")
