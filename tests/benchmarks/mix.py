"""The seeds' mix, timed: create, load, save and delete a session, one after the other.

Through `SessionManager` and through `SessionService`, on SQLite and on files, beside what cannot be
done without: the bare statements (one INSERT, SELECT, UPDATE and DELETE, each a transaction, in WAL
mode) or the bare files (two atomic replacements, a read and an unlink) with a record as ours. The
manager's sessions are anonymous. Those of the service have a user, who may have one only, so beside
it stands what that takes at least: the bare ones with a row, or a file, that says which it is. All
have been in use for a while before they are timed: a file store then has made nearly all of its 256
folders, each with a lock, as it does once and for all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final

from coatcheck import Session, SessionManager, SessionService, open_store
from tests.benchmarks.apps import PAYLOAD, SECRET
from tests.benchmarks.timing import medians, timed

BUDGET: Final = 15.0
"""Microseconds that an operation may take over the bare one."""
OPERATIONS: Final = 4
BACKENDS: Final = {"sqlite": "database", "file": "file"}

WARM_UP: Final = 1_000
"""How often each goes round before it is timed: 98 in 100 folders are there by then."""

Cycle = Callable[[], object]


def bare_statements(path: str, payload: bytes, *, users: bool) -> Cycle:
    """Return the four statements, on a table as the store's; and those about a user's session."""
    connection = sqlite3.connect(path, isolation_level=None)
    execute = connection.cursor().execute
    execute("PRAGMA journal_mode = WAL").fetchall()
    execute("PRAGMA synchronous = NORMAL")
    execute(
        "CREATE TABLE sessions (namespace TEXT NOT NULL, key TEXT NOT NULL, version INTEGER,"
        " expires_at REAL, user_id TEXT, payload BLOB, PRIMARY KEY (namespace, key)) WITHOUT ROWID"
    )
    execute("CREATE TABLE users (user_id TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID")
    changed = payload[:-1] + b"?"

    def cycle() -> None:
        key = os.urandom(16).hex()
        if users:
            execute("BEGIN IMMEDIATE")
            execute("SELECT key FROM users WHERE user_id = 'user'").fetchall()
            execute("INSERT INTO users VALUES ('user', ?)", (key,))
        execute("INSERT INTO sessions VALUES ('n', ?, 1, 2e9, NULL, ?)", (key, payload))
        if users:
            execute("COMMIT")
        execute("SELECT * FROM sessions WHERE namespace = 'n' AND key = ?", (key,)).fetchall()
        execute(
            "UPDATE sessions SET version = 2, expires_at = 3e9, payload = ?"
            " WHERE namespace = 'n' AND key = ? AND version = 1",
            (changed, key),
        )
        if users:
            execute("BEGIN IMMEDIATE")
            execute("DELETE FROM users WHERE user_id = 'user' AND key = ?", (key,))
        execute("DELETE FROM sessions WHERE namespace = 'n' AND key = ?", (key,))
        if users:
            execute("COMMIT")

    return cycle


def bare_files(folder: str, payload: bytes, *, users: bool) -> Cycle:
    """Return the four operations on a file of its own, changed as a whole or not at all.

    And those on a file that says which session a user has.
    """
    os.mkdir(folder)
    directory = os.open(folder, os.O_RDONLY)
    changed = payload[:-1] + b"?"

    def put(key: str, data: bytes) -> None:
        descriptor = os.open("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
        os.write(descriptor, data)
        os.close(descriptor)
        os.replace("new", key, src_dir_fd=directory, dst_dir_fd=directory)

    def cycle() -> None:
        key = os.urandom(16).hex()
        if users:
            put("user", key.encode())
        put(key, payload)
        descriptor = os.open(key, os.O_RDONLY, dir_fd=directory)
        os.read(descriptor, 16_384)
        os.close(descriptor)
        put(key, changed)
        os.unlink(key, dir_fd=directory)
        if users:
            os.unlink("user", dir_fd=directory)

    return cycle


def through_manager(url: str) -> Cycle:
    """Return the four operations of a `SessionManager`."""
    manager = SessionManager(secret=SECRET, store=url)

    def cycle() -> None:
        session = manager.create(data=PAYLOAD)
        found = manager.open(session.id)
        if not isinstance(found, Session):
            raise RuntimeError("a session was lost")
        found["seen"] = 1.0
        manager.save(found)
        manager.delete(found.handle)

    return cycle


def through_service(backend: str, folder: str) -> Cycle:
    """Return the four operations of a `SessionService`."""
    sessions = SessionService(backend, folder)

    def cycle() -> None:
        session = sessions.new_session("user", data=PAYLOAD).session
        found = None if session is None else sessions.get_session(session.session_id()).session
        if found is None:
            raise RuntimeError("a session was lost")
        found.get_data().value["seen"] = 1.0
        if not (found.save() and sessions.delete_session(found.session_id())):
            raise RuntimeError("a session was not saved, or not deleted")

    return cycle


def record(url: str) -> bytes:
    """Return a record as our store keeps it."""
    store = open_store(url)
    manager = SessionManager(secret=SECRET, store=store)
    found = store.get(manager.create(data=PAYLOAD).handle)
    if found is None:
        raise RuntimeError("the store lost a record")
    return found.payload


def measure_mix(rounds: int, stores: list[str], folder: str) -> dict[tuple[str, str], float]:
    """Return the median seconds of an operation, by store and by what it goes through."""
    plan: dict[tuple[str, str], Callable[[int], float]] = {}
    for store in stores:
        if store not in BACKENDS:
            continue
        own = f"{folder}/mix-{store}"
        url = f"file://{own}-manager" if store == "file" else f"sqlite:///{own}-manager.db"
        bare = bare_files if store == "file" else bare_statements
        cycles = {
            "bare": bare(f"{own}-bare", record(url), users=False),
            "SessionManager": through_manager(url),
            "bare, one a user": bare(f"{own}-bare-users", record(url), users=True),
            "SessionService": through_service(BACKENDS[store], f"{own}-service"),
        }
        for way, cycle in cycles.items():
            timed(cycle, WARM_UP)
            plan[store, way] = partial(timed, cycle)
    return {name: seconds / OPERATIONS for name, seconds in medians(plan, rounds).items()}


def show_mix(results: dict[tuple[str, str], float]) -> None:
    """Print the table."""
    print("\nmix of create, load, save, delete    us an operation   over bare   operations/s")
    bare = 0.0
    for (store, way), seconds in results.items():
        over = (seconds - bare) * 1e6
        note = f"{over:.1f}{' !' if over > BUDGET else ''}"
        if way.startswith("bare"):
            bare, note = seconds, ""
        print(f"  {store:8} {way:22} {seconds * 1e6:18.1f} {note:>11} {1 / seconds:14,.0f}")
    print(f"  (! is over the budget of {BUDGET:g} us)")
