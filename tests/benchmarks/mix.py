"""The seeds' mix, timed: a thousand sessions are created, loaded, saved and deleted, in any order.

Through `SessionManager` and through `SessionService`, on SQLite and on files where thousands of
others lie already, beside what cannot be done without: the bare statements (each a transaction, in
WAL mode, on a table of keys, times and values) or the bare files (replaced atomically, in 256
folders), and the standard library's JSON. The manager's sessions are anonymous. Those of the
service have a user, who may have one only, so beside it stands what that takes at least: the bare
ones with a row, or a file, that says which it is.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from itertools import count
from random import Random  # noqa: TID251 - an order, and no secret
from statistics import median
from typing import Any, Final, NamedTuple

from coatcheck import Session, SessionManager, SessionService
from tests.benchmarks import timing
from tests.benchmarks.apps import PAYLOAD, SECRET

BUDGET: Final = 15.0
"""Microseconds that an operation may take over the bare one."""
BACKENDS: Final = {"sqlite": "database", "file": "file"}
SESSIONS: Final = 1_000
STANDING: Final = 5_000
"""How many sessions there are besides those that are timed."""

LIFETIME: Final = 86_400.0
_DICE: Final = Random(4)
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Way(NamedTuple):
    """One way to keep sessions; what `create` and `load` return is what the next one takes."""

    create: Callable[[], Any]
    load: Callable[[Any], Any]
    save: Callable[[Any], object]
    delete: Callable[[Any], object]

    def play(self) -> float:
        """Return the seconds that an operation took, in a round of all four."""
        start = timing.clock()
        known = [self.create() for _ in range(SESSIONS)]
        seconds = timing.clock() - start
        for work in (self.load, self.save, self.delete):
            _DICE.shuffle(known)
            start = timing.clock()
            known = [work(each) or each for each in known]
            seconds += timing.clock() - start
        return seconds / (4 * SESSIONS)


def bare_statements(path: str, *, users: bool) -> Way:
    """Return the four statements; and those about the one session of a user."""
    connection = sqlite3.connect(path, isolation_level=None)
    execute = connection.execute
    execute("PRAGMA journal_mode = WAL").fetchall()
    execute("PRAGMA synchronous = NORMAL")
    execute("CREATE TABLE sessions (key TEXT PRIMARY KEY, ends REAL, data BLOB) WITHOUT ROWID")
    execute("CREATE TABLE users (user TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID")
    numbers = count()

    def create() -> tuple[str, str]:
        key, user = os.urandom(16).hex(), f"user{next(numbers)}"
        if users:
            execute("BEGIN IMMEDIATE")
            execute("SELECT key FROM users WHERE user = ?", (user,)).fetchall()
            execute("INSERT INTO users VALUES (?, ?)", (user, key))
        values = (key, timing.clock() + LIFETIME, _encode(PAYLOAD))
        execute("INSERT INTO sessions VALUES (?, ?, ?)", values)
        if users:
            execute("COMMIT")
        return key, user

    def load(known: tuple[str, str]) -> None:
        query = "SELECT data FROM sessions WHERE key = ? AND ends > ?"
        json.loads(execute(query, (known[0], timing.clock())).fetchone()[0])

    def save(known: tuple[str, str]) -> None:
        values = (timing.clock() + LIFETIME, _encode({**PAYLOAD, "seen": 1.0}), known[0])
        execute("UPDATE sessions SET ends = ?, data = ? WHERE key = ?", values)

    def delete(known: tuple[str, str]) -> None:
        if users:
            execute("BEGIN IMMEDIATE")
            execute("DELETE FROM users WHERE user = ?", (known[1],))
        execute("DELETE FROM sessions WHERE key = ?", (known[0],))
        if users:
            execute("COMMIT")

    return Way(create, load, save, delete)


def bare_files(root: str, *, users: bool) -> Way:
    """Return the four operations on a file; and those on one that says which session a user has."""
    for number in range(256):
        os.makedirs(f"{root}/{number:02x}")
    os.mkdir(f"{root}/users")
    numbers = count()

    def put(path: str, text: str) -> None:
        new = f"{path}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, text.encode())
        os.close(descriptor)
        os.replace(new, path)

    def create() -> tuple[str, str]:
        key = os.urandom(16).hex()
        path, user = f"{root}/{key[:2]}/{key}", f"{root}/users/{next(numbers)}"
        if users:
            put(user, key)
        put(path, _encode(PAYLOAD))
        return path, user

    def load(known: tuple[str, str]) -> None:
        descriptor = os.open(known[0], os.O_RDONLY)
        json.loads(os.read(descriptor, 16_384))
        os.close(descriptor)

    def save(known: tuple[str, str]) -> None:
        put(known[0], _encode({**PAYLOAD, "seen": 1.0}))

    def delete(known: tuple[str, str]) -> None:
        os.unlink(known[0])
        if users:
            os.unlink(known[1])

    return Way(create, load, save, delete)


def through_manager(url: str) -> Way:
    """Return the four operations of a `SessionManager`."""
    manager = SessionManager(secret=SECRET, store=url)

    def create() -> str:
        return manager.create(data=PAYLOAD).id or ""

    def load(session_id: str) -> Session:
        found = manager.open(session_id)
        if not isinstance(found, Session) or found["seen"] is None:
            raise RuntimeError("a session was lost")
        return found

    def save(session: Session) -> None:
        session["seen"] = 1.0
        manager.save(session)

    def delete(session: Session) -> None:
        manager.delete(session.handle)

    return Way(create, load, save, delete)


def through_service(backend: str, folder: str) -> Way:
    """Return the four operations of a `SessionService`."""
    sessions = SessionService(backend, folder)
    numbers = count()

    def create() -> str:
        made = sessions.new_session(f"user{next(numbers)}", data=PAYLOAD).session
        if made is None:
            raise RuntimeError("a session was not begun")
        return made.session_id()

    def load(session_id: str) -> Any:
        found = sessions.get_session(session_id).session
        if found is None:
            raise RuntimeError("a session was lost")
        return found

    def save(session: Any) -> None:
        session.get_data().value["seen"] = 1.0
        if not session.save():
            raise RuntimeError("a session was not saved")

    def delete(session: Any) -> None:
        if not sessions.delete_session(session.session_id()):
            raise RuntimeError("a session was not deleted")

    return Way(create, load, save, delete)


def measure_mix(rounds: int, stores: Iterable[str], folder: str) -> dict[tuple[str, str], float]:
    """Return the median seconds of an operation, by store and by what it goes through."""
    ways: dict[tuple[str, str], Way] = {}
    for store in stores:
        if store not in BACKENDS:
            continue
        own = f"{folder}/mix-{store}"
        url = f"file://{own}-manager" if store == "file" else f"sqlite:///{own}-manager.db"
        bare = bare_files if store == "file" else bare_statements
        ways[store, "bare"] = bare(f"{own}-bare", users=False)
        ways[store, "SessionManager"] = through_manager(url)
        ways[store, "bare, one a user"] = bare(f"{own}-bare-users", users=True)
        ways[store, "SessionService"] = through_service(BACKENDS[store], f"{own}-service")
    for way in ways.values():
        for _ in range(STANDING):
            way.create()
    samples: dict[tuple[str, str], list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(way.play())
    return {name: median(values) for name, values in samples.items()}


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
