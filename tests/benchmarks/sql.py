"""What a session adds to a request on PostgreSQL and MariaDB, beside bare calls of the driver.

A read is to be compared with one SELECT by the primary key, a write with that and one UPDATE, a new
session with one INSERT: over one connection, each statement a transaction of its own, with the
drivers that the stores use. The servers write nothing to a disk, so what a disk takes for a commit
is in neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import asyncmy
import psycopg
import pymysql

from coatcheck import SessionManager
from coatcheck.store.sql import SQLStore
from tests.benchmarks import timing
from tests.benchmarks.apps import ADAPTERS, PAYLOAD, SECRET
from tests.benchmarks.timing import medians
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

ROUNDS: Final = 9
TABLE: Final = "coatcheck_sessions"
FRONTS: Final = ("wsgi", "asgi", "flask")
PATHS: Final = {"read": ("/read", True), "write": ("/write", True), "new": ("/new", False)}
_WHERE: Final = "WHERE namespace = 'coatcheck' AND {key} = %s"
_SELECT: Final = "SELECT version, expires_at, user_id, payload FROM " + TABLE + " " + _WHERE
_UPDATE: Final = "UPDATE " + TABLE + " SET version = version + 1, payload = %s " + _WHERE
_INSERT: Final = "INSERT INTO " + TABLE + " VALUES ('coatcheck', %s, 1, 4e9, NULL, %s)"

_asyncmy: Final[Any] = asyncmy
_pymysql: Final[Any] = pymysql


class Bare:
    """Statements on one record, by a blocking connection of the driver."""

    def __init__(self, connection: Any, record: tuple[str, bytes], quoted: str) -> None:
        self.connection = connection
        self.key, self.payload = record
        self.texts = [text.replace("{key}", quoted) for text in (_SELECT, _UPDATE, _INSERT)]
        self.number = 0

    def statements(self, request: str) -> list[tuple[str, tuple[object, ...]]]:
        """Return what a request of that kind cannot do without."""
        self.number += 1
        select, update, insert = self.texts
        fresh = self.payload[:-4] + self.number.to_bytes(4, "big")
        read = (select, (self.key,))
        if request == "new":
            return [(insert, (f"{id(self):016x}{self.number:016x}", self.payload))]
        return [read] if request == "read" else [read, (update, (fresh, self.key))]

    def run(self, request: str, times: int) -> float:
        """Do what that many requests need; return the seconds."""

        def work() -> None:
            with self.connection.cursor() as cursor:
                for statement, values in self.statements(request):
                    cursor.execute(statement, values)
                    if statement is self.texts[0]:
                        cursor.fetchall()

        return _timed(work, times)


class AwaitedBare(Bare):
    """The same, awaited."""

    def __init__(
        self, connect: Callable[[], Awaitable[Any]], record: tuple[str, bytes], quoted: str
    ) -> None:
        self.loop = asyncio.new_event_loop()
        super().__init__(self.loop.run_until_complete(_await(connect())), record, quoted)

    async def _repeat(self, request: str, times: int) -> float:
        start = _clock()
        for _ in range(times):
            async with self.connection.cursor() as cursor:
                for statement, values in self.statements(request):
                    await cursor.execute(statement, values)
                    if statement is self.texts[0]:
                        await cursor.fetchall()
        return _clock() - start

    def run(self, request: str, times: int) -> float:
        """See `Bare.run`."""
        return self.loop.run_until_complete(self._repeat(request, times))


async def _await(connecting: Awaitable[Any]) -> Any:
    return await connecting


def _clock() -> float:
    return timing.clock()


def _timed(work: Callable[[], object], times: int) -> float:
    start = _clock()
    for _ in range(times):
        work()
    return _clock() - start


def _record(url: str) -> tuple[str, bytes]:
    store = SQLStore(url, create_tables=True)
    key = SessionManager(secret=SECRET, store=store).create(data={**PAYLOAD, "n": 1}).handle
    found = store.get(key)
    store.close()
    if found is None:
        raise RuntimeError("the store lost a record")
    return key, found.payload


def _bares(name: str, server: Any) -> dict[str, Bare]:
    """Return the bare drivers of a server, blocking and awaited, each with a record of its own."""
    if name == "postgresql":
        place = f"host={server.folder} user=postgres"

        def connect() -> Awaitable[Any]:
            return psycopg.AsyncConnection.connect(place, autocommit=True)

        blocking = psycopg.connect(place, autocommit=True)
        blocking.prepare_threshold = 1
        return {
            "blocking": Bare(blocking, _record(server.url), "key"),
            "awaited": AwaitedBare(connect, _record(server.url), "key"),
        }
    options = {"host": "127.0.0.1", "port": server.port, "user": "tester", "password": "secret"}
    options |= {"database": "test", "autocommit": True}
    return {
        "blocking": Bare(_pymysql.connect(**options), _record(server.url), "`key`"),
        "awaited": AwaitedBare(
            lambda: _await(_asyncmy.connect(**options)), _record(server.url), "`key`"
        ),
    }


def measure_sql(name: str, server: Any) -> dict[tuple[str, str], float]:
    """Return the median seconds of each request, by who does it."""
    plan: dict[tuple[str, str], Callable[[int], float]] = {}
    for way, bare in _bares(name, server).items():
        for request in PATHS:
            plan[way, request] = partial(bare.run, request)
    for front in FRONTS:
        for url in (None, server.url):
            target = ADAPTERS[front](url)
            cookie = "session=" + "x" * 68
            if url:
                headers = {key.lower(): value for key, value in target.ask("/new", None)}
                cookie = headers["set-cookie"].partition(";")[0]
            for request, (path, known) in PATHS.items():
                who = front if url else f"{front} without"
                plan[who, request] = partial(target.time, path, cookie if known else None)
    return medians(plan, ROUNDS)


def show_sql(names: list[str]) -> None:
    """Measure and print what requests add, and how many times the bare calls that is."""
    for name in names:
        if name not in ("postgresql", "mariadb"):
            continue
        server = PostgreSQL() if name == "postgresql" else MariaDB()
        results = measure_sql(name, server)
        print(f"\n{name}: us added by the session (times the bare driver's calls)")
        for front in FRONTS:
            way = "awaited" if front == "asgi" else "blocking"
            cells: list[str] = []
            for request in PATHS:
                added = (results[front, request] - results[f"{front} without", request]) * 1e6
                bare = results[way, request] * 1e6
                cells.append(f"{request} {added:.0f} ({added / bare:.2f} x {bare:.0f})")
            print(f"  {front:6} {', '.join(cells)}", flush=True)
        server.remove()
