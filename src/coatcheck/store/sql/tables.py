"""The tables of a SQL store. Their layout is public: read them, and leave writing to the store.

`coatcheck_sessions`       one row a record; `expires_at` is NULL where there is no deadline
`coatcheck_user_sessions`  one row for each session of a user, by `position` in admission order
`coatcheck_users`          the epoch and the counter of each user who has sessions
`coatcheck_namespaces`     when a namespace was last purged

A user is kept as the bytes of its UTF-8. No collation compares these, so `ann`, `Ann` and `ann `
are three users on every server, and no character is one that a server cannot keep. Times are
seconds since the epoch, in double precision, which gives each back exactly.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from coatcheck import checks

PREFIX: Final = "coatcheck_"
MAX_USER_ID: Final = 1024
"""Bytes of a user's name: what fits into a key of InnoDB together with the other columns."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,31}")


def encode_user(user_id: str) -> bytes:
    """Return a user as the tables keep it; raises `ValueError` for one that they cannot keep.

    Some servers shorten what is too long for a column, and two users would become one.
    """
    user = user_id.encode()
    if len(user) > MAX_USER_ID:
        raise ValueError(f"user_id has {len(user)} bytes; a SQL store takes {MAX_USER_ID}")
    return user


def _check_name(option: str, name: object) -> None:
    """Refuse what may not stand in a statement as a name, or as the beginning of one (CWE-89)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise checks.wrong(option, "1 to 32 characters of a-z 0-9 _, no digit first", name)


def _exact(length: int) -> Any:
    """Return a type for ASCII that differs wherever a byte differs, whatever the database's own."""
    return (
        String(length)
        .with_variant(String(length, collation="C"), "postgresql")
        .with_variant(
            mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
        )
    )


def _user() -> Any:
    return LargeBinary().with_variant(mysql.VARBINARY(MAX_USER_ID), "mysql", "mariadb")


def _payload() -> Any:
    # A plain BLOB of MySQL ends at 64 KiB.
    return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


@cache
def tables_of(prefix: str, schema: str | None) -> Tables:
    """Return the tables of that name, the same ones each time.

    SQLAlchemy knows a statement again by its tables, and then need not render it anew.
    """
    return Tables(prefix, schema)


class Tables:
    """The four tables, under names that begin with `prefix`, in a schema if one is given."""

    def __init__(self, prefix: str = PREFIX, schema: str | None = None) -> None:
        """Name the tables; raises `ConfigurationError` for what is no name."""
        _check_name("prefix", prefix)
        if schema is not None:
            _check_name("schema", schema)
        self.metadata = metadata = MetaData(schema=schema)
        # Other engines of MySQL have no transactions.
        engine: dict[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
        self.sessions = Table(
            f"{prefix}sessions",
            metadata,
            Column("namespace", _exact(64), primary_key=True),
            Column("key", _exact(32), primary_key=True),
            Column("version", BigInteger, nullable=False),
            Column("expires_at", Double),
            Column("user_id", _user()),
            Column("payload", _payload(), nullable=False),
            # For its index, by which a purge finds what has expired. A constraint, because every
            # engine makes it with the table, in one statement that can be repeated. The time is
            # first, or a planner that knows nothing of the table yet might read a record by it.
            UniqueConstraint("expires_at", "namespace", "key", name=f"{prefix}expiry"),
            **engine,
        )
        self.entries = Table(
            f"{prefix}user_sessions",
            metadata,
            Column("namespace", _exact(64), primary_key=True),
            Column("user_id", _user(), primary_key=True),
            Column("key", _exact(32), primary_key=True),
            Column("position", BigInteger, nullable=False),
            Column("admitted_at", Double, nullable=False),
            Column("evicted", Boolean, nullable=False),
            Column("replaces", _exact(32)),
            **engine,
        )
        self.users = Table(
            f"{prefix}users",
            metadata,
            Column("namespace", _exact(64), primary_key=True),
            Column("user_id", _user(), primary_key=True),
            Column("epoch", BigInteger, nullable=False),
            Column("counter", BigInteger, nullable=False),
            **engine,
        )
        self.namespaces = Table(
            f"{prefix}namespaces",
            metadata,
            Column("namespace", _exact(64), primary_key=True),
            Column("purged_at", Double, nullable=False),
            **engine,
        )

    def migration(self, dialect: Dialect) -> list[str]:
        """Return the statements that make what is missing of the tables."""
        made = (CreateTable(table, if_not_exists=True) for table in self.metadata.sorted_tables)
        texts = (str(statement.compile(dialect=dialect)).strip() for statement in made)
        return ["\n".join(line.rstrip() for line in text.splitlines()) for text in texts]
