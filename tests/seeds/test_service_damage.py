"""Damaged records, and files that are somebody else's: told, with what to do, and left alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck import ConfigurationError, ServiceSession, SessionService
from tests.seeds.services import Place, begun, data_of, done, got, lives, refused


def damage(place: Place, session: ServiceSession, payload: Callable[[bytes], bytes]) -> None:
    """Change what is stored of the session behind the service's back."""
    if place.backend == "database":
        connection = sqlite3.connect(place.folder / "sessions.db")
        ((stored,),) = connection.execute(
            "SELECT payload FROM sessions WHERE key = ?", (session.handle(),)
        ).fetchall()
        with connection:
            connection.execute(
                "UPDATE sessions SET payload = ? WHERE key = ?",
                (payload(stored), session.handle()),
            )
        connection.close()
    else:
        (path,) = [path for path in place.folder.rglob(session.handle()) if path.is_file()]
        header, _, stored = path.read_bytes().partition(b"\n")
        path.write_bytes(header + b"\n" + payload(stored))


DAMAGE: list[Callable[[bytes], bytes]] = [
    lambda old: old[:-1] + b"?",
    lambda old: old[:0],
    lambda _: b"{}",
    bytes.upper,
]


@pytest.mark.parametrize("payload", DAMAGE)
def test_a_damaged_session_is_a_failure_and_can_be_ended(
    service: SessionService, place: Place, payload: Callable[[bytes], bytes]
) -> None:
    """Whatever was done to it, whether or not somebody holds it; others are unharmed."""
    session, other = begun(service, "ann", data={"a": 1}), begun(service, "bob", data={"b": 1})
    held = got(service, session)
    damage(place, session, payload)
    result = refused(service.get_session(session.session_id()), "get_session_info: ")
    assert "end it with delete_session()" in result.message
    assert result.code == "damaged"
    assert service.cleanup_sessions().damaged == (session.handle(),)
    assert data_of(held) == {"a": 1}
    assert refused(held.refresh(), "end it with delete_session()").code == "damaged"
    assert (held.is_active(), data_of(held)) == (True, {"a": 1})
    assert data_of(got(service, other)) == {"b": 1}
    done(service.delete_session(session.session_id()))
    assert service.cleanup_sessions().damaged == ()
    assert data_of(begun(service, "ann", data={"a": 2})) == {"a": 2}
    assert lives(service, other)


def test_a_user_with_a_damaged_session_can_begin_another(
    service: SessionService, place: Place
) -> None:
    """And the damaged one goes, as any former session does."""
    session = begun(service, "ann", data={"a": 1})
    damage(place, session, lambda old: old[:-1] + b"?")
    again = begun(service, "ann")
    result = service.cleanup_sessions()
    assert (result.active, result.damaged) == ((again.handle(),), ())


# Other people's files


@pytest.mark.parametrize("kind", ["database", "text", "folder", "newer"])
def test_a_database_that_is_not_ours_fails_construction(kind: str, tmp_path: Path) -> None:
    """It says what to do, and leaves the file as it was."""
    path = tmp_path / "sessions.db"
    if kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "text":
        path.write_text("my diary\n" * 100)
    elif kind == "newer":
        SessionService(storage_dir=tmp_path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
    else:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("CREATE TABLE sessions (id TEXT)")
        connection.close()
    if kind != "folder":
        path.chmod(0o600)
    before = None if kind == "folder" else path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"Failed to initialize backend: .*name") as error:
        SessionService(storage_dir=tmp_path)
    assert str(path) in str(error.value)
    assert before is None or path.read_bytes() == before


def test_a_database_that_is_replaced_while_it_is_open_is_a_failure(tmp_path: Path) -> None:
    """By one that is not ours, or by none; put back, it goes on as if nothing had happened."""
    place = Place(tmp_path, "database")
    path, aside = tmp_path / "sessions.db", tmp_path / "aside"
    with place.open() as service:
        session = begun(service, data={"a": 1})
        session.set_data({"a": 2})
        for content in (None, b"my diary\n" * 100):
            aside.mkdir()
            for file in tmp_path.glob("sessions.db*"):
                file.rename(aside / file.name)
            if content is not None:
                path.write_bytes(content)
                path.chmod(0o600)
            place.clock.advance(2)
            for result in (
                service.new_session("bob"),
                service.get_session(session.session_id()),
                service.delete_session(session.session_id()),
                service.delete_user_session("ann"),
                service.cleanup_sessions(),
                session.save(),
                session.refresh(),
            ):
                assert refused(result, "sessions.db").code in ("store", "damaged")
            assert data_of(session) == {"a": 2}
            path.unlink(missing_ok=True)
            for file in aside.iterdir():
                os.replace(file, tmp_path / file.name)
            aside.rmdir()
            place.clock.advance(2)
            assert data_of(got(service, session)) == {"a": 1}
        done(session.save())
        assert data_of(got(service, session)) == {"a": 2}
