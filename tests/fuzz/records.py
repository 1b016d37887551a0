"""Row 9: records that were damaged, cut, moved or made up: no session, an event, no other data."""

from __future__ import annotations

from collections.abc import Callable
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from coatcheck.errors import CorruptRecord
from coatcheck.events import RecordCorrupt, WrongSecret
from coatcheck.layout import pack, unpack
from coatcheck.store.file import header as headers
from coatcheck.store.protocol import Updated
from coatcheck.testing import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in
from tests.core.test_layout import CONTENTS
from tests.fuzz.lifecycle import STORES
from tests.fuzz.target import Fuzz, Target, edited

_PACKED: Final = tuple(pack(content, text=text) for content in CONTENTS for text in (False, True))


def layouts() -> Fuzz:
    """Read payloads that were edited: corrupt, or exactly what packs to the same bytes."""

    def make(dice: Random) -> bytes:
        payload = dice.choice(_PACKED)
        kind = dice.getrandbits(3)
        if kind == 0:
            return dice.randbytes(dice.randrange(200))
        if kind == 1:
            other = dice.choice(_PACKED)
            return payload[: dice.randrange(len(payload))] + other[dice.randrange(len(other)) :]
        return edited(dice, payload)

    def check(data: bytes) -> None:
        try:
            content = unpack(data)
        except CorruptRecord:
            return
        # Four bytes of checksum: one edit in four billion gets through, and says so here.
        assert data in _PACKED, "other data passed the checksum"
        assert data == pack(content, text=data.startswith(b"coatcheck"))

    return Fuzz(make, check)


def stolen_places() -> Fuzz:
    """Put an edited payload, or another session's, where a session's record is."""
    clock = ManualClock()
    harness = Harness(STORES["memory"](clock), clock)
    ann, bob = Browser(harness), Browser(harness)
    ann.visit(sign_in("ann", of="ann", cart=["tea"] * 20))
    bob.visit(put(of="bob", cart=[]))
    owners = {"ann": ann, "bob": bob}
    good = {name: harness.stored(browser.id).payload for name, browser in owners.items()}
    mine = {name: browser.read() for name, browser in owners.items()}

    def make(dice: Random) -> bytes:
        place, payload = dice.choice((b"ann", b"bob")), good[dice.choice(("ann", "bob"))]
        if dice.getrandbits(3):
            payload = edited(dice, payload)
        return place + payload

    def check(data: bytes) -> None:
        name, payload = ("bob" if data[:3] == b"bob" else "ann"), data[3:]
        browser = owners[name]
        stored = harness.stored(browser.id)
        handle = harness.identity(browser.id).handle
        outcome = harness.store.inner.update(
            handle, payload, version=stored.version, expires_at=stored.expires_at
        )
        assert isinstance(outcome, Updated)
        harness.events.clear()
        exchange = browser.begin()
        seen = dict(exchange.session), exchange.session.user_id
        assert exchange.finish(deliver=False).cookie is None
        told = {type(event) for event in harness.events}
        if payload == good[name]:
            assert (seen, told) == ((mine[name], "ann" if name == "ann" else None), set())
        else:
            assert seen == ({}, None)
            assert told == ({WrongSecret} if payload in good.values() else {RecordCorrupt})

    return Fuzz(make, check)


def first_lines() -> Fuzz:
    """Read first lines of files that were edited: corrupt, or what encodes to the same."""
    key = "ab" + "0" * 30
    line = headers.encode(headers.begin(key, b"payload", 1_800_000_000.0, "ann")).rstrip(b"\n")

    def check(data: bytes) -> None:
        try:
            found = headers.decode(key, data)
        except CorruptRecord:
            return
        assert headers.encode(found).rstrip(b"\n") == data

    def make(dice: Random) -> bytes:
        return edited(dice, line)

    return Fuzz(make, check)


def _target(name: str, build: Callable[[], Fuzz], promise: str, **more: Any) -> Target:
    return Target(name=name, row=9, full=1_000_000, quick=500, promise=promise, build=build, **more)


TARGETS: Final = (
    _target("unpack", layouts, "an edited payload is corrupt, never other data", guided=True),
    _target("records", stolen_places, "an edited or exchanged record is nobody's, and an event"),
    _target("file-lines", first_lines, "an edited first line of a file is corrupt", guided=True),
)
