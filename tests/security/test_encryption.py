"""Encryption at rest against who writes to the store: no record but ours, in its place, opens."""

from __future__ import annotations

import json
from typing import Any, Literal
from zlib import crc32

import pytest

from coatcheck import SessionManager
from coatcheck.aead import AEAD, BLOCK, NONCE_SIZE
from coatcheck.events import DecryptFailed, RecordCorrupt
from coatcheck.ids import Identity, secret_hash
from coatcheck.keys import KeyRing
from coatcheck.layout import pack
from coatcheck.testing import ManualClock
from tests.core.harness import SECRET, Browser, Harness, put, sign_in
from tests.security.test_records import FOREIGN
from tests.security.vault import (
    MARK,
    MODES,
    Mode,
    each_codec,
    each_mode,
    handle_of,
    nonce_of,
    plant,
    refused,
    sealed,
    with_envelope,
)

BESIDE = (
    *("epoch", "user_id", "created_at", "signed_in_at", "idle", "deadline", "persistent"),
    "codec",
)


@each_codec
@each_mode
def test_sec_17_data_opens_in_its_own_place_only(mode: Mode, codec: Any) -> None:
    """Who swaps the data of two sessions has made two that are nobody's."""
    harness = Harness(encrypt=mode, codec=codec)
    one, two = Browser(harness), Browser(harness)
    one.visit(sign_in("ann", a=MARK))
    two.visit(sign_in("bob", b=MARK))
    first, second = sealed(harness, one), sealed(harness, two)
    for browser, mine, other in ((one, first, second), (two, second, first)):
        plant(harness, handle_of(harness, browser), with_envelope(mine, other.data))
        refused(harness, browser)
        plant(harness, handle_of(harness, browser), with_envelope(mine, mine.data))
    assert (one.read(), two.read()) == ({"a": MARK}, {"b": MARK})


@each_codec
@each_mode
def test_sec_17_a_handle_is_bound(mode: Mode, codec: Any) -> None:
    """A record under another handle does not open, not even with the secret that it is for."""
    harness = Harness(encrypt=mode, codec=codec)
    one, two = Browser(harness), Browser(harness)
    one.visit(put(a=MARK))
    two.visit(put(b=1))
    victim, place = harness.identity(one.id), handle_of(harness, two)
    plant(harness, place, harness.stored(one.id).payload)
    moved = harness.runtime.signer.sign(Identity(place, victim.secret))
    assert SessionManager(harness.config, store=harness.store.inner).open(moved) is None
    assert [event.handle for event in harness.told(DecryptFailed)] == [place]


@each_mode
def test_sec_17_a_namespace_is_bound(mode: Mode) -> None:
    """A record that is copied to another namespace does not open there."""
    clock = ManualClock()
    here = Harness(time=clock, encrypt=mode)
    there = Harness(time=clock, encrypt=mode, namespace="other")
    browser = Browser(here)
    browser.visit(put(a=MARK))
    identity, stored = here.identity(browser.id), here.stored(browser.id)
    there.store.inner.create(
        identity.handle, stored.payload, expires_at=stored.expires_at, user_id=None
    )
    moved = Browser(there)
    moved.id = there.runtime.signer.sign(identity)
    refused(there, moved)


@each_codec
@each_mode
@pytest.mark.parametrize("field", BESIDE)
def test_sec_17_all_that_stands_beside_data_is_bound(mode: Mode, codec: Any, field: str) -> None:
    """A record that is of another user, or lives longer, than it was written is no session."""
    harness = Harness(encrypt=mode, codec=codec)
    browser = Browser(harness)
    browser.visit(sign_in("ann", a=MARK))
    record = sealed(harness, browser)
    value: Any = getattr(record, field)
    other = "eve" if isinstance(value, str) else not value if value is True else value + 1
    changed = with_envelope(record, record.data, **{field: other})
    plant(harness, handle_of(harness, browser), changed)
    refused(harness, browser)


@each_mode
def test_sec_17_the_hash_of_the_secret_is_bound(mode: Mode) -> None:
    """Who knows a signing secret, and writes an ID of their own into a record, does not open it."""
    harness = Harness(encrypt=mode)
    browser, eve = Browser(harness), Browser(harness)
    browser.visit(sign_in("ann", a=MARK))
    record, handle = sealed(harness, browser), handle_of(harness, browser)
    digest = secret_hash(b"e" * 16)
    plant(harness, handle, with_envelope(record, record.data, secret_hash=digest))
    eve.id = harness.runtime.signer.sign(Identity(handle, b"e" * 16))
    refused(harness, eve)


@each_codec
@each_mode
def test_sec_17_every_changed_byte_makes_it_no_session(mode: Mode, codec: Any) -> None:
    """Whatever byte is changed, with a checksum that is right: nobody's, and never other data."""
    harness = Harness(encrypt=mode, codec=codec)
    browser = Browser(harness)
    browser.visit(sign_in("ann", a=MARK))
    handle, payload = handle_of(harness, browser), harness.stored(browser.id).payload
    manager = SessionManager(harness.config, store=harness.store.inner)
    crc = range(18, 26) if codec == "json" else range(len(payload) - 4, len(payload))
    for place in set(range(len(payload))) - set(crc):
        changed = bytearray(payload)
        changed[place] ^= 1
        plant(harness, handle, checksummed(bytes(changed), codec))
        assert manager.open(browser.id or "") is None, place
    plant(harness, handle, checksummed(payload, codec))
    assert browser.read() == {"a": MARK}


def checksummed(payload: bytes, codec: str) -> bytes:
    """Return a payload with its checksum mended."""
    if codec == "binary":
        return payload[:-4] + crc32(payload[:-4]).to_bytes(4, "little")
    start = len(b"coatcheck/1 crc32=")
    return payload[:start] + b"%08x" % crc32(payload[start + 8 :]) + payload[start + 8 :]


@each_mode
def test_sec_17_every_cut_envelope_makes_it_no_session(mode: Mode) -> None:
    """What was cut short, or goes on, raises nothing and opens nothing."""
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    record, handle = sealed(harness, browser), handle_of(harness, browser)
    manager = SessionManager(harness.config, store=harness.store.inner)
    cuts = [record.data[:size] for size in range(len(record.data))]
    for envelope in (*cuts, record.data + b"\0", record.data * 2, b"\xff" + record.data[1:]):
        plant(harness, handle, with_envelope(record, envelope))
        harness.events.clear()
        assert manager.open(browser.id or "") is None
        assert len(harness.told(DecryptFailed)) == 1


@each_mode
@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_sec_09_plain_data_is_none_where_it_is_encrypted(mode: Mode, text: bool) -> None:
    """There is no fallback: a whole, plain record of ours is nobody's, and the event tells it."""
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    browser.visit(sign_in("ann"))
    record = harness.record(browser.id)
    data = json.dumps({"a": MARK}).encode() if text else harness.runtime.codec.encode({"a": MARK})
    plain = record.with_data(data, 2 if text else 1)._replace(sealing=None)
    plant(harness, handle_of(harness, browser), pack(plain, text=text))
    refused(harness, browser)


@each_mode
@pytest.mark.parametrize("foreign", FOREIGN)
def test_sec_09_foreign_bytes_are_no_data(mode: Mode, foreign: str) -> None:
    """What others write, as a whole record or as an envelope, is nobody's."""
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    browser.visit(put(a=1))
    record, handle = sealed(harness, browser), handle_of(harness, browser)
    plant(harness, handle, with_envelope(record, FOREIGN[foreign]))
    refused(harness, browser)
    plant(harness, handle, FOREIGN[foreign])
    assert browser.read() == {}
    assert len(harness.told(RecordCorrupt)) == 1


def test_sec_09_what_was_written_in_another_way_does_not_open() -> None:
    """Plain, encrypted and sealed records are each read by those who write them, and no others."""
    ways: list[Mode | Literal[False]] = [False, *MODES]
    for way in ways:
        harness = Harness(encrypt=way)
        browser = Browser(harness)
        browser.visit(sign_in("ann", a=MARK))
        for other in ways:
            twin = harness.twin(encrypt=other)
            visitor = Browser(twin)
            visitor.id = browser.id or ""
            if other == way:
                assert visitor.read() == {"a": MARK}
            else:
                refused(twin, visitor)


def test_sec_18_no_nonce_comes_twice() -> None:
    """Nonces are 96 random bits, another for each write."""
    cipher = AEAD(KeyRing(SECRET), "test").cipher(b"")
    envelopes = [cipher.seal(b"", b"") for _ in range(20_000)]
    nonces = {nonce_of(envelope) for envelope in envelopes}
    assert {len(nonce) for nonce in nonces} == {NONCE_SIZE} == {12}
    assert len(nonces) == len(envelopes)


@each_mode
def test_sec_18_a_constant_nonce_meets_no_key_twice(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the nonces broken, each session would still have a key of its own."""
    monkeypatch.setattr("coatcheck.aead.token_bytes", bytes)
    harness = Harness(encrypt=mode)
    texts: set[bytes] = set()
    for _ in range(20):
        browser = Browser(harness)
        browser.visit(put(a=MARK))
        texts.add(sealed(harness, browser).data[-(BLOCK + 16) :])
        browser.visit(lambda session: session.regenerate())
        texts.add(sealed(harness, browser).data[-(BLOCK + 16) :])
    assert len(texts) == 40
