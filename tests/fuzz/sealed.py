"""Rows 9 and 10: encrypted records, and what encrypts: it opens unchanged in its place, or not."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Final, Literal
from zlib import crc32

from coatcheck.aead import AEAD, Undecipherable
from coatcheck.keys import KeyRing
from coatcheck.store import MemoryStore
from coatcheck.store.protocol import Updated
from coatcheck.testing import ManualClock
from tests.core.harness import Browser, Harness, put, sign_in
from tests.fuzz.run import Meter
from tests.fuzz.target import Feed, Fuzz, Target, edited, random_bytes
from tests.security.vault import nonce_of

Mode = Literal[True, "sealed"]
MODES: Final[dict[str, Mode]] = {"encrypted": True, "sealed": "sealed"}
_SECRETS: Final = ("x7Qm2_vTz9LrWc4NbYk1HsDf6JpGa3Ue", "Zp8dR-w5Ki0oXtBq7EuVy2hCn4MsFj9A")


def _with_checksum(payload: bytes) -> bytes:
    """Return a payload as somebody writes it who knows the layout: its checksum is right."""
    body = payload[:-4]
    return body + crc32(body).to_bytes(4, "little")


def records(mode: Mode) -> Callable[[], Fuzz]:
    """Return how to put edited payloads, checksum and all, where an encrypted record is."""

    def build() -> Fuzz:
        clock = ManualClock()
        harness = Harness(MemoryStore(clock=clock), clock, encrypt=mode)
        ann, bob = Browser(harness), Browser(harness)
        ann.visit(sign_in("ann", of="ann", cart=["tea"] * 20))
        bob.visit(put(of="bob", cart=[]))
        good, other = (harness.stored(browser.id).payload for browser in (ann, bob))
        mine = ann.read()
        handle = harness.identity(ann.id).handle

        def make(dice: Random) -> bytes:
            kind = dice.getrandbits(3)
            if kind == 0:
                return dice.choice((good, other))
            if kind == 1:  # the head of one, the data of the other
                place = dice.randrange(len(good))
                return _with_checksum(good[:place] + other[place:])
            changed = edited(dice, good, 3)
            return changed if kind == 2 else _with_checksum(changed)

        def check(data: bytes) -> None:
            stored = harness.stored(ann.id)
            outcome = harness.store.inner.update(
                handle, data, version=stored.version, expires_at=stored.expires_at
            )
            assert isinstance(outcome, Updated)
            harness.events.clear()
            exchange = ann.begin()
            seen = dict(exchange.session), exchange.session.user_id
            assert exchange.finish(deliver=False).cookie is None
            if data == good:
                assert (seen, harness.events) == ((mine, "ann"), [])
            else:
                assert seen == ({}, None)
                assert harness.events

        return Fuzz(make, check)

    return build


def envelopes() -> Fuzz:
    """Open envelopes under one ring, in one context, beside some bytes: all four, or nothing."""
    rings = (
        AEAD(KeyRing(_SECRETS[0]), "encryption"),
        AEAD(KeyRing(_SECRETS[1], [_SECRETS[0]]), "encryption"),
        AEAD(KeyRing(_SECRETS[1]), "encryption"),
        AEAD(KeyRing(_SECRETS[0]), "another purpose"),
    )

    def check(data: bytes) -> None:
        feed = Feed(data)
        seed = sha256(data).digest()
        text, context, beside = seed * feed.number(20), seed[:16], feed.text(40).encode()
        envelope = rings[0].cipher(context).seal(text, beside)
        ring, which = feed.pick(rings), feed.number(4)
        if which == 0:
            at, bit = feed.number(len(envelope)), 1 << feed.number(8)
            asked = (envelope[:at] + bytes((envelope[at] ^ bit,)) + envelope[at + 1 :], context)
        elif which == 1:
            asked = (envelope[: feed.number(len(envelope))], context)
        else:
            asked = (envelope, context + b"x" if which == 2 else context)
        given = beside + b"x" if feed.number(3) == 0 else beside
        right = (*asked, given) == (envelope, context, beside) and ring in rings[:2]
        try:
            opened, cipher = ring.open(*asked, given)
        except Undecipherable:
            assert not right
            return
        assert right
        assert opened == text
        # What opened under an old secret is encrypted under the new one.
        assert ring.open(cipher.seal(text, b""), context, b"")[0] == text

    return Fuzz(random_bytes((8, 60)), check)


def nonces(meter: Meter) -> None:
    """Encrypt in one context again and again: no nonce comes twice."""
    aead = AEAD(KeyRing(_SECRETS[0]), "encryption")
    seal, seen = aead.cipher(b"one session").seal, set[bytes]()
    while meter.going():
        for _ in range(meter.room(10_000)):
            seen.add(nonce_of(seal(b"", b"")))
            meter.done += 1
        assert len(seen) == meter.done, f"{meter.done - len(seen)} nonces came twice"


TARGETS: Final = (
    *(
        Target(
            name=name,
            row=9,
            full=1_000_000,
            quick=300,
            promise="an encrypted record is itself, unchanged and in its place, or no session",
            build=records(mode),
        )
        for name, mode in MODES.items()
    ),
    Target(
        name="envelopes",
        row=10,
        full=200_000,
        quick=300,
        promise="an envelope opens with its key, context and associated bytes, and with no others",
        build=envelopes,
        guided=True,
    ),
    Target(
        name="nonces",
        row=10,
        full=1_000_000,
        quick=20_000,
        promise="no nonce is used twice",
        play=nonces,
    ),
)
