"""Making a SQLite store's database where there is none, and refusing one that is not ours."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Final

from coatcheck.errors import ConfigurationError
from coatcheck.store.sqlite import files, schema
from coatcheck.store.sqlite.connection import Damaged, connect, meaning, persist

RETURNING: Final = (3, 35, 0)
"""The first SQLite with RETURNING, on which `delete` rests."""


def found(path: str, settings: Sequence[str], timeout: float) -> None:
    """Make the file and its tables if they are not there, and see that they are ours.

    No connection stays open. Raises `ConfigurationError` for what is not ours or cannot be used,
    and then nothing was changed in it; `StoreError` for what stays locked, or fails.
    """
    if sqlite3.sqlite_version_info < RETURNING:
        raise ConfigurationError(
            f"a SQLite store needs SQLite 3.35, and Python has {sqlite3.sqlite_version}:"
            " use a newer Python, or store='file:///...'"
        )
    files.make_folder(os.path.dirname(path))
    files.make_file(path)
    try:
        if files.look_at(path).st_size:
            _peek(path)
        files.check_private(path)
    except OSError as error:
        raise ConfigurationError(
            f"the SQLite store cannot reach {path!r} ({error.strerror}): name another path"
        ) from error
    persist(lambda: _prepare(path, settings), path, timeout)


def _peek(path: str) -> None:
    """Refuse a file that is not ours, without touching it or anything beside it.

    As an immutable file it is read without a lock, a journal or a log, so nothing is rolled back or
    brought up to date either. The header of a database of ours is never in its log alone: it is
    written before the log is begun.
    """
    cursor = None
    try:
        # A file that somebody else is just making longer is not to be taken for a damaged one.
        cursor = connect(path, "ro&immutable=1", ["PRAGMA writable_schema = ON"])
        schema.check_header(cursor, path)
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"{path!r} cannot be read as a SQLite database ({error}): a SQLite store needs a file"
            " of its own, so name another path"
        ) from error
    finally:
        if cursor is not None:
            cursor.connection.close()


def _prepare(path: str, settings: Sequence[str]) -> None:
    """Make the tables and begin the log."""
    cursor = None
    try:
        cursor = connect(path, "rw", settings)
        schema.make_tables(cursor)
        schema.check_header(cursor, path)
        schema.check_tables(cursor, path)
        ((mode,),) = cursor.execute("PRAGMA journal_mode = WAL").fetchall()
    except sqlite3.Error as error:
        reason = meaning(error, path)
        if isinstance(reason, Damaged):
            raise ConfigurationError(
                f"{path!r} is damaged ({error}): restore it, or remove it and end all sessions"
            ) from error
        raise reason from error
    finally:
        if cursor is not None:
            cursor.connection.close()
    if mode != "wal":
        raise ConfigurationError(
            f"{path!r} lies on a file system without shared memory, such as that of a network:"
            " a SQLite store needs a local disk, so name another path"
        )
