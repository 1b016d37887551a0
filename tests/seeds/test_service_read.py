"""S-24 to S-40: sessions are got, ended and cleaned up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coatcheck import SessionService
from coatcheck.store.protocol import GARBAGE_AFTER
from tests.seeds.services import Place, begun, data_of, done, got, lives, refused, replaced


def test_s_24_get_session_returns_the_stored_session(service: SessionService) -> None:
    """Its ID is the one that was asked for, and all that is known of it is the same."""
    session = begun(service, "ann", data={"a": 1})
    found = service.get_session(session.session_id()).session
    assert found is not None
    assert found is not session
    assert found.session_id() == session.session_id()
    assert (found.handle(), found.user_id()) == (session.handle(), "ann")
    assert (found.created_at(), found.expires_at()) == (session.created_at(), session.expires_at())
    assert (found.status(), data_of(found)) == (session.status(), {"a": 1})


@pytest.mark.parametrize("arguments", [(), (None,), ("",)])
def test_s_25_get_session_needs_an_id(service: SessionService, arguments: tuple[Any, ...]) -> None:
    """Without one it fails, and says what is missing."""
    result = refused(service.get_session(*arguments), "Session ID required")
    assert (result.session, result.code) == (None, "argument")


def test_s_26_an_unknown_id_is_a_failure(service: SessionService) -> None:
    """The message starts with `get_session_info: `, whatever is wrong with the ID."""
    session = begun(service)
    session_id = session.session_id()
    done(service.delete_session(session_id))
    for unknown in (session_id, session.handle(), "x", "A" * 68, "../../etc/passwd", "\ud800" * 68):
        result = service.get_session(unknown)
        assert refused(result, "not found").message.startswith("get_session_info: ")
        assert (result.session, result.code) == (None, "not-found")
        assert session_id not in result.message


def test_s_27_an_expired_session_is_a_failure(service: SessionService, place: Place) -> None:
    """At its deadline, as later, it is not found."""
    session = begun(service)
    place.clock.advance(3599)
    assert lives(service, session)
    place.clock.advance(1)
    for _ in range(2):
        result = refused(service.get_session(session.session_id()), "expired")
        assert result.code == "not-found"
        place.clock.advance(10_000)


def test_s_28_get_session_neither_writes_nor_extends_the_expiry(place: Place) -> None:
    """It costs one look into the store, and the deadline stays where it was."""
    service, spy = place.spied()
    session = begun(service, data={"a": [1]})
    ends = session.expires_at()
    spy.take()
    place.clock.advance(3000)
    for _ in range(3):
        found = got(service, session)
        assert data_of(found) == {"a": [1]}
        assert found.expires_at() == ends
    assert spy.take() == ["get"] * 3
    place.clock.advance(600)
    assert not lives(service, session)


def test_s_29_two_gets_give_independent_objects(service: SessionService) -> None:
    """What one has not saved, the other does not see; what it saved, a refresh brings."""
    session = begun(service, data={"nested": {"n": 1}})
    one, two = got(service, session), got(service, session)
    data_of(one)["nested"]["n"] = 2
    one.set_data({"nested": {"n": 3}})
    assert data_of(two) == {"nested": {"n": 1}}
    assert (one.is_dirty(), two.is_dirty()) == (True, False)
    done(one.save())
    assert data_of(two) == {"nested": {"n": 1}}
    done(two.refresh())
    assert data_of(two) == {"nested": {"n": 3}}


def test_s_30_values_survive_save_and_get(service: SessionService) -> None:
    """Strings, numbers, lists and nested dicts come back equal, and of their types."""
    data: dict[str, Any] = {
        "string": "Grüße \u2603 \U0001f9e5 \x00",
        "empty": "",
        "int": -(2**63),
        "huge": 10**40,
        "float": 0.1,
        "bools": [True, False, None],
        "list": [1, "two", 3.0, [4, [5]]],
        "dict": {"a": {"b": {"c": [{"d": {}}]}}},
        "": {"key": "empty"},
        "tuple": (1, (2, {3})),
        "bytes": b"\xff\x00",
    }
    session = begun(service)
    replaced(session, data)
    found = data_of(got(service, session))
    assert found == data
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in data.items()
    }


def test_s_31_delete_session_ends_it(service: SessionService) -> None:
    """A later get fails, and so does a save of who still holds it."""
    session, other = begun(service, "ann"), begun(service, "bob")
    result = done(service.delete_session(session.session_id()))
    assert (result.deleted_count, result.message != "") == (1, True)
    refused(service.get_session(session.session_id()), "get_session_info: ")
    refused(session.save(), "save: ")
    assert lives(service, other)
    assert service.delete_user_session("ann").deleted_count == 0


def test_s_32_deleting_an_absent_id_is_a_success(service: SessionService) -> None:
    """Of one that has ended, of one that never was, and of what is no ID at all."""
    session, other = begun(service, "ann"), begun(service, "bob")
    for absent in (session.session_id(), session.session_id(), "x", other.handle()):
        assert done(service.delete_session(absent)).message
    assert service.delete_session(session.session_id()).deleted_count == 0
    assert lives(service, other)


@pytest.mark.parametrize("arguments", [(), (None,), ("",)])
def test_s_33_delete_session_needs_an_id(
    service: SessionService, arguments: tuple[Any, ...]
) -> None:
    """Without one it fails, and ends nothing."""
    session = begun(service)
    refused(service.delete_session(*arguments), "Session ID required")
    assert lives(service, session)


def test_s_34_delete_user_session_counts(service: SessionService) -> None:
    """It ends the user's session, and says that it was one."""
    session, other = begun(service, "ann"), begun(service, "bob")
    assert done(service.delete_user_session("ann")).deleted_count == 1
    assert not lives(service, session)
    assert lives(service, other)


def test_s_35_an_unknown_user_has_no_sessions(service: SessionService) -> None:
    """That is a success with a count of 0; no user at all is a failure."""
    session = begun(service)
    result = done(service.delete_user_session("nobody"))
    assert (result.deleted_count, result["deleted_count"]) == (0, 0)
    for arguments in ((), (None,), ("",)):
        refused(service.delete_user_session(*arguments), "user_id required")
    assert lives(service, session)


def test_s_36_cleanup_counts_what_it_removed(service: SessionService, place: Place) -> None:
    """What expired two minutes ago or earlier is removed, and counted once."""
    for number in range(3):
        begun(service, f"user{number}", session_timeout=60)
    live = begun(service, "ann", session_timeout=3600)
    place.clock.advance(60 + GARBAGE_AFTER)
    assert done(service.cleanup_sessions()).deleted_count == 3
    assert done(service.cleanup_sessions()).deleted_count == 0
    assert lives(service, live)


def test_s_37_without_expired_sessions_nothing_goes(service: SessionService, place: Place) -> None:
    """The count is 0, and every session is still there."""
    assert service.cleanup_sessions().deleted_count == 0
    sessions = [begun(service, f"user{number}") for number in range(4)]
    place.clock.advance(3599)
    assert done(service.cleanup_sessions()).deleted_count == 0
    assert all(lives(service, session) for session in sessions)
    assert len(service.cleanup_sessions().active) == 4


def test_s_38_cleanup_never_removes_indefinite_sessions(
    service: SessionService, place: Place
) -> None:
    """However old they are."""
    session = begun(service, "main", session_timeout="indefinite", data={"a": 1})
    begun(service, "ann")
    place.clock.advance(50 * 365 * 86_400)
    assert done(service.cleanup_sessions()).deleted_count == 1
    assert data_of(got(service, session)) == {"a": 1}


def test_s_39_cleanup_lists_the_handles_of_what_lives(
    service: SessionService, place: Place
) -> None:
    """`active` has them all, no ID among them; `find` and `revoke` accept them."""
    begun(service, "late", session_timeout=60)
    sessions = [begun(service, f"user{number}", data={"n": number}) for number in range(5)]
    replaced_one = service.manager.open(sessions[0].session_id())
    assert replaced_one is not None
    replaced_one.regenerate()
    replaced_one.save()
    handles = {session.handle() for session in sessions[1:]} | {replaced_one.handle}
    for wait in (60, GARBAGE_AFTER):
        place.clock.advance(wait)
        active = done(service.cleanup_sessions()).active
        assert len(active) == 5
        assert set(active) == handles
    found = service.manager.find(sessions[3].handle())
    assert found is not None
    assert found["n"] == 3
    assert service.manager.revoke(sessions[3].handle())
    assert len(service.cleanup_sessions().active) == 4


def test_s_40_cleanup_leaves_alone_what_is_not_ours(tmp_path: Path) -> None:
    """Other files stay; damaged sessions are reported and stay; ours go when they are expired."""
    place = Place(tmp_path / "a", "file")
    with place.open() as service:
        expired = begun(service, "expired", session_timeout=60)
        cut, torn = begun(service, "cut"), begun(service, "torn")
        live = begun(service, "live")
        (folder,) = {path.parent.parent for path in place.folder.rglob(live.handle())}
        files = {
            session.handle(): folder / session.handle()[:2] / session.handle()
            for session in (expired, cut, torn, live)
        }
        cut_file, torn_file = files[cut.handle()], files[torn.handle()]
        cut_file.write_bytes(cut_file.read_bytes()[:-3])
        torn_file.write_bytes(b"")
        foreign = [
            place.folder / "README",
            place.folder / "sessions.db-journal",
            folder / "notes.txt",
            folder / live.handle()[:2] / "session.json",
            folder / live.handle()[:2] / "README",
        ]
        for path in foreign:
            path.write_text("not a session")
        place.clock.advance(60 + GARBAGE_AFTER)
        result = done(service.cleanup_sessions())
    assert result.deleted_count == 1
    assert result.active == (live.handle(),)
    assert set(result.damaged) == {cut.handle(), torn.handle()}
    assert "2 sessions cannot be read" in result.message
    assert not files[expired.handle()].exists()
    assert all(path.exists() for path in [cut_file, torn_file, files[live.handle()], *foreign])
    assert json.loads(files[live.handle()].read_text().splitlines()[-1]) == {}
