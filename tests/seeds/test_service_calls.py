"""How often each method of the service asks its store, exactly."""

from __future__ import annotations

import pytest

from coatcheck import SessionService
from tests.core.harness import SpyStore
from tests.seeds.services import Place, begun, data_of, done, got, refused

Spied = tuple[SessionService, SpyStore]


@pytest.fixture
def spied(place: Place) -> Spied:
    """A service, and the store behind it that counts."""
    return place.spied()


def test_a_first_session_takes_three_calls(spied: Spied) -> None:
    """A session is admitted, created and confirmed: it is its user's only one."""
    service, spy = spied
    begun(service, data={"cart": [1]})
    assert spy.take() == ["admit", "create", "confirm"]


def test_a_next_session_takes_two_more(spied: Spied) -> None:
    """The former session is ended, and whether others are too many is looked up."""
    service, spy = spied
    begun(service)
    spy.take()
    begun(service)
    assert spy.take() == ["admit", "create", "confirm", "delete", "entries"]


def test_a_session_is_got_and_saved_with_one_call_each(spied: Spied) -> None:
    """Data is read with the session; a save is one update, or one touch where nothing changed."""
    service, spy = spied
    session = begun(service, data={"n": 1})
    spy.take()
    found = got(service, session)
    data_of(found)["n"] = 2
    assert spy.take() == ["get"]
    done(found.save())
    assert spy.take() == ["update"]
    done(found.save())
    assert spy.take() == ["touch"]


def test_what_is_known_is_not_asked_for(spied: Spied) -> None:
    """Data, status and times are those of the object; a forged ID is known for one."""
    service, spy = spied
    session = begun(service)
    spy.take()
    done(session.set_data({"n": 1}))
    done(session.get_data())
    assert session.is_valid()
    assert session.is_dirty()
    assert session.status()["state"] == "active"
    assert session.expires_at() != session.created_at()
    refused(service.get_session("x" * 68), "not found")
    refused(service.get_session(""), "required")
    refused(service.new_session(""), "required")
    done(service.delete_session("x" * 68))
    assert spy.take() == []


def test_a_refresh_reads_twice(spied: Spied) -> None:
    """A session is read once to see whether it is damaged, which ends nothing, then once more."""
    service, spy = spied
    session = begun(service)
    spy.take()
    done(session.refresh())
    assert spy.take() == ["get", "get"]


def test_a_session_that_is_gone_is_looked_for_twice(spied: Spied) -> None:
    """What says why there is no session reads once more, for the message alone."""
    service, spy = spied
    session = begun(service)
    done(service.delete_session(session.session_id()))
    spy.take()
    refused(service.get_session(session.session_id()), "not found")
    assert spy.take() == ["get", "get"]


def test_a_session_ends_with_one_call(spied: Spied) -> None:
    """Its index entry goes with it; one that has ended already takes as much."""
    service, spy = spied
    session = begun(service)
    spy.take()
    for ended in (1, 0):
        assert service.delete_session(session.session_id()).deleted_count == ended
        assert spy.take() == ["delete"]


def test_the_sessions_of_a_user_end_with_one_call_each(spied: Spied) -> None:
    """The user's sessions are listed in the call that revokes them."""
    service, spy = spied
    begun(service)
    spy.take()
    for calls in (["revoke", "delete"], ["revoke"]):
        done(service.delete_user_session("ann"))
        assert spy.take() == calls


def test_a_cleanup_reads_each_session_once(spied: Spied) -> None:
    """What has expired is removed in one batch, and the rest is listed and read."""
    service, spy = spied
    for user in ("ann", "bob"):
        begun(service, user)
    spy.take()
    assert len(service.cleanup_sessions().active) == 2
    assert spy.take() == ["purge", "scan", "get", "get"]
