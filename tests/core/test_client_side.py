"""The session in the cookie, part by part: made-up input, keys, and what travels with a handle."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251 - to see it refused
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck import ConfigurationError, EncryptedCookieStore, SessionConfig
from coatcheck.client_side.carried import CarriedKey, Slot, carried, slot_of
from coatcheck.client_side.ids import SealedIDs
from coatcheck.client_side.revocations import StoredRevocations
from coatcheck.client_side.state import SealedCookieState, has_form
from coatcheck.drivers import run_now
from coatcheck.errors import StoreError
from coatcheck.keys import KeyRing
from coatcheck.layout import pack
from coatcheck.record import Record
from coatcheck.request import ASGIRequest, PlainRequest
from coatcheck.runtime import Runtime
from coatcheck.store import Conflict, Gone, MemoryStore, Stored, Updated
from coatcheck.store.protocol import Admitted
from coatcheck.testing import ManualClock
from tests.core.harness import SECRET

NOW = 1_800_000_000.0
PLAIN = "0123456789abcdef" * 2
VALUE = "A" * 400


def sealed_ids(clock: ManualClock | None = None, room: int = 4000) -> SealedIDs:
    """Return IDs of one cookie."""
    return SealedIDs(KeyRing(SECRET), "app", "session", room=room, clock=clock or ManualClock(NOW))


IDS = sealed_ids()


def record(user_id: str | None = None, deadline: float | None = NOW + 1000) -> bytes:
    """Return the payload of a session."""
    signed_in_at = None if user_id is None else NOW
    return pack(
        Record(b"s" * 32, user_id, 0, NOW, signed_in_at, 100.0, deadline, True, 1, b"data"),
        text=False,
    )


def quiet(**options: Any) -> EncryptedCookieStore:
    """Return a store that warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EncryptedCookieStore(**options)


@given(st.text() | st.text("ABCxyz019-_", min_size=120, max_size=500))
def test_any_text_is_no_session_and_no_error(text: str) -> None:
    """Whatever the cookie has."""
    assert IDS.verify(text) is None


@given(st.binary(max_size=300), st.floats(allow_nan=False, allow_infinity=False) | st.none())
def test_what_is_sealed_comes_back_as_it_was(data: bytes, expires_at: float | None) -> None:
    """Payload, version, deadline, secret; under the same handle, in a slot of its own."""
    ids, identity = IDS, IDS.mint()
    slot = slot_of(identity.handle)
    assert slot is not None
    payload = pack(
        Record(b"s" * 32, None, 0, NOW, None, None, None, True, 1, data), text=bool(len(data) % 2)
    )
    slot.put(Stored(7, expires_at, payload))
    text = ids.sign(identity)
    assert has_form(text)
    found = ids.verify(text)
    assert found is not None
    again, current = found
    assert (again, current) == (identity, True)
    other = slot_of(again.handle)
    assert other is not None
    assert other is not slot
    assert other.stored == Stored(7, expires_at, payload)
    assert ids.sign(again) == text


def test_sec_18_no_two_seals_are_alike() -> None:
    """Each has a nonce of its own, also of one session saved twice."""
    ids = sealed_ids()
    identity = ids.mint()
    slot = slot_of(identity.handle)
    assert slot is not None
    texts: set[str] = set()
    for _ in range(1000):
        slot.put(Stored(1, None, record()))
        texts.add(ids.sign(identity))
    assert len({text[24:44] for text in texts}) == 1000


def test_sec_73_the_store_takes_handles_and_nothing_else() -> None:
    """Others raise before anything is looked at; one without a record is a session of nobody."""
    store = quiet()
    for key in ("", "x", "A" * 32, "a" * 31 + "\n", "../" + "a" * 29):
        for call in (
            lambda key=key: store.get(key),
            lambda key=key: store.create(key, record(), expires_at=None, user_id=None),
            lambda key=key: store.update(key, record(), version=1, expires_at=None),
            lambda key=key: store.touch(key, version=1, expires_at=NOW),
            lambda key=key: store.delete(key),
        ):
            with pytest.raises(ValueError, match="32 lower-case hex digits"):
                call()
    assert store.get(PLAIN) is None
    assert store.delete(PLAIN) is None
    assert store.update(PLAIN, record(), version=1, expires_at=None) == Gone()
    assert store.touch(PLAIN, version=1, expires_at=NOW) is False
    with pytest.raises(ConfigurationError, match="nothing can be copied into it"):
        store.create(PLAIN, record(), expires_at=None, user_id=None)


def test_the_verbs_are_those_of_any_store() -> None:
    """On the one record of the one request: versions, deadlines, what is there no more."""
    clock = ManualClock(NOW)
    store, key = quiet(), sealed_ids(clock).mint().handle
    assert store.get(key) is None
    assert store.update(key, record(), version=1, expires_at=NOW + 10) == Gone()
    assert store.create(key, record(), expires_at=NOW + 10, user_id=None) is True
    assert store.create(key, record(), expires_at=NOW + 10, user_id=None) is False
    assert store.get(key) == Stored(1, NOW + 10, record())
    assert store.update(key, record(), version=2, expires_at=NOW) == Conflict(
        Stored(1, NOW + 10, record())
    )
    assert store.update(key, record(None, None), version=1, expires_at=NOW + 10) == Updated(2)
    assert store.touch(key, version=1, expires_at=NOW + 20) is False
    assert store.touch(key, version=2, expires_at=NOW + 5) is True
    assert store.get(key) == Stored(2, NOW + 10, record(None, None))
    assert store.touch(key, version=2, expires_at=NOW + 20) is True
    clock.set(NOW + 20)
    assert store.get(key) is None
    assert store.touch(key, version=2, expires_at=NOW + 90) is False
    clock.set(NOW + 19)
    assert store.delete(key) == Stored(2, NOW + 20, record(None, None))
    assert store.delete(key) is None
    for expires_at in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            store.create(key, record(), expires_at=expires_at, user_id=None)


def test_no_user_s_record_is_made_where_nothing_can_be_revoked() -> None:
    """Nor is anything admitted that is counted, listed or confirmed after it has ended."""
    store, key = quiet(), sealed_ids().mint().handle
    with pytest.raises(ConfigurationError, match="revocations="):
        store.create(key, record("ann"), expires_at=None, user_id="ann")
    assert store.admit("ann", key, limit=None, evict=True) == Admitted(0, ())
    assert (store.purge(), store.claim_purge(60.0)) == (0, False)
    store.forget("ann", key)
    store = quiet(revocations=MemoryStore(clock=ManualClock(NOW)))
    assert store.create(key, record("ann"), expires_at=None, user_id="ann")
    assert store.confirm("ann", key, 0)
    assert not store.confirm("ann", PLAIN, 0)
    store.delete(key, user_id="ann")
    assert not store.confirm("ann", key, 0)


def test_a_handle_takes_its_record_to_no_other_place() -> None:
    """A copy, a pickle and a text of it are plain strings; a slot and the keys cannot be taken."""
    ids = sealed_ids()
    key = ids.mint().handle
    assert isinstance(key, CarriedKey)
    for taken in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key)), str(key)):
        assert type(taken) is str
        assert taken == key
        assert slot_of(taken) is None
    assert repr(key) == repr(str(key))
    for thing in (Slot(ids), ids):
        assert "0x" not in repr(thing)
        with pytest.raises(TypeError, match="process|request"):
            pickle.dumps(thing)
    assert slot_of(carried(PLAIN, Slot(ids))) is not None


def test_cookies_are_read_as_those_of_ids_are() -> None:
    """From several headers, each value once, nine at most, and only what has the form."""
    state = SealedCookieState("session")
    values = [VALUE + str(number) for number in range(12)]

    def header(*pairs: str) -> list[tuple[bytes, bytes]]:
        return [(b"cookie", pair.encode()) for pair in pairs]

    for lines, found in (
        (header(f"session={VALUE}"), [VALUE]),
        (header("a=b", f"x=y; session={VALUE}"), [VALUE]),
        (header(f"session={VALUE}; session={VALUE}"), [VALUE]),
        (header(*(f"session={value}" for value in values)), values[:9]),
        (header(f"session={'A' * 68}; session={'A' * 5000}; session="), []),
        (header(f"xsession={VALUE}; session{VALUE}; Session={VALUE}"), []),
        (header(f'session="{VALUE}"'), []),
        ([], []),
    ):
        assert state.extract(ASGIRequest({"type": "http", "headers": lines})) == found
    assert state.extract(PlainRequest({"cookie": f"session={VALUE}"})) == [VALUE]
    assert repr(state) == "SealedCookieState('session')"
    assert 3900 < state.room < 4096


def test_revocations_that_never_come_through_are_told() -> None:
    """Rather than a user who believes to be signed out everywhere."""

    class Contested(MemoryStore):
        def create(self, key: str, payload: bytes, /, **how: Any) -> bool:
            return False

    with pytest.raises(StoreError, match="nothing was revoked"):
        StoredRevocations(Contested()).end_all("ann", (), NOW)


def test_revocations_of_two_processes_keep_each_other() -> None:
    """A note is changed by compare-and-set."""
    clock = ManualClock(NOW)
    notes = MemoryStore(clock=clock)
    ids = sealed_ids(clock)
    one, other = ids.mint().handle, ids.mint().handle
    for key in (one, other):
        slot = slot_of(key)
        assert slot is not None
        slot.put(Stored(1, None, record("ann")))

    class Raced(MemoryStore):
        """Another process is faster, once."""

        raced = False

        def get(self, key: str, /) -> Stored | None:
            found = notes.get(key)
            if not self.raced:
                self.raced = True
                StoredRevocations(notes).end(other, slot_of(other) or Slot(ids), NOW)
            return found

        def create(self, key: str, payload: bytes, /, **how: Any) -> bool:
            return notes.create(key, payload, **how)

        def update(self, key: str, payload: bytes, /, **how: Any) -> Any:
            return notes.update(key, payload, **how)

    StoredRevocations(Raced()).end(one, slot_of(one) or Slot(ids), NOW)
    for key in (one, other):
        assert StoredRevocations(notes).ended(key, slot_of(key) or Slot(ids))


def test_what_an_application_s_function_raises_is_an_outage() -> None:
    """Whether the session is good is not known then."""

    def revoked_since(user_id: str) -> float | None:
        raise KeyError(user_id)

    store = quiet(revoked_since=revoked_since)
    key = sealed_ids().mint().handle
    assert store.create(key, record("ann"), expires_at=None, user_id="ann")
    with pytest.raises(StoreError, match="revoked_since raised KeyError"):
        store.get(key)


@pytest.mark.parametrize("since", [float("nan"), float("inf")])
def test_a_time_after_which_nothing_can_be_voids_all(since: float) -> None:
    """What is no time opens nothing; infinity is that of a user who is to stay out."""

    def revoked_since(user_id: str) -> float:
        return since

    store = quiet(revoked_since=revoked_since)
    key = sealed_ids().mint().handle
    assert store.create(key, record("ann"), expires_at=None, user_id="ann")
    assert store.get(key) is None


def test_it_is_inline_where_nothing_blocks_and_in_threads_elsewhere() -> None:
    """As for any blocking store under ASGI."""
    config = SessionConfig(secret=SECRET)
    for store, inline in (
        (quiet(), True),
        (quiet(revocations=MemoryStore()), True),
        (quiet(revoked_since=dict[str, float]().get), False),
    ):
        assert store.never_blocks is inline
        runtime = Runtime.awaiting(config, store)
        assert runtime.opens_inline is inline
        assert runtime.same_sessions(Runtime.blocking(config, store))
        assert run_now(Runtime.blocking(config, store).store.get(PLAIN)) is None
