"""The SQL store for synchronous programs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import URL, Engine

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.sql import drivers, places, steps, upkeep
from coatcheck.store.sql.database import Database
from coatcheck.store.sql.engines import OneEngine
from coatcheck.store.sql.tables import PREFIX, encode_user, tables_of


class SQLStore:
    """Sessions in PostgreSQL, MariaDB, MySQL or SQLite, by SQLAlchemy.

    Each operation takes a connection of its own from the pool, and its transaction ends with it:
    what the application has under way on other connections is never seen, committed or undone.
    Nothing is connected before the first use. After a fork the child opens connections of its own.

    Args:
        database: a URL, `postgresql://` (psycopg), `mysql://`, `mariadb://` (PyMySQL) or
            `sqlite:///`; or an engine of SQLAlchemy's, which is used as it is: its pool, its
            timeouts, its driver.
        create_tables: make the tables when they are missed; else `create_tables()` does, or what
            `python -m coatcheck.store.sql URL` prints.
        prefix: how the names of the tables begin.
        schema: the schema that they are in, if it is not the connection's own.
        timeout: seconds to wait for a connection, for an answer, and for what is tried again; for
            connecting, libpq takes at least 2.
        pool_size: the most connections at the same time, for a URL.
        namespace: the namespace of the IDs; stores of different namespaces may share the tables.
        clock: the source of time.

    Raises:
        ConfigurationError: for an option that is wrong, or a driver that is not installed.
    """

    def __init__(
        self,
        database: str | URL | Engine,
        *,
        create_tables: bool = False,
        prefix: str = PREFIX,
        schema: str | None = None,
        timeout: float = 3.0,
        pool_size: int = 16,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        timeout = checks.seconds("timeout", timeout)
        pool_size = checks.count("pool_size", pool_size)
        if isinstance(database, Engine):
            self._engines = OneEngine(database, own=False)
        else:
            url = drivers.parse(database, is_async=False)
            engine = drivers.make_engine(url, timeout=timeout, pool_size=pool_size)
            self._engines = OneEngine(engine, own=True)
        url = self._engines.url
        self._database = Database(
            self._engines,
            tables_of(prefix, schema),
            clock=clock,
            timeout=timeout,
            create_tables=checks.flag("create_tables", create_tables),
            name=places.name(url),
        )
        self.location = places.location(url, schema, prefix)
        self._run = self._database.run

    def __repr__(self) -> str:
        return f"<SQLStore {self._database.name!r} namespace={self.namespace!r}>"

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`."""
        check_key(key)
        return self._run(steps.get, self.namespace, key)

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        check_key(key)
        check_deadline(expires_at)
        user = None if user_id is None else encode_user(user_id)
        return self._run(steps.create, self.namespace, key, bytes(payload), expires_at, user)

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(steps.update, self.namespace, key, bytes(payload), version, expires_at)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        check_key(key)
        check_deadline(expires_at)
        return self._run(steps.touch, self.namespace, key, version, expires_at)

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        check_key(key)
        user = None if user_id is None else encode_user(user_id)
        return self._run(steps.delete, self.namespace, key, user)

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return self._run(steps.entries, self.namespace, encode_user(user_id))

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """Enter `key`, before its record is created; see `UserIndex.admit`."""
        check_key(key)
        if replaces is not None:
            check_key(replaces)
        user = encode_user(user_id)
        return self._run(steps.admit, self.namespace, user, key, limit, evict, replaces)

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        check_key(key)
        return self._run(steps.confirm, self.namespace, encode_user(user_id), key, epoch)

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return self._run(steps.revoke, self.namespace, encode_user(user_id), keep)

    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        check_key(key)
        self._run(steps.forget, self.namespace, encode_user(user_id), key)

    def purge(self, limit: int = 1000, /) -> int:
        """Remove at most `limit` records expired for `GARBAGE_AFTER`, and their index entries."""
        return upkeep.purge(self._run, self.namespace, limit)

    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return self._run(upkeep.claim_purge, self.namespace, interval)

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        checks.count("count", count)
        after = "" if cursor is None else check_key(cursor)
        return self._run(upkeep.scan, self.namespace, after, count)

    def create_tables(self) -> None:
        """Make what is missing of the tables."""
        self._database.create_tables()

    def close(self) -> None:
        """Close the connections; whatever is called afterwards raises `StoreError`."""
        self._database.closed = True
        self._engines.close()
