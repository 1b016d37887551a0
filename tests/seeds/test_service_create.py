"""S-09 to S-23: what `new_session` begins."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from coatcheck import ServiceSession, SessionService, StoreError
from tests.core.harness import raising
from tests.seeds.services import Place, begun, data_of, done, got, lives, refused, replaced


def test_s_09_new_session_returns_success_and_a_session(service: SessionService) -> None:
    """The result is true, as attribute, as key and by itself, and has the session."""
    result = service.new_session("ann")
    assert result
    assert (result.success, result["success"]) == (True, True)
    assert isinstance(result.session, ServiceSession)
    assert result["session"] is result.session
    assert result.session.user_id() == "ann"


@pytest.mark.parametrize("arguments", [(), (None,), ("",)])
def test_s_10_a_user_id_is_required(service: SessionService, arguments: tuple[Any, ...]) -> None:
    """Without one, or with an empty one, it fails and begins nothing."""
    result = refused(service.new_session(*arguments), "user_id required")
    assert (result.success, result.session, result.code) == (False, None, "argument")
    assert service.cleanup_sessions().active == ()


def test_s_11_the_default_timeout_is_an_hour(service: SessionService, place: Place) -> None:
    """`expires_at == created_at + 3600`, to the instant."""
    session = begun(service)
    assert session.created_at() == place.clock()
    assert session.expires_at() == session.created_at() + 3600


@pytest.mark.parametrize("timeout", [7200, 7200.0, timedelta(hours=2)])
def test_s_12_a_timeout_is_exact(service: SessionService, timeout: Any) -> None:
    """`session_timeout=7200` ends the session two hours after its creation, exactly."""
    session = begun(service, session_timeout=timeout)
    assert session.expires_at() == session.created_at() + 7200
    assert got(service, session).expires_at() == session.created_at() + 7200


def test_s_13_no_timeout_is_the_default_and_zero_is_an_error(
    service: SessionService, place: Place
) -> None:
    """`None` and `""` mean the default, the service's own; 0 and negative numbers fail."""
    for timeout in (None, ""):
        session = begun(service, session_timeout=timeout)
        assert session.expires_at() == session.created_at() + 3600
    wrong: list[Any] = [0, 0.0, -1, -3600, timedelta(0), float("nan"), "7200", "never", True, []]
    for timeout in wrong:
        result = service.new_session("bob", session_timeout=timeout)
        assert "session_timeout must be" in refused(result, "new_session: ").message
    assert service.delete_user_session("bob").deleted_count == 0
    with place.open(session_timeout=60) as short:
        session = begun(short)
        assert session.expires_at() == session.created_at() + 60


def test_s_14_an_indefinite_session_never_expires(service: SessionService, place: Place) -> None:
    """`is_expired()` is false, however much time has passed."""
    session = begun(service, session_timeout="indefinite")
    ordinary = begun(service, "bob", session_timeout=60)
    for _ in range(3):
        assert session.is_expired() is False
        assert session.is_valid() is True
        assert got(service, session).is_expired() is False
        place.clock.advance(10 * 365 * 86_400)
        assert ordinary.is_expired() is True


def test_s_15_an_indefinite_session_says_so(service: SessionService, place: Place) -> None:
    """`expires_at()` is the string `indefinite`, of a service whose default that is too."""
    session = begun(service, session_timeout="indefinite")
    assert session.expires_at() == "indefinite"
    assert got(service, session).expires_at() == "indefinite"
    with place.open(session_timeout="indefinite") as lasting:
        assert begun(lasting).expires_at() == "indefinite"


def test_s_16_initial_data_comes_back_equal(service: SessionService) -> None:
    """What a session begins with is its data, at once and when it is got; the caller's is free."""
    data: dict[str, Any] = {"cart": [], "preferences": {"theme": "dark"}}
    session = begun(service, data=data)
    assert data_of(session) == data
    assert data_of(got(service, session)) == data
    data_of(session)["cart"].append("tea")
    assert data == {"cart": [], "preferences": {"theme": "dark"}}


def test_s_17_without_data_it_is_an_empty_dict(service: SessionService) -> None:
    """`get_data().value == {}`, and so it is stored."""
    session = begun(service)
    assert session.get_data().value == {}
    assert type(session.get_data().value) is dict
    assert data_of(got(service, session)) == {}
    assert begun(service, data={"some": "data"}).get_data().value != {}


def test_s_18_a_new_session_is_active_valid_and_clean(service: SessionService) -> None:
    """Nothing waits to be saved."""
    session = begun(service, data={"a": [1]})
    assert (session.is_active(), session.is_valid(), session.is_dirty()) == (True, True, False)
    assert data_of(session) == {"a": [1]}
    assert session.is_dirty() is False


def test_s_19_ids_are_68_characters_and_never_equal(service: SessionService) -> None:
    """The ID is a signed one, of which the record holds but a hash."""
    ids = [begun(service, f"user{number}").session_id() for number in range(50)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{68}", session_id) for session_id in ids)
    assert len(set(ids)) == 50
    assert len({session_id[4:25] for session_id in ids}) == 50


def test_s_20_a_second_session_of_a_user_ends_the_first(service: SessionService) -> None:
    """The first can no longer be got nor saved, and the second works."""
    first = begun(service, data={"n": 1})
    second = begun(service, data={"n": 2})
    refused(service.get_session(first.session_id()), "get_session_info: ")
    first.set_data({"n": 3})
    refused(first.save(), "save: ")
    replaced(second, {"n": 4})
    assert data_of(got(service, second)) == {"n": 4}
    assert service.cleanup_sessions().active == (second.handle(),)


@pytest.mark.parametrize("step", ["admit", "create", "confirm"])
def test_a_failing_second_session_leaves_the_first_alive(place: Place, step: str) -> None:
    """S-20: whatever fails on the way, the user still has the session from before, and only it."""
    service, spy = place.spied()
    first = begun(service, data={"n": 1})
    refused(service.new_session("ann", data={"n": object()}), "data['n'] cannot be stored")
    refused(service.new_session("ann", session_timeout=-1), "session_timeout")
    spy.before(step, raising(StoreError("the disk is full")))
    refused(service.new_session("ann"), "the disk is full")
    assert lives(service, first)
    replaced(first, {"n": 2})
    second = begun(service)
    assert not lives(service, first)
    assert service.cleanup_sessions().active == (second.handle(),)


def test_s_21_the_second_session_has_only_its_own_data(service: SessionService) -> None:
    """Nothing of the first comes along."""
    begun(service, data={"old": 1, "both": 1})
    second = begun(service, data={"both": 2})
    assert data_of(second) == {"both": 2}
    assert data_of(got(service, second)) == {"both": 2}
    assert data_of(begun(service)) == {}


def test_s_22_sessions_of_other_users_are_untouched(service: SessionService) -> None:
    """A session that ends for a newer one is its user's alone."""
    others = {name: begun(service, name, data={"name": name}) for name in ("bob", "0", "ANN", "an")}
    begun(service, "ann")
    begun(service, "ann")
    for name, session in others.items():
        assert data_of(got(service, session)) == {"name": name}
        done(session.save())


def test_s_23_an_indefinite_session_beside_a_user_s(service: SessionService, place: Place) -> None:
    """`application_main` with `indefinite` outlives the sessions of users beside it."""
    data = {"metrics": {"requests_processed": 0}, "subsystems": {"database": "connected"}}
    main = begun(service, "application_main", session_timeout="indefinite", data=data)
    user = begun(service, "ann", data={"cart": []})
    data_of(main)["metrics"]["requests_processed"] += 1
    done(main.save())
    place.clock.advance(3600)
    assert not lives(service, user)
    assert data_of(got(service, main))["metrics"] == {"requests_processed": 1}
    assert main.is_valid()
