"""Cases 1 to 10 and 51 to 53: records, keys, namespaces, opening and closing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from coatcheck.store.protocol import AsyncStore, Gone, Stored, Updated
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.driver import Driver, Work
from coatcheck.testing.expect import equal, holds, raises
from coatcheck.testing.store_cases.base import (
    DAY,
    HOUR,
    KEY,
    OTHER,
    Cases,
    OpenStore,
    handle,
    reopening,
)

PAYLOADS = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\n\r\x00\x1a",
    "JSON": b'{"a": 1}',
    "16 KiB less one": b"x" * 16_383,
    "16 KiB": b"x" * 16_384,
    "1 MB": bytes(range(256)) * 4096,
}

BAD_KEYS = {
    "empty": "",
    "too short": KEY[:-1],
    "too long": KEY + "0",
    "upper case": KEY.upper().replace("0", "A"),
    "newline at the end": KEY[:-1] + "\n",
    "newline after the end": KEY + "\n",
    "NUL": KEY[:-1] + "\0",
    "parent folder": "../" + KEY[:-3],
    "backslash": "..\\" + KEY[:-3],
    "slash": KEY[:15] + "/" + KEY[:16],
    "star": "*" * 32,
    "quote": "a'--" + KEY[:-4],
    "Kelvin sign": KEY[:-1] + "\N{KELVIN SIGN}",
    "full-width digit": KEY[:-1] + "\N{FULLWIDTH DIGIT ONE}",
    "Arabic digit": KEY[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    "letter": KEY[:-1] + "g",
    "prefix": "0x" + KEY[:-2],
    "sign": "+" + KEY[:-1],
    "underscore": KEY[:15] + "_" + KEY[:16],
}
NO_KEYS: tuple[Any, ...] = (None, 0, KEY.encode(), [KEY], 1.5)


class BasicCases(Cases):
    """Records, keys, namespaces, opening and closing."""

    async def test_01_missing_is_none(self, store: AsyncStore) -> None:
        """A key under which nothing was created is `None`."""
        equal(await store.get(KEY), None, "get of a missing record is None")

    @pytest.mark.parametrize("name", PAYLOADS)
    async def test_02_bytes_come_back(
        self, store: AsyncStore, clock: ManualClock, name: str
    ) -> None:
        """Whatever bytes are created or updated come back exactly, at the right version."""
        payload, deadline = PAYLOADS[name], clock() + HOUR
        created = await store.create(KEY, payload, expires_at=deadline, user_id=None)
        equal(created, True, "create of a new key is True")
        record = await store.get(KEY)
        equal(record, Stored(1, deadline, payload), "create begins at version 1")
        turned = payload[::-1]
        outcome = await store.update(KEY, turned, version=1, expires_at=deadline)
        equal(outcome, Updated(2), "update adds one to the version")
        equal(await store.get(KEY), Stored(2, deadline, turned), "update replaces the payload")
        holds(isinstance(record, Stored), "get returns a Stored", record)
        holds(record is not None and type(record.payload) is bytes, "a payload is bytes", record)

    async def test_03_create_never_overwrites(self, store: AsyncStore, clock: ManualClock) -> None:
        """`create` on a live record is `False` and leaves the record as it was."""
        deadline = clock() + HOUR
        await store.create(KEY, b"old", expires_at=deadline, user_id="ann")
        again = await store.create(KEY, b"new", expires_at=deadline + 1, user_id="bob")
        equal(again, False, "create on a live record is False")
        equal(await store.get(KEY), Stored(1, deadline, b"old"), "create changes no live record")
        again = await store.create(KEY, b"new", expires_at=None, user_id=None)
        equal(again, False, "create on a live record is False")
        equal(await store.get(KEY), Stored(1, deadline, b"old"), "create changes no live record")

    async def test_04_versions_count_up(self, store: AsyncStore, clock: ManualClock) -> None:
        """Each update adds exactly one to the version, also where nothing else changes."""
        deadline = clock() + HOUR
        await store.create(KEY, b"same", expires_at=deadline, user_id=None)
        for version in range(1, 6):
            outcome = await store.update(KEY, b"same", version=version, expires_at=deadline)
            equal(outcome, Updated(version + 1), "each update adds one to the version")
        equal(await store.get(KEY), Stored(6, deadline, b"same"), "get shows the newest version")

    async def test_05_delete_returns_what_it_removed(
        self, store: AsyncStore, clock: ManualClock
    ) -> None:
        """`delete` returns the live record that this very call removed, else `None`."""
        deadline = clock() + HOUR
        equal(await store.delete(KEY), None, "delete of a missing record is None")
        await store.create(KEY, b"first", expires_at=deadline, user_id=None)
        await store.update(KEY, b"second", version=1, expires_at=deadline)
        removed = await store.delete(KEY)
        equal(removed, Stored(2, deadline, b"second"), "delete returns the record it removed")
        equal(await store.get(KEY), None, "a deleted record is gone")
        equal(await store.delete(KEY), None, "a second delete returns None")

    async def test_05_delete_leaves_the_others(self, store: AsyncStore, clock: ManualClock) -> None:
        """`delete` removes one record and no other."""
        deadline = clock() + HOUR
        for key in (KEY, OTHER):
            await store.create(key, key.encode(), expires_at=deadline, user_id=None)
        await store.delete(KEY)
        equal(await store.get(OTHER), Stored(1, deadline, OTHER.encode()), "delete removes one")

    async def test_06_payloads_do_not_alias(self, store: AsyncStore, clock: ManualClock) -> None:
        """A buffer that the caller changes after handing it in does not change the record.

        A store may instead refuse with `TypeError` or `ValueError` what is not `bytes`.
        """
        deadline = clock() + HOUR
        buffers: tuple[Any, Any] = (bytearray(b"before"), memoryview(bytearray(b"before")))
        for number, buffer in enumerate(buffers):
            key = handle(number)
            try:
                await store.create(key, buffer, expires_at=deadline, user_id=None)
            except (TypeError, ValueError):
                equal(await store.get(key), None, "what is refused is not stored")
                continue
            buffer[:] = b"AFTER!"
            equal(await store.get(key), Stored(1, deadline, b"before"), "create copies the payload")
            buffer[:] = b"before"
            await store.update(key, buffer, version=1, expires_at=deadline)
            buffer[:] = b"AFTER!"
            record = await store.get(key)
            equal(record, Stored(2, deadline, b"before"), "update copies the payload")
            holds(record is None or type(record.payload) is bytes, "a payload is bytes", record)

    @pytest.mark.parametrize("name", BAD_KEYS)
    async def test_07_bad_keys_are_refused(
        self, store: AsyncStore, clock: ManualClock, driver: Driver, name: str
    ) -> None:
        """Every verb raises `ValueError` for a key that is not 32 lower-case hex digits."""
        key = BAD_KEYS[name]
        for verb, work in _calls_with(store, driver, key, clock() + HOUR).items():
            await raises(ValueError, work, f"{verb}({key!r}) raises ValueError")
        await self._is_empty(store, driver)

    async def test_07_keys_of_other_types_are_refused(
        self, store: AsyncStore, clock: ManualClock, driver: Driver
    ) -> None:
        """Every verb raises `ValueError` or `TypeError` for a key that is no string."""
        for key in NO_KEYS:
            for verb, work in _calls_with(store, driver, key, clock() + HOUR).items():
                await raises((ValueError, TypeError), work, f"{verb}({key!r}) raises")
        await self._is_empty(store, driver)

    async def _is_empty(self, store: AsyncStore, driver: Driver) -> None:
        scans, index = driver.scans(store), driver.index(store)
        if scans is not None:
            keys, _cursor = await scans.scan()
            equal(list(keys), [], "a refused key leaves nothing behind")
        if index is not None:
            equal(list(await index.entries("ann")), [], "a refused key enters no index")

    async def test_08_namespaces_are_apart(
        self, open_store: OpenStore, clock: ManualClock, driver: Driver
    ) -> None:
        """A store of another namespace sees, changes, deletes, lists and purges nothing."""
        deadline = clock() + HOUR
        ours, theirs = open_store(), open_store(namespace="another-app")
        await ours.create(KEY, b"ours", expires_at=deadline, user_id="ann")
        equal(await theirs.get(KEY), None, "another namespace reads nothing")
        gone = await theirs.update(KEY, b"theirs", version=1, expires_at=deadline)
        equal(gone, Gone(), "another namespace updates nothing")
        touched = await theirs.touch(KEY, version=1, expires_at=deadline + 1)
        equal(touched, False, "another namespace touches nothing")
        equal(await theirs.delete(KEY), None, "another namespace deletes nothing")
        scans, purges = driver.scans(theirs), driver.purges(theirs)
        if scans is not None:
            keys, cursor = await scans.scan()
            equal(list(keys), [], "another namespace lists nothing")
            equal(cursor, None, "another namespace lists nothing")
        created = await theirs.create(KEY, b"theirs", expires_at=deadline, user_id=None)
        equal(created, True, "the same key is free in another namespace")
        equal(await ours.get(KEY), Stored(1, deadline, b"ours"), "namespaces are apart")
        await theirs.delete(KEY)
        equal(await ours.get(KEY), Stored(1, deadline, b"ours"), "namespaces are apart")
        if purges is not None:
            clock.advance(HOUR + DAY)
            equal(await purges.purge(), 0, "another namespace purges nothing")
            clock.set(deadline - 1)
            equal(await ours.get(KEY), Stored(1, deadline, b"ours"), "namespaces are apart")

    @reopening
    async def test_09_what_is_stored_stays(
        self, open_store: OpenStore, clock: ManualClock, driver: Driver
    ) -> None:
        """A store opened after another was closed has its records."""
        deadline, store = clock() + HOUR, open_store()
        await store.create(KEY, b"first", expires_at=deadline, user_id=None)
        await store.update(KEY, b"second", version=1, expires_at=deadline)
        await driver.close(store)
        reopened = open_store()
        equal(await reopened.get(KEY), Stored(2, deadline, b"second"), "records outlive the store")
        outcome = await reopened.update(KEY, b"third", version=2, expires_at=deadline)
        equal(outcome, Updated(3), "the version goes on from where it was")

    @reopening
    async def test_10_two_stores_are_one(self, open_store: OpenStore, clock: ManualClock) -> None:
        """What one store does another one of the same backend sees at once."""
        deadline, one, two = clock() + HOUR, open_store(), open_store()
        equal(await two.get(KEY), None, "nothing is there yet")
        await one.create(KEY, b"1", expires_at=deadline, user_id=None)
        equal(await two.get(KEY), Stored(1, deadline, b"1"), "the other store sees the create")
        equal(await two.update(KEY, b"2", version=1, expires_at=deadline), Updated(2), "update")
        equal(await one.get(KEY), Stored(2, deadline, b"2"), "the first store sees the update")
        equal(await one.touch(KEY, version=2, expires_at=deadline + 9), True, "touch")
        equal(await two.get(KEY), Stored(2, deadline + 9, b"2"), "the other sees the touch")
        equal(await two.delete(KEY), Stored(2, deadline + 9, b"2"), "delete")
        equal(await one.get(KEY), None, "the first store sees the delete")
        equal(await one.update(KEY, b"3", version=2, expires_at=deadline), Gone(), "Gone")

    async def test_53_close_twice(self, open_store: OpenStore, driver: Driver) -> None:
        """Closing twice does no harm and leaves no thread behind."""
        cycles, before = 5, set[threading.Thread]()
        for cycle in range(cycles + 1):
            store = open_store()
            await store.create(handle(cycle), b"payload", expires_at=None, user_id=None)
            await driver.close(store)
            await driver.close(store)
            # The first cycle may start threads that serve all stores of the process.
            before = before or {*threading.enumerate()}
        # Those of others may end meanwhile.
        left = {*threading.enumerate()} - before
        holds(len(left) < cycles, "close leaves no thread behind", left)


def _calls_with(
    store: AsyncStore, driver: Driver, key: Any, deadline: float
) -> dict[str, Work[object]]:
    """Return every call of the store that takes a key."""

    async def get() -> object:
        return await store.get(key)

    async def create() -> object:
        return await store.create(key, b"payload", expires_at=deadline, user_id=None)

    async def update() -> object:
        return await store.update(key, b"payload", version=1, expires_at=deadline)

    async def touch() -> object:
        return await store.touch(key, version=1, expires_at=deadline)

    async def delete() -> object:
        return await store.delete(key)

    calls: dict[str, Work[object]] = {
        "get": get,
        "create": create,
        "update": update,
        "touch": touch,
        "delete": delete,
    }
    index = driver.index(store)
    if index is not None:

        async def admit() -> object:
            return await index.admit("ann", key, limit=None, evict=False)

        calls["admit"] = admit
    enrolment = driver.enrols(store)
    if enrolment is not None:

        async def enrol() -> object:
            return await enrolment.enrol(
                "ann", key, b"payload", expires_at=deadline, limit=None, evict=False
            )

        calls["enrol"] = enrol
    return calls
