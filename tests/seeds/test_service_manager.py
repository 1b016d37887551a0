"""S-01 to S-08: how a service is made, and what it never does."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from coatcheck import ConfigurationError, Result, SessionService, StoreError
from coatcheck.store import AsyncSQLiteStore, KeyValueStore, MemoryStore
from coatcheck.testing.clock import ManualClock
from tests.core.harness import raising
from tests.seeds.services import SECRET, Place, begun, data_of, got, lives, refused


@pytest.mark.parametrize(
    ("name", "store"),
    [
        ("database", "SQLiteStore"),
        ("Database", "SQLiteStore"),
        ("file", "FileStore"),
        ("FILE", "FileStore"),
    ],
)
def test_s_01_both_backends_work_in_any_case_of_letters(
    name: str, store: str, tmp_path: Path
) -> None:
    """`database` and `file` keep sessions, however they are spelt."""
    with SessionService(name, tmp_path / "a") as service:
        session = begun(service, data={"cart": []})
        assert session.storage_backend() == store
        assert data_of(got(service, session)) == {"cart": []}


def test_s_02_without_a_backend_it_is_sqlite(tmp_path: Path) -> None:
    """Who names no backend has a SQLite database."""
    with SessionService(storage_dir=tmp_path / "a") as service:
        assert begun(service).storage_backend() == "SQLiteStore"
    assert (tmp_path / "a" / "sessions.db").is_file()


@pytest.mark.parametrize("backend", ["redis", "", "data base", None, 7])
def test_s_03_an_unknown_backend_fails_construction(backend: Any, tmp_path: Path) -> None:
    """The message says what failed, and what there is."""
    with pytest.raises(ConfigurationError, match="Failed to initialize backend") as caught:
        SessionService(backend, tmp_path)
    assert "'database' or 'file'" in str(caught.value)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("a bug")])
def test_s_04_nothing_raises_after_construction(
    place: Place, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the store does, each method fails with a message, and a bug is logged as well."""
    service, spy = place.spied()
    session = begun(service, data={"a": 1})
    session_id = session.session_id()

    def broken(*verbs: str) -> None:
        for verb in verbs:
            spy.before(verb, raising(error))

    def told(result: Result, method: str) -> None:
        refused(result, f"{method}: ")
        assert str(error) in result.message
        assert result.code == ("store" if isinstance(error, StoreError) else "internal")

    broken("admit")
    told(service.new_session("bob"), "new_session")
    broken("get")
    told(service.get_session(session_id), "get_session_info")
    broken("delete")
    told(service.delete_session(session_id), "delete_session")
    broken("revoke")
    told(service.delete_user_session("ann"), "delete_user_session")
    broken("purge")
    told(service.cleanup_sessions(), "cleanup_sessions")
    broken("scan")
    told(service.cleanup_sessions(), "cleanup_sessions")
    broken("touch")
    told(session.save(), "save")
    session.set_data({"a": 2})
    broken("update")
    told(session.save(), "save")
    broken("get")
    told(session.refresh(), "refresh")
    assert (session.is_valid(), session.is_dirty(), data_of(session)) == (True, True, {"a": 2})
    assert session.save()
    assert data_of(got(service, session)) == {"a": 2}
    assert bool(caplog.records) == isinstance(error, RuntimeError)


def test_s_05_a_missing_folder_is_made_and_an_impossible_one_fails(place: Place) -> None:
    """The folder is there afterwards; where none can be, construction says so."""
    place.folder = place.folder / "in" / "here"
    with place.open() as service:
        begun(service)
    assert place.folder.is_dir()
    (place.folder / "plain").write_text("a file")
    place.folder = place.folder / "plain" / "below"
    with pytest.raises(ConfigurationError, match="Failed to initialize backend"):
        place.open()


@pytest.mark.parametrize("storage_dir", ["", "\0", "\ud800", 7, b"bytes"])
def test_a_storage_dir_is_a_path(storage_dir: Any) -> None:
    """Anything else fails construction, with what to write."""
    with pytest.raises(ConfigurationError, match="storage_dir must be a path"):
        SessionService(storage_dir=storage_dir)


def test_s_06_folders_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody else can look into the folder, or at a session in it."""
    with SessionService("file", tmp_path / "a") as service:
        begun(service, data={"private": 1})
    for path in [tmp_path / "a", *(tmp_path / "a").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_s_07_a_second_manager_on_the_folder_sees_the_sessions(place: Place) -> None:
    """What one service keeps, another one opened later or at the same time gets."""
    with place.open() as first:
        session = begun(first, data={"a": 1})
        with place.open() as beside:
            assert data_of(got(beside, session)) == {"a": 1}
    with place.open() as later:
        assert data_of(got(later, session)) == {"a": 1}


def test_s_08_managers_on_different_folders_have_nothing_in_common(
    place: Place, tmp_path: Path
) -> None:
    """A user may hold one session in each folder, and one in each backend of a folder."""
    other = Place(tmp_path / "other", place.backend)
    beside = Place(place.folder, "file" if place.backend == "database" else "database")
    with place.open() as one, other.open() as two, beside.open() as three:
        sessions = [begun(service, "ann", data={"n": 1}) for service in (one, two, three)]
        assert lives(one, sessions[0])
        assert lives(two, sessions[1])
        assert lives(three, sessions[2])
        assert not lives(one, sessions[1])
        assert not lives(one, sessions[2])


def test_options_are_those_of_a_configuration(tmp_path: Path) -> None:
    """One that is unknown or wrong fails construction, and leaves nothing open."""
    options: Any = {"max_sise": 1}
    with pytest.raises(ConfigurationError, match="did you mean max_size"):
        SessionService(storage_dir=tmp_path, **options)
    with pytest.raises(ConfigurationError, match="session_timeout"):
        SessionService(storage_dir=tmp_path, session_timeout=0)
    with pytest.raises(ConfigurationError, match="max_sessions_per_user"):
        SessionService(storage_dir=tmp_path, max_sessions_per_user=0)
    small = SessionService(storage_dir=tmp_path, max_size=20)
    refused(small.new_session("ann", data={"long": "x" * 40}), "max_size is 20")
    small.close()


def test_a_user_may_be_allowed_several_sessions(tmp_path: Path) -> None:
    """Then the oldest one ends for one more."""
    clock = ManualClock()
    with SessionService(storage_dir=tmp_path, max_sessions_per_user=2, clock=clock) as service:
        sessions = [begun(service, data={"n": number}) for number in range(3)]
        assert [lives(service, session) for session in sessions] == [False, True, True]
        assert service.delete_user_session("ann").deleted_count == 2


def test_what_is_closed_fails(place: Place) -> None:
    """A method of a closed service is a failure like any other; closing twice is none."""
    service = place.open()
    session = begun(service)
    service.close()
    service.close()
    refused(service.new_session("ann"), "new_session: ")
    refused(service.get_session(session.session_id()), "get_session_info: ")
    refused(session.save(), "save: ")


class NoIndex(dict[str, str]):
    """A store as simple as can be: `get`, `set` and `delete`."""

    def set(self, key: str, value: str) -> None:
        """Keep a value."""
        self[key] = value

    def delete(self, key: str) -> None:
        """Forget it."""
        self.pop(key, None)


@pytest.mark.filterwarnings("ignore:.*one process")
def test_any_other_store_takes_the_place_of_a_backend(place: Place, tmp_path: Path) -> None:
    """A store, or its URL, with a secret or a folder to keep one in."""
    with pytest.raises(ConfigurationError, match=r"give secret=\.\.\., or storage_dir="):
        SessionService(store="memory://")
    with SessionService(store="memory://", storage_dir=tmp_path / "key") as service:
        assert begun(service).storage_backend() == "MemoryStore"
    assert (tmp_path / "key" / "secret.key").is_file()
    store = place.store()
    with SessionService(store=store, secret=SECRET, clock=place.clock) as service:
        session = begun(service)
    with SessionService(store=store, secret=SECRET, clock=place.clock) as again:
        assert lives(again, session)
    with SessionService(store=store, secret=SECRET[::-1], clock=place.clock) as stranger:
        refused(stranger.get_session(session.session_id()), "under another secret")
    wrong: list[Any] = [7, object(), "no scheme", MemoryStore]
    for no_store in wrong:
        with pytest.raises(ConfigurationError, match="store must be|is a class"):
            SessionService(store=no_store, secret=SECRET)
    awaited: Any = AsyncSQLiteStore(tmp_path / "a.db")
    with pytest.raises(ConfigurationError, match="give the blocking store instead"):
        SessionService(store=awaited, secret=SECRET)
    with pytest.raises(ConfigurationError, match="max_sessions_per_user needs a store with"):
        SessionService(store=KeyValueStore(NoIndex()), secret=SECRET)


def test_namespaces_on_one_folder_do_not_know_each_other(place: Place) -> None:
    """Two programs on one folder, each with sessions of its own; a URL takes the option too."""
    url = f"sqlite:///{place.folder}/shared.db"
    for one, two in (
        (place.open(namespace="shop"), place.open(namespace="game")),
        (
            SessionService(store=url, secret=SECRET, namespace="shop"),
            SessionService(store=url, secret=SECRET, namespace="game"),
        ),
    ):
        session, other = begun(one), begun(two)
        assert lives(one, session)
        assert lives(two, other)
        assert not lives(two, session)
        one.close()
        two.close()


def test_without_a_folder_it_is_that_of_the_user_s_state(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$XDG_STATE_HOME/coatcheck`, if that is an absolute path, else `~/.local/state/coatcheck`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for state, folder in (
        (str(tmp_path / "state"), tmp_path / "state" / "coatcheck"),
        ("relative", tmp_path / "home" / ".local" / "state" / "coatcheck"),
        ("", tmp_path / "home" / ".local" / "state" / "coatcheck"),
    ):
        monkeypatch.setenv("XDG_STATE_HOME", state)
        with SessionService(place.backend) as service:
            assert begun(service)
        assert (folder / "secret.key").is_file()


def test_a_secret_that_is_given_is_not_kept(place: Place) -> None:
    """It is the program's own, and an old one still verifies beside it."""
    with place.open(secret=SECRET) as service:
        session = begun(service)
    assert not (place.folder / "secret.key").exists()
    with place.open(secret=SECRET[::-1], old_secrets=[SECRET]) as rotated:
        again = rotated.get_session(session.session_id()).session
        assert again is not None
        assert again.session_id() != session.session_id()
    with place.open(secret=SECRET[::-1]) as later:
        assert lives(later, again)
        assert not lives(later, session)


def test_a_short_secret_in_the_folder_fails_construction(place: Place) -> None:
    """Nothing of it is shown, and nothing stays open."""
    with place.open():
        pass
    (place.folder / "secret.key").write_text("short")
    with pytest.raises(ConfigurationError, match="has 5 bytes"):
        place.open()


def test_a_result_is_a_frozen_mapping() -> None:
    """Its fields are its keys; the data it holds is not shown."""
    result = Result(success=True, value={"pin": 1234}, active=("a" * 32,))
    assert set(result) >= {"success", "message", "session", "value", "deleted_count", "active"}
    assert {**result} == {name: getattr(result, name) for name in result}
    assert ("value" in result, "pin" in result, len(result)) == (True, False, len(list(result)))
    assert repr(result) == f"Result(success=True, active={result.active!r})"
    assert not Result(success=False, message="why", code="store")
    with pytest.raises(KeyError):
        result["pin"]
    with pytest.raises(AttributeError):
        result.success = False  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
