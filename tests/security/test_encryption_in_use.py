"""Encrypted sessions in use: rotated secrets, administrators, copies, races, the service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coatcheck import Session, SessionManager, SessionService, copy_sessions
from coatcheck.aead import Undecipherable
from coatcheck.errors import ConfigurationError, SessionSealed
from coatcheck.events import DecryptFailed, Event
from coatcheck.ids import Identity, secret_hash
from coatcheck.keys import KeyRing
from coatcheck.layout import pack, unpack
from coatcheck.record import Record, SealedRecord
from coatcheck.sealer import Sealer
from coatcheck.store import MemoryStore
from tests.core.harness import OLD_SECRET, SECRET, Browser, Harness, put, sign_in
from tests.security.vault import (
    MARK,
    Mode,
    each_mode,
    handle_of,
    plant,
    refused,
    sealed,
    with_envelope,
)

ASKS: tuple[Callable[[Session], object], ...] = (
    lambda session: session["a"],
    lambda session: session.update(b=1),
    lambda session: session.login("eve"),
    lambda session: session.regenerate(),
    lambda session: session.clear(),
)


@each_mode
def test_sec_10_an_old_secret_decrypts_and_the_new_one_encrypts(mode: Mode) -> None:
    """What was written under the old secret is read, and is under the new one once it is saved."""
    old = Harness(secret=OLD_SECRET, encrypt=mode)
    browser = Browser(old)
    browser.visit(put(a=MARK))
    both = old.twin(secret=SECRET, old_secrets=[OLD_SECRET], encrypt=mode)
    new = old.twin(secret=SECRET, encrypt=mode)
    visitor, late = Browser(both), Browser(new)
    visitor.id = browser.id or ""
    assert visitor.read() == {"a": MARK}
    late.id = new.runtime.signer.sign(old.identity(browser.id))
    refused(new, late)
    visitor.visit(put(b=1))
    late.id = visitor.id or ""
    assert late.read() == {"a": MARK, "b": 1}


def test_an_administrator_sees_and_ends_what_is_sealed_and_no_data() -> None:
    """By its handle a sealed session has a user and times; data, and changes, raise."""
    manager = SessionManager(secret=SECRET, store=MemoryStore(), encrypt="sealed")
    session = manager.create("ada", {"a": MARK})
    [listed] = manager.sessions_of("ada")
    found = manager.find(session.handle)
    assert found is not None
    for one in (listed, found):
        assert (one.user_id, one.created_at) == ("ada", session.created_at)
        assert one.expires_at == session.expires_at
        for ask in ASKS:
            with pytest.raises(SessionSealed, match="the client alone"):
                ask(one)
        assert MARK not in repr(one)
    found.set_expiry(idle=7)
    with pytest.raises(SessionSealed):
        found.save()
    opened = manager.open(session.id)
    assert opened is not None
    assert dict(opened) == {"a": MARK}
    assert manager.revoke(session.handle, user_id="ada")
    assert manager.open(session.id) is None


@each_mode
def test_what_ends_sessions_opens_none(mode: Mode) -> None:
    """A record that does not open can be revoked and deleted like any other."""
    harness = Harness(encrypt=mode)
    manager = SessionManager(harness.config, store=harness.store.inner)
    browsers = [Browser(harness) for _ in range(3)]
    for browser in browsers:
        browser.visit(sign_in("ann", a=MARK))
        record = sealed(harness, browser)
        plant(harness, handle_of(harness, browser), with_envelope(record, b"rubbish"))
    one, two, _ = [handle_of(harness, browser) for browser in browsers]
    assert manager.revoke(one, user_id="ann")
    assert manager.delete(two)
    assert manager.revoke_user("ann") == 1
    assert harness.live() == []


@each_mode
def test_copies_open_where_they_are_copied_to(mode: Mode) -> None:
    """A move takes no secret: records go as they are, and other namespaces are refused."""
    source, target = MemoryStore(), MemoryStore()
    before = SessionManager(secret=SECRET, store=source, encrypt=mode)
    session = before.create("ada", {"a": MARK})
    session.regenerate()
    session.save()
    assert copy_sessions(source, target).copied == 2
    after = SessionManager(secret=SECRET, store=target, encrypt=mode, codec="json")
    opened = after.open(session.id)
    assert opened is not None
    opened["b"] = 1
    opened.save()
    again = after.open(session.id)
    assert again is not None
    assert dict(again) == {"a": MARK, "b": 1}
    with pytest.raises(ConfigurationError, match="namespace"):
        copy_sessions(source, MemoryStore(namespace="other"))


@each_mode
def test_the_service_keeps_its_contract(mode: Mode) -> None:
    """Results, never exceptions, also of a record that does not open; that one is damaged."""
    store = MemoryStore()
    service = SessionService(store=store, secret=SECRET, encrypt=mode)
    session = service.new_session("ann", data={"a": MARK}).session
    assert session is not None
    session.get_data().value["b"] = 1
    assert session.save()
    found = service.get_session(session.session_id()).session
    assert found is not None
    assert found.get_data().value == {"a": MARK, "b": 1}
    other = SessionService(store=store, secret=SECRET, encrypt=False)
    assert other.get_session(session.session_id()).code == "damaged"
    assert service.delete_session(session.session_id()).deleted_count == 1


@each_mode
def test_a_session_of_the_service_is_refreshed_after_its_secret_was_rotated(mode: Mode) -> None:
    """What a web application has rotated meanwhile is no damage to who holds the session."""
    harness = Harness(encrypt=mode, rotate_every=60)
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    service = SessionService(store=harness.store, secret=SECRET, encrypt=mode, clock=harness.clock)
    held = service.get_session(browser.id).session
    assert held is not None
    for number in (1, 2):
        harness.clock.advance(60)
        browser.visit(put(b=number))
        browser.visit()
    assert held.refresh()
    assert held.get_data().value == {"a": MARK, "b": 2}


@each_mode
def test_a_race_of_two_saves_is_told_where_the_record_does_not_open(mode: Mode) -> None:
    """A save that meets what was tampered with neither merges it nor writes over it."""
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    exchange = browser.begin()
    exchange.session["mine"] = 1
    record, handle = sealed(harness, browser), handle_of(harness, browser)
    plant(harness, handle, with_envelope(record, record.data, user_id="eve"))
    before = harness.stored(browser.id)
    reply = exchange.finish()
    assert (reply.cookie, harness.stored(browser.id)) == (None, before)
    assert harness.dropped() == [("gone", ("mine",))]
    assert len(harness.told(DecryptFailed)) == 1


@each_mode
def test_nothing_shows_a_key_or_data(mode: Mode) -> None:
    """No `repr` of what a request holds has the data, the data key or what it is made of."""
    harness = Harness(encrypt=mode)
    browser = Browser(harness)
    browser.visit(put(a=MARK))
    exchange = browser.begin()
    assert exchange.session["a"] == MARK
    held = exchange.visit.held
    assert held is not None
    sealing = held.record.sealing
    assert sealing is not None
    shown = repr((held, sealing, sealing.cipher, harness.runtime.sealer, sealed(harness, browser)))
    assert MARK not in shown
    for secret in (sealing.data_key, sealing.start[1:]):
        assert not secret or repr(secret)[2:-1] not in shown


def test_one_session_behind_two_doors_that_encrypt() -> None:
    """Two managers with one configuration read and write one encrypted session."""
    events: list[Event] = []
    store = MemoryStore()
    doors = [
        SessionManager(secret=SECRET, store=store, encrypt="sealed", on_event=events.append)
        for _ in range(2)
    ]
    session = doors[0].create("ada", {"a": 1})
    token = session.csrf_token()
    there = doors[1].open(session.id)
    assert there is not None
    assert there.verify_csrf(token)
    there["a"] = 2
    there.save()
    session["b"] = 1
    session.save()
    session.refresh()
    assert dict(session) == {"a": 2, "b": 1}
    assert not [event for event in events if isinstance(event, DecryptFailed)]


def test_a_wrapped_key_follows_a_new_secret() -> None:
    """It opens under the new secret alone, and to who had opened it before."""
    sealer = Sealer(KeyRing(SECRET), "coatcheck", by_client=True)
    first, second = (Identity("ab" * 16, bytes((n,)) * 16) for n in (1, 2))
    before = sealer.fresh(first)
    record = Record(secret_hash(second.secret), None, 0, 1.0, None, None, None, True, 1, b"data")
    sealing = sealer.rewrapped(before, second.secret)
    stored = unpack(pack(record._replace(sealing=sealing), text=False))
    assert isinstance(stored, SealedRecord)
    assert sealer.open(stored, second).data == b"data"
    assert sealer.open(stored, first, before).data == b"data"
    with pytest.raises(Undecipherable):
        sealer.open(stored, first)


@each_mode
def test_data_outlives_rotated_ids(mode: Mode) -> None:
    """It opens under each new ID, after a lost response, and to who opened it two IDs before."""
    harness = Harness(encrypt=mode, rotate_every=900)
    browser = Browser(harness)
    browser.visit(sign_in("ann", a=1))
    long = browser.begin()
    assert long.session["a"] == 1
    seen = {browser.id}
    for _ in range(2):
        harness.clock.advance(1000)
        browser.visit()
        browser.visit()
        seen.add(browser.id)
        assert browser.read() == {"a": 1}
    assert len(seen) == 3
    long.session["late"] = 1
    long.close()
    harness.clock.advance(1000)
    browser.visit(deliver=False)
    assert browser.read() == {"a": 1, "late": 1}
    assert (harness.dropped(), harness.told(DecryptFailed)) == ([], [])
