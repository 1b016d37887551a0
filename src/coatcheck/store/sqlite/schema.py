"""The tables of a SQLite store, and how to tell a database that has them from any other.

The layout is public: a program may read the tables, and should leave writing to the store.

`sessions`       one row a record; the sliding deadline `expires_at` is NULL where there is none
`user_sessions`  one row for each session of a user, by `position` in the order of admission
`users`          the epoch of each user who has sessions
`namespaces`     the counter from which positions and epochs are drawn, and when was last purged

There is no index besides the primary keys. One on `expires_at` would double the time of every
update and touch, and it would save only what a purge spends, once in ten minutes, on reading the
table from end to end in short steps.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from coatcheck.errors import ConfigurationError

APPLICATION_ID: Final = 0x436F6174
"""`Coat`, in the header of every database of ours."""
SCHEMA_VERSION: Final = 1

_TABLES: Final = (
    # The payload is last, so that a scan of the columns before it leaves its overflow pages alone.
    """
    CREATE TABLE sessions (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        expires_at REAL,
        user_id TEXT,
        payload BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE user_sessions (
        namespace TEXT NOT NULL,
        user_id TEXT NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        admitted_at REAL NOT NULL,
        evicted INTEGER NOT NULL,
        replaces TEXT,
        PRIMARY KEY (namespace, user_id, key)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE users (
        namespace TEXT NOT NULL,
        user_id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        PRIMARY KEY (namespace, user_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE namespaces (
        namespace TEXT NOT NULL PRIMARY KEY,
        counter INTEGER NOT NULL,
        purged_at REAL
    ) WITHOUT ROWID
    """,
    # Triggers, so that the index follows a record in the very statement that removes it.
    """
    CREATE TRIGGER session_removed AFTER DELETE ON sessions WHEN OLD.user_id IS NOT NULL
    BEGIN
        DELETE FROM user_sessions
        WHERE namespace = OLD.namespace AND user_id = OLD.user_id AND key = OLD.key;
    END
    """,
    # A new record has taken the key of an expired one, which belonged to somebody else.
    """
    CREATE TRIGGER session_replaced AFTER UPDATE OF user_id ON sessions
    WHEN OLD.user_id IS NOT NULL AND OLD.user_id IS NOT NEW.user_id
    BEGIN
        DELETE FROM user_sessions
        WHERE namespace = OLD.namespace AND user_id = OLD.user_id AND key = OLD.key;
    END
    """,
    # Epochs come from a counter that never goes back, so a user may be forgotten and come again.
    """
    CREATE TRIGGER user_left AFTER DELETE ON user_sessions
    BEGIN
        DELETE FROM users
        WHERE namespace = OLD.namespace AND user_id = OLD.user_id AND NOT EXISTS (
            SELECT 1 FROM user_sessions
            WHERE namespace = OLD.namespace AND user_id = OLD.user_id
        );
    END
    """,
    # Both are stored in the first page, which is written in the same transaction as the tables.
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_COLUMNS: Final = (
    "SELECT namespace, key, version, expires_at, user_id, payload FROM sessions LIMIT 0",
    """
    SELECT namespace, user_id, key, position, admitted_at, evicted, replaces
    FROM user_sessions LIMIT 0
    """,
    "SELECT namespace, user_id, epoch FROM users LIMIT 0",
    "SELECT namespace, counter, purged_at FROM namespaces LIMIT 0",
)


def check_header(cursor: sqlite3.Cursor, path: str) -> None:
    """Raise `ConfigurationError` unless the database says that it is ours."""
    application_id = _number(cursor, "PRAGMA application_id")
    version = _number(cursor, "PRAGMA user_version")
    if application_id != APPLICATION_ID:
        raise ConfigurationError(
            f"{path!r} is a database of something else (application_id {application_id}): a SQLite"
            " store needs a file of its own, so name another path"
        )
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path!r} has tables of version {version}, and this Coatcheck knows version"
            f" {SCHEMA_VERSION}: install the version that wrote it, or name another path"
        )


def check_tables(cursor: sqlite3.Cursor, path: str) -> None:
    """Raise `ConfigurationError` unless the tables have the columns that we use."""
    try:
        for statement in _COLUMNS:
            cursor.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise ConfigurationError(
            f"{path!r} lacks tables that a SQLite store has ({error}): restore it, or name"
            " another path"
        ) from error


def make_tables(cursor: sqlite3.Cursor) -> None:
    """Make the tables in a database that is empty; in any other see whether it may be written."""
    cursor.execute("BEGIN IMMEDIATE")
    if _number(cursor, "SELECT count(*) FROM sqlite_master") == 0:
        for statement in _TABLES:
            cursor.execute(statement)
    else:
        # On a file that may only be read a transaction begins all the same; a statement does not.
        cursor.execute("UPDATE namespaces SET counter = counter WHERE 0")
    cursor.execute("COMMIT")


def _number(cursor: sqlite3.Cursor, statement: str) -> int:
    (row,) = cursor.execute(statement).fetchall()
    number: int = row[0]
    return number
