"""Encryption at rest against who reads the store, with the application's secret or without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from sqlalchemy import select

from coatcheck import SessionManager, open_store
from coatcheck.aead import AEAD, BLOCK, Undecipherable
from coatcheck.errors import ConfigurationError
from coatcheck.ids import Identity
from coatcheck.keys import KeyRing
from coatcheck.layout import unpack
from coatcheck.record import Record, Tombstone
from coatcheck.sealer import Sealer
from coatcheck.store import MemoryStore, Store
from coatcheck.store.sql import SQLStore
from coatcheck.store.sql.tables import PREFIX, tables_of
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, put, sign_in
from tests.core.test_stolen_store import stolen
from tests.security.vault import (
    MARK,
    MODES,
    Mode,
    each_mode,
    handle_of,
)
from tests.servers.postgresql import fresh_engine, needs_postgresql
from tests.servers.redis import fresh_url as redis_url
from tests.servers.redis import needs_redis


def test_sec_19_what_cannot_encrypt_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AES-GCM there is an error at construction, and no plain record."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    for mode in MODES:
        with pytest.raises(ConfigurationError, match="AES-GCM"):
            SessionManager(secret=SECRET, store=MemoryStore(), encrypt=mode)
    SessionManager(secret=SECRET, store=MemoryStore())


@each_mode
@pytest.mark.parametrize("weak", ["x" * 64, "changeme", SECRET[:31]])
def test_sec_12_encryption_refuses_weak_secrets(mode: Mode, weak: str) -> None:
    """The current one and each old one must be strong; none is shown."""
    wrong: list[dict[str, Any]] = [
        {"secret": weak},
        {"secret": SECRET, "old_secrets": [OLD_SECRET, weak]},
    ]
    for secrets in wrong:
        with pytest.raises(ConfigurationError, match="which encrypt must not rest on") as caught:
            SessionManager(store=MemoryStore(), encrypt=mode, **secrets)
        assert weak not in str(caught.value)


def test_two_secrets_of_one_key_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is tried after another, so each must be known by its id."""
    keys = KeyRing(SECRET, [OLD_SECRET])
    monkeypatch.setattr(keys.keys[1], "key_id", keys.keys[0].key_id)
    with pytest.raises(ConfigurationError, match="same key id"):
        AEAD(keys, "test")


@each_mode
@pytest.mark.parametrize("url", ["memory://", "file://{}/sessions", "sqlite:///{}/sessions.db"])
def test_no_plain_data_is_in_a_store(mode: Mode, url: str, tmp_path: Path) -> None:
    """Neither keys nor values, of live, merged, replaced or ended sessions, are in any byte."""
    store = open_store(url.format(tmp_path))
    fill(store, mode)
    loot = stolen(store, tmp_path).lower()
    assert b"bob" in loot
    assert MARK.encode() not in loot
    assert MARK.encode().hex().encode() not in loot


@each_mode
def test_no_plain_data_is_on_a_server(mode: Mode) -> None:
    """Nor is any sent to Redis or PostgreSQL."""
    needs_redis()
    url, connect = redis_url(), cast("Any", redis.Redis).from_url
    client = connect(url)
    fill(open_store(url), mode)
    strings = [key for key in client.scan_iter() if client.type(key) == b"string"]
    loot = b"".join(client.get(key) or b"" for key in strings)
    client.close()
    assert len(strings) > 4
    assert MARK.encode() not in loot.lower()
    needs_postgresql()
    engine = fresh_engine()
    fill(SQLStore(engine), mode)
    with engine.connect() as connection:
        payloads = connection.execute(select(tables_of(PREFIX, None).sessions.c.payload)).scalars()
        loot = b"".join(bytes(payload) for payload in payloads)
    engine.dispose()
    assert MARK.encode() not in loot.lower()
    assert b"bob" in loot


def fill(store: Store, mode: Mode) -> None:
    """Do what leaves records of all kinds, with marked data."""
    manager = SessionManager(secret=SECRET, store=store, encrypt=mode)
    for user in ("ada", None):
        session = manager.create(user, {MARK: [MARK]})
        other = manager.open(session.id)
        assert other is not None
        session["more" + MARK] = other["other" + MARK] = MARK.upper()
        session.save()
        other.save()
        other.regenerate()
        other.save()
        other.login("bob")
        other["last" + MARK] = {MARK: None}
        other.save()
        manager.create(user, {MARK: MARK}).destroy()


@each_mode
def test_lengths_say_how_many_blocks_and_no_more(mode: Mode) -> None:
    """Data of 0 bytes and of a block less one have one length."""
    harness = Harness(encrypt=mode)
    sizes: list[int] = []
    for length in (0, 1, 100, 240, 300):
        browser = Browser(harness)
        browser.visit(put(a="x" * length))
        sizes.append(len(harness.stored(browser.id).payload))
    assert len(set(sizes[:4])) == 1
    assert sizes[4] - sizes[0] == BLOCK


class Thief:
    """Has a copy of the store, and a secret of the application's or an ID of a client's."""

    def __init__(self, harness: Harness, secret: str, mode: Mode) -> None:
        self.store = harness.store.inner
        self.sealer = Sealer(KeyRing(secret), "coatcheck", by_client=mode == "sealed")

    def opens(self, handle: str, secret: bytes) -> bytes | None:
        """Return the data of a record, if that secret of a client's opens it."""
        stored = self.store.get(handle)
        content = unpack(stored.payload) if stored else None
        if not isinstance(content, Record):
            return None
        try:
            return self.sealer.open(content, Identity(handle, secret)).data
        except Undecipherable:
            return None

    def guesses(self, handle: str) -> list[bytes]:
        """Return all 16 bytes in a row that are in the store, and some that anybody has."""
        found = [self.store.get(key) for key in self.store.scan(None)[0]]
        loot = b"".join(one.payload for one in found if one) + bytes.fromhex(handle)
        at_hand = [loot[start : start + 16] for start in range(len(loot) - 15)]
        return [*at_hand, bytes(16), b"\xff" * 16, SECRET.encode()[:16]]


def test_sec_17_a_stolen_store_and_the_secret_open_nothing_that_is_sealed() -> None:
    """Neither what lies in the store nor what can be made of it is the secret half of an ID."""
    harness = Harness(encrypt="sealed")
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    browser.visit(sign_in("ann", b=MARK))
    browser.visit(lambda session: session.regenerate())
    identity = harness.identity(browser.id)
    thief = Thief(harness, SECRET, "sealed")
    assert any(isinstance(unpack(harness.stored(one).payload), Tombstone) for one in ids(harness))
    for guess in thief.guesses(identity.handle):
        assert thief.opens(identity.handle, guess) is None
    assert MARK.encode() in (thief.opens(identity.handle, identity.secret) or b"")
    assert Thief(harness, OLD_SECRET, "sealed").opens(identity.handle, identity.secret) is None


def test_a_data_key_is_random() -> None:
    """Each sealed session has a key of its own, 256 bits that nothing else says."""
    sealer = Sealer(KeyRing(SECRET), "coatcheck", by_client=True)
    identity = Identity("ab" * 16, b"s" * 16)
    keys = {sealer.fresh(identity).data_key for _ in range(100)}
    assert (len(keys), {len(key) for key in keys}) == (100, {32})


def ids(harness: Harness) -> list[str]:
    """Return an ID for each handle in the store, whose secret is nobody's."""
    handles = harness.store.inner.scan(None)[0]
    return [harness.runtime.signer.sign(Identity(handle, bytes(16))) for handle in handles]


def test_what_encrypt_alone_does_not_promise() -> None:
    """With the secret, a stolen store is read, as the page on encryption says."""
    harness = Harness(encrypt=True)
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    handle = handle_of(harness, browser)
    assert MARK.encode() in (Thief(harness, SECRET, True).opens(handle, b"") or b"")
    assert Thief(harness, OLD_SECRET, True).opens(handle, b"") is None
