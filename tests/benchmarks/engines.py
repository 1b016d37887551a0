"""The engines that are measured at size: asked for what they hold, and filled past their stores.

A store makes records one by one, as requests come, which for a million takes an hour on some
engines. What `fill` leaves behind is what the store would have left: a test reads it through the
store. Keys are the MD5 of a number, so they lie as scattered as handles do, and every engine can
compute them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from coatcheck.store.file import FileStore
from coatcheck.store.memory import MemoryStore
from coatcheck.store.redis import RedisStore, records
from coatcheck.store.sql import SQLStore
from coatcheck.store.sqlite import SQLiteStore
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Server

FUTURE: Final = 4e9
"""A deadline that no run comes to, in seconds since the epoch."""
PAST: Final = 1e9
NAMESPACE: Final = "coatcheck"
_INODE: Final = 256
"""What ext4 keeps for a file beside its blocks."""
_BATCH: Final = 5000
_DAY: Final = 86_400_000
"""Milliseconds."""


def key_of(number: int) -> str:
    """Return the key of the record with that number."""
    return hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()


def user_of(number: int) -> str:
    """Return whose that record is, where records have users: each has one of its own."""
    return f"user-{number:09}"


class Engine:
    """A place with several tables of sessions, each with a store of its own."""

    name: str

    def store(self, table: str) -> Any:
        """Return the store of a table, which is made if it is not there."""
        raise NotImplementedError

    def fill(
        self, table: str, count: int, payload: bytes, *, users: bool = False, lapsed: bool = False
    ) -> None:
        """Make the records 0 to `count` - 1; with users, or each second one expired long ago."""
        raise NotImplementedError

    def size(self, table: str) -> int:
        """Return the bytes that a table takes, with all its indexes."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove everything."""


def _deadline(number: int, lapsed: bool) -> float:
    return PAST if lapsed and number % 2 else FUTURE


class _Made(Engine):
    """An engine that is quick enough to be filled through its store."""

    def fill(
        self, table: str, count: int, payload: bytes, *, users: bool = False, lapsed: bool = False
    ) -> None:
        """See `Engine.fill`."""
        store = self.store(table)
        for number in range(count):
            key, user = key_of(number), user_of(number) if users else None
            if user is not None:
                store.admit(user, key, limit=None, evict=False)
            # A copy, as each request would bring.
            own = bytes(memoryview(payload))
            store.create(key, own, expires_at=_deadline(number, lapsed), user_id=user)


class Memory(_Made):
    """Dictionaries; their size is what Python has allocated since the first table was made."""

    name = "memory"

    def __init__(self, *, traced: bool = False) -> None:
        self._stores: dict[str, MemoryStore] = {}
        self._traced = traced
        if traced:
            tracemalloc.start()

    def store(self, table: str) -> Any:
        """See `Engine.store`."""
        if table not in self._stores:
            self._stores[table] = MemoryStore(max_sessions=10**7, max_bytes=10**11)
        return self._stores[table]

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        return tracemalloc.get_traced_memory()[0]

    def close(self) -> None:
        """See `Engine.close`."""
        self._stores.clear()
        if self._traced:
            tracemalloc.stop()


class File(_Made):
    """Files; their size is that of blocks and inodes, not of the few hundred folders."""

    name = "file"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._stores: dict[str, FileStore] = {}

    def store(self, table: str) -> Any:
        """See `Engine.store`."""
        if table not in self._stores:
            self._stores[table] = FileStore(f"{self.folder}/{table}")
        return self._stores[table]

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        total = 0
        for folder, _, names in os.walk(f"{self.folder}/{table}"):
            for name in names:
                total += os.lstat(f"{folder}/{name}").st_blocks * 512 + _INODE
        return total

    def close(self) -> None:
        """See `Engine.close`."""
        for store in self._stores.values():
            store.close()


class SQLite(Engine):
    """A database for each table."""

    name = "SQLite"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._stores: dict[str, SQLiteStore] = {}

    def store(self, table: str) -> Any:
        """See `Engine.store`."""
        if table not in self._stores:
            self._stores[table] = store = SQLiteStore(f"{self.folder}/{table}.db")
            store.get(key_of(0))
        return self._stores[table]

    def _connect(self, table: str) -> closing[sqlite3.Connection]:
        self.store(table)
        return closing(sqlite3.connect(f"{self.folder}/{table}.db", isolation_level=None))

    def fill(
        self, table: str, count: int, payload: bytes, *, users: bool = False, lapsed: bool = False
    ) -> None:
        """See `Engine.fill`."""
        rows = (
            (key_of(n), _deadline(n, lapsed), user_of(n) if users else None, payload)
            for n in range(count)
        )
        with self._connect(table) as connection:
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO sessions VALUES ('{NAMESPACE}', ?, 1, ?, ?, ?)", rows
            )
            if users:
                entries = [(user_of(n), key_of(n), n) for n in range(count)]
                connection.executemany(
                    f"INSERT INTO user_sessions VALUES ('{NAMESPACE}', ?, ?, ?, 1.5e9, 0, NULL)",
                    entries,
                )
                connection.executemany(
                    f"INSERT INTO users VALUES ('{NAMESPACE}', ?, ?)",
                    ((user, n) for user, _, n in entries),
                )
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        with self._connect(table) as connection:
            ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
            ((page,),) = connection.execute("PRAGMA page_size").fetchall()
            return int(pages) * int(page)

    def close(self) -> None:
        """See `Engine.close`."""
        for store in self._stores.values():
            store.close()


class Redis(Engine):
    """A database of one server for each table; the size is the memory that the server uses."""

    name = "Redis"

    def __init__(self, server: Server) -> None:
        self.server = server
        self._stores: dict[str, RedisStore] = {}

    def store(self, table: str) -> Any:
        """See `Engine.store`."""
        if table not in self._stores:
            self._stores[table] = RedisStore(f"{self.server.url}/{len(self._stores)}", timeout=60)
            self.server.ask("FLUSHDB", db=len(self._stores) - 1)
        return self._stores[table]

    def fill(
        self, table: str, count: int, payload: bytes, *, users: bool = False, lapsed: bool = False
    ) -> None:
        """See `Engine.fill`; the server removes what has lapsed a little later, bit by bit."""
        link = self.store(table)._link
        for first in range(0, count, _BATCH):
            numbers = range(first, min(first + _BATCH, count))
            lives = [self._life(number, count, lapsed) for number in numbers]
            for reply in link.each(list(self._commands(numbers, payload, users, lapsed, lives))):
                if isinstance(reply, Exception):
                    raise reply

    def _life(self, number: int, count: int, lapsed: bool) -> int:
        """Return the milliseconds after which the server removes a record.

        Those that have lapsed have longer the more there are, as a purge takes: it meets the
        server at its work.
        """
        if not lapsed or number % 2 == 0:
            return _DAY
        return count // 10 + number * 7919 % (count // 10 + 1)

    def _commands(
        self, numbers: range, payload: bytes, users: bool, lapsed: bool, lives: list[int]
    ) -> Iterator[tuple[Any, ...]]:
        for number, life in zip(numbers, lives, strict=True):
            key, user = key_of(number), user_of(number) if users else None
            value = records.first(payload, _deadline(number, lapsed), user, b"%08d" % 0)
            if user is not None:
                index = f"{NAMESPACE}/u/{user}"
                entry = struct.pack(">dd", 1, 1.5e9) + b"0"
                yield ("HSET", index, "e", 1_700_000_000_000_000, "c", 1, key, entry)
                yield ("PEXPIRE", index, 2 * _DAY)
            yield ("SET", f"{NAMESPACE}/s/{key}", value, "PX", life)

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        return int(self.server.ask("INFO", "memory")["used_memory"])

    def number(self, table: str) -> int:
        """Return the number of the database that is the table."""
        return list(self._stores).index(table)

    def expired(self) -> int:
        """Return how many names the server has removed because their time was over."""
        return int(self.server.ask("INFO", "stats")["expired_keys"])

    def usage(self, table: str) -> tuple[int, int]:
        """Return what `MEMORY USAGE` says of the first session's name, and of its user's index."""
        number = self.number(table)
        names = (f"{NAMESPACE}/s/{key_of(0)}", f"{NAMESPACE}/u/{user_of(0)}")
        session, index = (self.server.ask("MEMORY", "USAGE", name, db=number) for name in names)
        return int(session), int(index)

    def close(self) -> None:
        """See `Engine.close`."""
        for number, store in enumerate(self._stores.values()):
            self.server.ask("FLUSHDB", db=number)
            store.close()


class SQL(Engine):
    """Tables of one database, which differ by their prefix."""

    _KEY: str
    _USER: str
    _NUMBERS: str
    key_column = "key"
    _FALSE = "false"

    def __init__(self, server: Any) -> None:
        self.server = server
        self.connection = server.connect()
        self._stores: dict[str, SQLStore] = {}

    def store(self, table: str) -> Any:
        """See `Engine.store`."""
        if table not in self._stores:
            self._stores[table] = store = SQLStore(self.server.url, prefix=f"{table}_", timeout=60)
            store.create_tables()
        return self._stores[table]

    def _do(self, statement: str, values: tuple[object, ...] = ()) -> Any:
        with self.connection.cursor() as cursor:
            # Without values a driver leaves a percent sign as it is.
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else None

    def fill(
        self, table: str, count: int, payload: bytes, *, users: bool = False, lapsed: bool = False
    ) -> None:
        """See `Engine.fill`."""
        self.store(table)
        deadline = f"CASE WHEN {int(lapsed)} = 1 AND n %% 2 = 1 THEN {PAST:.1f} ELSE {FUTURE:.1f} "
        numbers = self._NUMBERS.format(last=count - 1)
        owner = self._USER if users else "NULL"
        self._do(
            f"INSERT INTO {table}_sessions (namespace, {self.key_column}, version, expires_at,"
            f" user_id, payload) SELECT '{NAMESPACE}', {self._KEY}, 1, {deadline} END, {owner}, %s"
            f" FROM {numbers}",
            (payload,),
        )
        if users:
            self._do(
                f"INSERT INTO {table}_user_sessions SELECT '{NAMESPACE}', {owner}, {self._KEY}, 1,"
                f" 1.5e9, {self._FALSE}, NULL FROM {numbers}"
            )
            self._do(
                f"INSERT INTO {table}_users SELECT '{NAMESPACE}', {owner}, 1, 1 FROM {numbers}"
            )
        self.settle(table)

    def settle(self, table: str) -> None:
        """Have the engine look at what there is now, as it would do by itself."""
        raise NotImplementedError

    def close(self) -> None:
        """See `Engine.close`."""
        for table, store in self._stores.items():
            store.close()
            for name in ("sessions", "user_sessions", "users", "namespaces"):
                self._do(f"DROP TABLE {table}_{name}")
        self.connection.close()


class PostgreSQLEngine(SQL):
    """PostgreSQL."""

    name = "PostgreSQL"
    _KEY = "md5(n::text)"
    _USER = "convert_to('user-' || lpad(n::text, 9, '0'), 'UTF8')"
    _NUMBERS = "generate_series(0, {last}) AS n"

    def __init__(self, server: PostgreSQL) -> None:
        super().__init__(server)

    def settle(self, table: str) -> None:
        """See `SQL.settle`."""
        for name in ("sessions", "user_sessions", "users"):
            self._do(f"VACUUM ANALYZE {table}_{name}")

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        names = ("sessions", "user_sessions", "users")
        sizes = (self._do(f"SELECT pg_total_relation_size('{table}_{name}')") for name in names)
        return sum(int(size) for ((size,),) in sizes)


class MariaDBEngine(SQL):
    """MariaDB."""

    name = "MariaDB"
    key_column = "`key`"
    _FALSE = "0"
    _KEY = "MD5(n)"
    _USER = "CONCAT('user-', LPAD(n, 9, '0'))"
    _NUMBERS = "(SELECT seq AS n FROM seq_0_to_{last}) AS numbers"

    def __init__(self, server: MariaDB) -> None:
        super().__init__(server)

    def settle(self, table: str) -> None:
        """See `SQL.settle`."""
        for name in ("sessions", "user_sessions", "users"):
            self._do(f"ANALYZE TABLE {table}_{name}")

    def size(self, table: str) -> int:
        """See `Engine.size`."""
        ((pages,),) = self._do(
            "SELECT SUM(clust_index_size + other_index_size)"
            " FROM information_schema.innodb_sys_tablestats WHERE name IN (%s, %s, %s)",
            tuple(f"test/{table}_{name}" for name in ("sessions", "user_sessions", "users")),
        )
        return int(pages) * 16_384
