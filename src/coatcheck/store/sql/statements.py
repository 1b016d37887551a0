"""The statements of a SQL store, written once and rendered by SQLAlchemy for each engine.

Their parameters: `n` a namespace, `k` a key, `u` a user, `v` a version, `t` a deadline, `p` a
payload, `e` an epoch, `now` and `before` times, `was` a deadline as it was read.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, Dialect, Table, and_, bindparam, or_, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from coatcheck.store.sql.tables import Tables


class Statements:
    """What a store says to its tables, on one kind of engine."""

    def __init__(self, tables: Tables, dialect: Dialect) -> None:
        self.dialect = dialect
        self._tables = tables
        self.begin = _begin(dialect)
        # Only after it a lock may be skipped that somebody else has.
        self.purge_begin = (
            ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", self.begin)
            if _is_mysql(dialect)
            else (self.begin,)
        )
        self._make_records(tables.sessions)
        self._make_index(tables.users, tables.entries)
        self._make_upkeep(tables)

    def _make_records(self, table: Table) -> None:
        c = table.c
        this = and_(c.namespace == _given("n"), c.key == _given("k"))
        as_read = and_(this, c.version == _given("v"), _same(c.expires_at, _given("was")))
        live = or_(c.expires_at.is_(None), c.expires_at > _given("now"))
        record: dict[str, Any] = {
            "expires_at": _given("t"),
            "payload": _given("p"),
            "user_id": _given("u"),
        }
        self.get = select(c.version, c.expires_at, c.payload).where(this)
        self.look = select(c.version, c.expires_at, c.payload, c.user_id).where(this)
        self.insert = table.insert().values(
            {"namespace": _given("n"), "key": _given("k"), "version": 1, **record}
        )
        self.replace = table.update().where(as_read).values({"version": 1, **record})
        self.update = (
            table.update()
            .where(this, c.version == _given("v"), live)
            .values(version=c.version + 1, expires_at=_given("t"), payload=_given("p"))
        )
        self.touch = (
            table.update()
            .where(this, c.version == _given("v"))
            .where(c.expires_at > _given("now"), c.expires_at < _given("t"))
            .values(expires_at=_given("t"))
        )
        self.remove = table.delete().where(as_read)
        # MySQL alone cannot say what a DELETE has removed; MariaDB can.
        self.pull = (
            table.delete().where(this).returning(c.version, c.expires_at, c.payload, c.user_id)
            if self.dialect.delete_returning
            else None
        )

    def _make_index(self, users: Table, entries: Table) -> None:
        u, c, s = users.c, entries.c, self._tables.sessions.c
        user = and_(u.namespace == _given("n"), u.user_id == _given("u"))
        of_user = and_(c.namespace == _given("n"), c.user_id == _given("u"))
        record = and_(s.namespace == c.namespace, s.key == c.key)
        live = and_(record, or_(s.expires_at.is_(None), s.expires_at > _given("now")))
        listed = c.key.in_(_given("ks", many=True))
        self.know = self._upsert(
            users, {"epoch": _given("e"), "counter": 1}, {"counter": u.counter + 1}
        )
        self.user = select(u.epoch, u.counter).where(user)
        self.advance = users.update().where(user).values(epoch=u.epoch + 1)
        self.entries = select(c.key, c.admitted_at).where(of_user).order_by(c.position)
        self.standing = (
            select(c.key, c.admitted_at, c.evicted, s.key)
            .select_from(entries.outerjoin(self._tables.sessions, live))
            .where(of_user)
            .order_by(c.position)
        )
        entry: dict[str, Any] = {
            "position": _given("counter_"),
            "admitted_at": _given("now"),
            "evicted": False,
            "replaces": _given("r"),
        }
        self.enter = self._upsert(entries, {"key": _given("k"), **entry}, entry)
        self.evict = entries.update().where(of_user, listed).values(evicted=True)
        self.forget_all = entries.delete().where(of_user, listed)
        self.forget = entries.delete().where(of_user, c.key == _given("k"))
        self.confirm = (
            select(c.replaces)
            .select_from(
                entries.join(users, and_(u.namespace == c.namespace, u.user_id == c.user_id))
            )
            .where(of_user, c.key == _given("k"), c.evicted.is_(False))
            .where(u.epoch == _given("e"))
        )

    def _make_upkeep(self, tables: Tables) -> None:
        s, c, u = tables.sessions.c, tables.entries.c, tables.users.c
        n, names = _given("n"), tables.namespaces.c
        after, end = _given("after"), _given("end")
        self.expired = (
            select(s.key, s.user_id)
            .where(s.namespace == n, s.expires_at <= _given("before"))
            .order_by(s.expires_at)
            .limit(_given("most"))
            .with_for_update(skip_locked=_skips_locked(self.dialect))
        )
        self.purge = tables.sessions.delete().where(
            s.namespace == n, s.key.in_(_given("ks", many=True))
        )
        self.entries_end = _nth(c.user_id, c.namespace == n, after)
        self.abandoned = select(c.user_id, c.key, c.admitted_at).where(
            *(c.namespace == n, c.user_id > after, c.user_id <= end),
            c.admitted_at <= _given("before"),
            ~select(s.key).where(s.namespace == c.namespace, s.key == c.key).exists(),
        )
        self.abandon = tables.entries.delete().where(
            *(c.namespace == n, c.user_id == _given("u"), c.key == _given("k")),
            c.admitted_at == _given("was"),
        )
        self.users_end = _nth(u.user_id, u.namespace == n, after)
        self.idle = select(u.user_id, u.counter, u.epoch).where(
            *(u.namespace == n, u.user_id > after, u.user_id <= end),
            ~select(c.key).where(c.namespace == u.namespace, c.user_id == u.user_id).exists(),
        )
        # Whoever enters a session counts up first, so nobody has come while the counter stands. The
        # epoch tells the row from one that was made anew, and may have come to the same count.
        self.part = tables.users.delete().where(
            *(u.namespace == n, u.user_id == _given("u")),
            *(u.counter == _given("was"), u.epoch == _given("e")),
        )
        self.claimed = select(names.purged_at).where(names.namespace == n)
        self.first_claim = tables.namespaces.insert().values(namespace=n, purged_at=_given("now"))
        self.claim = (
            tables.namespaces.update()
            .where(names.namespace == n)
            .where(
                or_(
                    names.purged_at > _given("now"),
                    names.purged_at <= _given("before"),
                )
            )
            .values(purged_at=_given("now"))
        )
        self.scan = (
            select(s.key)
            .where(s.namespace == n, s.key > after)
            .where(or_(s.expires_at.is_(None), s.expires_at > _given("now")))
            .order_by(s.key)
            .limit(_given("most"))
        )

    def _upsert(self, table: Table, new: dict[str, Any], change: dict[str, Any]) -> Any:
        """Return an insert of a user's row that changes the row where there is one."""
        values: dict[str, Any] = {"namespace": _given("n"), "user_id": _given("u"), **new}
        if _is_mysql(self.dialect):
            return mysql.insert(table).values(values).on_duplicate_key_update(change)
        insert = postgresql.insert if self.dialect.name == "postgresql" else sqlite.insert
        return (
            insert(table)
            .values(values)
            .on_conflict_do_update(index_elements=list(table.primary_key), set_=change)
        )


def _given(name: str, *, many: bool = False) -> Any:
    return cast("Any", bindparam(name, expanding=many))


def _same(column: ColumnElement[Any], value: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.is_not_distinct_from(value)


def _nth(column: ColumnElement[Any], own: ColumnElement[bool], after: Any) -> Any:
    """Return the query for where a page of rows ends, so that no statement reads a whole table."""
    query = select(column).where(own, column > after).order_by(column)
    return query.offset(_given("size")).limit(1)


def _is_mysql(dialect: Dialect) -> bool:
    return dialect.name in ("mysql", "mariadb")


def _begin(dialect: Dialect) -> str:
    if dialect.name == "postgresql":
        # At the levels above, what is read after a lock was waited for is what stood before.
        return "BEGIN ISOLATION LEVEL READ COMMITTED"
    return "START TRANSACTION" if _is_mysql(dialect) else "BEGIN IMMEDIATE"


def _skips_locked(dialect: Dialect) -> bool:
    version = getattr(dialect, "server_version_info", None) or ()
    if getattr(dialect, "is_mariadb", False):
        return version >= (10, 6)
    return dialect.name != "mysql" or version >= (8, 0, 1)
