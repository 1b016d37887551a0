"""What an error of a database means for a store, by the codes that each engine gives."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, TimeoutError


class Meaning(Enum):
    """What is to be done about an error."""

    AGAIN = "again"
    """Another transaction was in the way, and this one was undone: do it again."""
    LOST = "lost"
    """The connection is gone; nobody knows whether the statement was done."""
    NO_TABLE = "no table"
    """A table is not there, or it lacks a column."""
    READ_ONLY = "read only"
    """The server takes no writes; perhaps another one has taken over, under the same name."""
    BROKEN = "broken"


# Serialization failure, deadlock; undefined table, schema, column; read-only transaction.
_POSTGRESQL: Final = {
    "40001": Meaning.AGAIN,
    "40P01": Meaning.AGAIN,
    "42P01": Meaning.NO_TABLE,
    "3F000": Meaning.NO_TABLE,
    "42703": Meaning.NO_TABLE,
    "25006": Meaning.READ_ONLY,
}
# Deadlock, record changed since the snapshot; no such table, unknown column; prevented by an option
# such as --read-only, read-only transaction, read-only mode.
_MYSQL: Final = {
    1213: Meaning.AGAIN,
    1020: Meaning.AGAIN,
    1146: Meaning.NO_TABLE,
    1054: Meaning.NO_TABLE,
    1290: Meaning.READ_ONLY,
    1792: Meaning.READ_ONLY,
    1836: Meaning.READ_ONLY,
}
_SQLITE: Final = ("no such table", "no such column")


def meaning(error: SQLAlchemyError) -> Meaning:
    """Return what an error means."""
    if not isinstance(error, DBAPIError):
        return Meaning.BROKEN
    driver: Any = error.orig
    state: object = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    if isinstance(state, str) and state in _POSTGRESQL:
        return _POSTGRESQL[state]
    first: object = driver.args[0] if driver is not None and driver.args else None
    if isinstance(first, int) and first in _MYSQL:
        return _MYSQL[first]
    if isinstance(first, str) and first.startswith(_SQLITE):
        return Meaning.NO_TABLE
    return Meaning.LOST if error.connection_invalidated else Meaning.BROKEN


def is_made_already(error: SQLAlchemyError) -> bool:
    """Say whether a table could not be made because somebody else has just made it."""
    driver: Any = getattr(error, "orig", None)
    taken = getattr(driver, "sqlstate", None) in ("42P07", "42710", "23505")
    return isinstance(error, IntegrityError) or taken or (driver and driver.args[:1] == (1050,))


def cause(error: SQLAlchemyError) -> BaseException:
    """Return the driver's own error.

    What SQLAlchemy wraps it in shows the values of the statement, and these are a visitor's data.
    """
    driver: object = getattr(error, "orig", None)
    return driver if isinstance(driver, BaseException) else error


def reason(error: SQLAlchemyError) -> str:
    """Return what the driver says, in one line."""
    if isinstance(error, TimeoutError):
        return "all connections of the pool are in use"
    driver = cause(error)
    words = [str(word) for word in driver.args if isinstance(word, str | int)]
    return " ".join(" ".join(words).split())[:300] or type(driver).__name__
