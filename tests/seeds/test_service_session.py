"""S-41 to S-61: what a session object holds, says and saves."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from coatcheck import SessionService
from tests.seeds.services import (
    Place,
    begun,
    data_of,
    done,
    got,
    lives,
    refused,
    replaced,
    session_of,
)

WHOLE: list[Any] = [[1, {"two": [3]}], "text", 7, 2.5, True, (1, 2), {1: "int key"}, {None: 1}]
MAPPINGS: list[Any] = [OrderedDict(a=1), MappingProxyType({"a": 1})]
FALSY: list[Any] = [{}, [], "", 0, 0.0, False, None, (), b""]


def test_s_41_get_data_gives_all_the_data(service: SessionService) -> None:
    """A success with the whole data field as its value, by attribute and by key."""
    data = {"cart": ["tea"], "n": 1}
    session = begun(service, data=data)
    for held in (session, got(service, session)):
        result = held.get_data()
        assert (result.success, result.value, result["value"]) == (True, data, data)
        assert held.get_data().value is result.value


def test_s_42_set_data_replaces_everything(service: SessionService) -> None:
    """Old keys are gone, in memory and in the store."""
    session = begun(service, data={"old": 1, "both": 1})
    replaced(session, {"both": 2, "new": 2})
    assert data_of(session) == {"both": 2, "new": 2}
    assert data_of(got(service, session)) == {"both": 2, "new": 2}


def test_s_43_set_data_marks_dirty_and_stores_nothing(place: Place) -> None:
    """Not even a look into the store; equal data is dirty too."""
    service, spy = place.spied()
    session = begun(service, data={"a": 1})
    held = got(service, session)
    spy.take()
    assert done(held.set_data({"a": 1})).message == ""
    assert held.is_dirty() is True
    held.set_data({"b": 2})
    assert (held.is_dirty(), data_of(held), spy.take()) == (True, {"b": 2}, [])
    assert data_of(got(service, session)) == {"a": 1}


@pytest.mark.parametrize("value", [*WHOLE, *FALSY, *MAPPINGS])
def test_s_44_set_data_accepts_any_data(service: SessionService, value: Any) -> None:
    """A list, a scalar, `None`, any mapping: it is the data from then on."""
    session = begun(service, data={"a": 1})
    done(session.set_data(value))
    assert data_of(session) == value
    assert session.is_dirty() is True


@pytest.mark.parametrize("value", FALSY)
def test_s_45_falsy_data_is_stored_faithfully(service: SessionService, value: Any) -> None:
    """It comes back equal and of its type, not as `{}`."""
    session = begun(service, data={"a": 1})
    replaced(session, value)
    held = got(service, session)
    assert data_of(held) == value
    assert type(data_of(held)) is type(value)
    assert (held.is_dirty(), session.is_dirty()) == (False, False)
    replaced(held, {"again": 1})
    assert data_of(got(service, session)) == {"again": 1}


@pytest.mark.parametrize("value", [*WHOLE, {"\0whole": 1}, {"\0whole": 1, "a": 2}])
def test_data_that_is_no_mapping_of_ours_is_stored_as_a_whole(
    service: SessionService, value: Any
) -> None:
    """S-45: whatever it is, also a dict that looks like the mark of such data."""
    session = begun(service, data=value)
    assert data_of(session) == value
    held = got(service, session)
    assert data_of(held) == value
    replaced(held, value)
    assert data_of(got(service, session)) == value
    replaced(held, {})
    data_of(held)["\0whole"] = value
    done(held.save())
    assert data_of(got(service, session)) == {"\0whole": value}
    assert data_of(held) == {"\0whole": value}


def test_s_46_changes_in_place_are_seen_and_saved(service: SessionService) -> None:
    """Without `set_data`: `is_dirty()` turns true, and `save()` writes them."""
    session = begun(service, data={"cart": [], "n": {"m": [0]}})
    held = got(service, session)
    value = data_of(held)
    assert held.is_dirty() is False
    value["n"]["m"].append(1)
    assert held.is_dirty() is True
    done(held.save())
    assert held.is_dirty() is False
    assert data_of(got(service, session))["n"] == {"m": [0, 1]}
    value["top"] = 1
    del value["cart"]
    assert held.is_dirty() is True
    done(held.save())
    assert data_of(got(service, session)) == {"n": {"m": [0, 1]}, "top": 1}
    given = ["list"]
    replaced(held, given)
    given.append("more")
    assert held.is_dirty() is True
    done(held.save())
    assert data_of(got(service, session)) == ["list", "more"]


def test_s_47_save_stores_and_clears_dirty(service: SessionService) -> None:
    """After it, who gets the session has what was set, and nothing waits."""
    session = begun(service)
    session.set_data({"a": 1})
    assert data_of(got(service, session)) == {}
    assert session.is_dirty() is True
    done(session.save())
    assert session.is_dirty() is False
    assert data_of(got(service, session)) == {"a": 1}


def test_s_48_a_clean_save_is_a_success_and_only_slides(place: Place) -> None:
    """Any number of times: one touch each, however soon after the last, and no data is written."""
    service, spy = place.spied()
    session = begun(service, data={"a": [1]})
    data_of(session)
    spy.take()
    for wait in (0, 0, 1, 0.5, 3000, 3599):
        place.clock.advance(wait)
        done(session.save())
        assert spy.take() == ["touch"]
        assert session.expires_at() == place.clock() + 3600
        assert got(service, session).expires_at() == place.clock() + 3600
        spy.take()
    stored = spy.inner.get(session.handle())
    assert stored is not None
    assert stored.version == 1


@pytest.mark.parametrize("dirty", [False, True])
def test_s_49_save_moves_the_expiry_to_now_and_timeout(
    service: SessionService, place: Place, dirty: bool
) -> None:
    """Always, whether there is something to write or not, and by the session's own timeout."""
    for timeout in (3600, 7200, 60):
        session = begun(service, session_timeout=timeout)
        for wait in (1, 30, timeout - 1):
            place.clock.advance(wait)
            if dirty:
                session.set_data({"waited": wait})
            done(session.save())
            assert session.expires_at() == place.clock() + timeout
            assert got(service, session).expires_at() == place.clock() + timeout


def test_s_50_a_session_about_to_expire_is_kept_by_a_save(
    service: SessionService, place: Place
) -> None:
    """`set_data` and `save` in its last second: it is there past its old expiry."""
    session = begun(service)
    ends = session.expires_at()
    place.clock.advance(3599)
    replaced(session, {"a": 1})
    place.clock.advance(1)
    assert place.clock() == ends
    assert data_of(got(service, session)) == {"a": 1}
    place.clock.advance(3599)
    refused(service.get_session(session.session_id()), "get_session_info: ")


def test_s_51_an_indefinite_session_stays_indefinite(service: SessionService, place: Place) -> None:
    """`save()` keeps `expires_at == "indefinite"`, clean or dirty, and stores the data."""
    session = begun(service, session_timeout="indefinite")
    for value in ({"a": 1}, {"b": [2]}):
        place.clock.advance(10**6)
        done(session.save())
        replaced(session, value)
        assert session.expires_at() == "indefinite"
        held = got(service, session)
        assert (held.expires_at(), data_of(held)) == ("indefinite", value)


@pytest.mark.parametrize("timeout", [None, "indefinite"])
@pytest.mark.parametrize("dirty", [False, True])
def test_s_52_save_after_the_session_was_deleted_fails(
    service: SessionService, place: Place, timeout: Any, dirty: bool
) -> None:
    """The message starts with `save: `, nothing comes back, and what was dirty still is."""
    session = begun(service, data={"a": 1}, session_timeout=timeout)
    with place.open() as another:
        done(another.delete_session(session.session_id()))
    if dirty:
        session.set_data({"a": 2})
    for _ in range(2):
        result = refused(session.save(), "new_session()")
        assert (result.message.startswith("save: "), result.code) == (True, "ended")
        assert session.is_dirty() is dirty
    if dirty:
        assert data_of(session) == {"a": 2}
    assert not lives(service, session)
    assert service.cleanup_sessions().active == ()


@pytest.mark.parametrize("dirty", [False, True])
def test_s_53_last_updated_moves_and_created_at_does_not(
    service: SessionService, place: Place, dirty: bool
) -> None:
    """What is stored as `last_updated` is the time of the save; the creation stays."""
    began = place.clock()
    session = begun(service)
    assert session.last_updated() == pytest.approx(began, abs=1e-3)
    last = session.last_updated()
    for wait in (0, 10, 1000):
        place.clock.advance(wait)
        if dirty:
            session.set_data({"waited": wait})
        done(session.save())
        held = got(service, session)
        assert session.last_updated() == held.last_updated() >= last
        assert held.last_updated() == pytest.approx(place.clock(), abs=1e-3)
        assert session.created_at() == held.created_at() == began
        last = held.last_updated()


def test_s_54_nothing_is_saved_when_the_object_goes_away(
    service: SessionService, place: Place
) -> None:
    """Neither by its end nor by that of the service."""
    session = begun(service, data={"a": 1})
    held = got(service, session)
    held.set_data({"a": 2})
    data_of(held)["b"] = 3
    del held
    gc.collect()
    assert data_of(got(service, session)) == {"a": 1}
    with place.open() as other:
        got(other, session).set_data({"a": 4})
    assert data_of(got(service, session)) == {"a": 1}


def test_s_55_valid_is_active_and_not_expired(service: SessionService, place: Place) -> None:
    """In each of the four cases."""
    seen: set[tuple[bool, bool]] = set()
    for ends in (False, True):
        for late in (False, True):
            session = begun(service)
            if ends:
                service.delete_session(session.session_id())
                session.save()
            if late:
                place.clock.advance(3600)
            case = (session.is_active(), session.is_expired())
            assert session.is_valid() == (case[0] and not case[1])
            seen.add(case)
    assert len(seen) == 4


def test_s_56_an_expired_session_is_invalid_but_active(
    service: SessionService, place: Place
) -> None:
    """At its deadline it is expired; what ended elsewhere is told by `refresh()` or `save()`."""
    session = begun(service)
    place.clock.advance(3599)
    assert (session.is_expired(), session.is_valid(), session.is_active()) == (False, True, True)
    place.clock.advance(1)
    assert (session.is_expired(), session.is_valid(), session.is_active()) == (True, False, True)
    refused(session.save(), "save: ")
    for method in ("refresh", "save"):
        session = begun(service, data={"a": 1})
        held = got(service, session)
        done(service.delete_session(session.session_id()))
        assert held.is_valid() is True
        refused(getattr(held, method)(), f"{method}: ")
        assert (held.is_valid(), held.is_active()) == (False, False)
        assert held.status()["state"] == "ended"
        assert (held.created_at(), held.expires_at()) == (place.clock(), place.clock() + 3600)
        refused(held.set_data({"b": 2}), "set_data: ")
        refused(held.refresh(), "refresh: ")


def test_s_57_status_is_state_and_dirty(service: SessionService) -> None:
    """`{"state": "active", "dirty": 0}`, and 1 after `set_data`."""
    session = begun(service)
    assert session.status() == {"state": "active", "dirty": 0}
    session.set_data({"a": 1})
    assert session.status() == {"state": "active", "dirty": 1}
    done(session.save())
    assert session.status() == {"state": "active", "dirty": 0}


def test_s_58_accessors(service: SessionService, place: Place) -> None:
    """All that the contract names is there; timestamps are numbers."""
    session = begun(service, "ann", data={"secret": "data"})
    assert type(session.session_id()) is str
    for timestamp in (session.created_at(), session.expires_at(), session.last_updated()):
        assert type(timestamp) is float
        assert timestamp >= place.clock()
    backend = {"database": "SQLiteStore", "file": "FileStore"}[place.backend]
    assert session.storage_backend() == backend
    assert repr(session) == f"<ServiceSession active handle={session.handle()}>"
    shown = repr(service.get_session(session.session_id())) + repr(session.get_data())
    assert session.session_id() not in shown
    assert "secret" not in shown


def test_s_59_a_session_file_is_named_by_its_handle_and_readable(tmp_path: Path) -> None:
    """A header line, one line that says what the session is, and the data as JSON."""
    with SessionService("file", tmp_path) as service:
        session = begun(service, "ann", data={"cart": ["tea", "milk"]})
        (path,) = [path for path in tmp_path.rglob(session.handle()) if path.is_file()]
        header, record, data = path.read_text(encoding="utf-8").splitlines()
        secret = (tmp_path / "secret.key").read_text()
    assert header.startswith(f"coatcheck 1 {session.handle()} ")
    assert record.startswith("coatcheck/1 crc32=")
    assert ' user="ann"' in record
    assert data == '{"cart":["tea","milk"]}'
    assert session.session_id() not in path.read_text(encoding="utf-8")
    assert len(secret) > 32


def test_s_60_the_database_is_sessions_db(tmp_path: Path) -> None:
    """With the table `sessions`, one row a session, under its handle."""
    with SessionService("database", tmp_path) as service:
        session = begun(service, "ann", data={"cart": ["tea"]})
        connection = sqlite3.connect(tmp_path / "sessions.db")
        rows = connection.execute(
            "SELECT namespace, key, version, expires_at, user_id, payload FROM sessions"
        ).fetchall()
        connection.close()
    assert len(rows) == 1
    assert rows[0][:5] == ("coatcheck", session.handle(), 1, session.expires_at(), "ann")
    assert b"tea" in rows[0][5]


@pytest.mark.parametrize(("backend", "least"), [("database", 4000), ("file", 1000)])
def test_s_61_throughput(backend: str, least: int, quick: Path) -> None:
    """Create, load, save and delete: of the order of 4,000 operations a second, and 1,000.

    The quickest of many short runs counts, by the processor's time, for this machine may have much
    else to do.
    """
    times: list[float] = []
    with SessionService(backend, quick) as service:
        for _ in range(20):
            start = time.process_time()
            for _ in range(5):
                session = session_of(service.new_session("ann", data={"cart": ["tea"], "n": 1}))
                held = session_of(service.get_session(session.session_id()))
                held.get_data().value["n"] += 1
                assert held.save()
                assert service.delete_session(session.session_id())
            times.append((time.process_time() - start) / 20)
    assert 1 / min(times) >= least
