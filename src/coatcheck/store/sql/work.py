"""A connection on loan for one step of a SQL store, and the statements to run on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import SQLAlchemyError

from coatcheck.errors import StoreError
from coatcheck.store.sql.statements import Statements

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TRIES: Final = 100
"""How often a step may look anew because somebody else was faster."""


class Work:
    """What a step is given. Each statement is a transaction of its own, but between begin and end.

    Transactions are begun and ended by statements, on a connection in autocommit mode: a single
    statement, which is most of what a store does, so costs one round trip and not three.
    """

    __slots__ = ("_begun", "_connection", "_tries", "again", "sql")

    def __init__(self, connection: Connection, statements: Statements, *, again: bool) -> None:
        self.sql = statements
        self.again = again
        """Whether a connection was lost on the way, so that this step may have been done before."""
        self._connection = connection
        self._begun = False
        self._tries = 0

    def rows(self, statement: Executable, **values: Any) -> Sequence[Any]:
        """Run a statement and return all of its rows."""
        return self._connection.execute(statement, values).fetchall()

    def do(self, statement: Executable, **values: Any) -> None:
        """Run a statement, of which nothing is asked but that it does not fail."""
        self._connection.execute(statement, values)

    def count(self, statement: Executable, **values: Any) -> int:
        """Run an UPDATE or a DELETE and return how many rows it changed or removed."""
        return self._connection.execute(statement, values).rowcount

    def each(self, statement: Executable, values: list[dict[str, Any]]) -> None:
        """Run a statement once for each set of values."""
        if values:
            self._connection.execute(statement, values)

    def look_anew(self, refusal: SQLAlchemyError | None = None) -> None:
        """Count one more try, where another transaction has come between two statements.

        Where it comes each time it is none, but a constraint, a trigger or a policy that somebody
        has given the table. Raises the `refusal` then, or `StoreError`.
        """
        self._tries += 1
        if self._tries < TRIES:
            return
        raise refusal or StoreError(
            "a row of the sessions is there and can neither be changed nor removed: see what"
            " triggers and policies its table has, and what its user may do"
        )

    def begin(self, *statements: str) -> None:
        """Begin a transaction, in the way of the engine or by other statements."""
        self._begun = True
        for statement in statements or (self.sql.begin,):
            self._connection.exec_driver_sql(statement)

    def commit(self) -> None:
        """End the transaction; what it did stands."""
        self._connection.exec_driver_sql("COMMIT")
        self._begun = False

    def undo(self) -> None:
        """End the transaction, if one is begun, as if it had never been."""
        if self._begun and not self._connection.closed and not self._connection.invalidated:
            self._begun = False
            try:
                self._connection.exec_driver_sql("ROLLBACK")
            except SQLAlchemyError:
                # Whatever state it is in: the server rolls back when the connection ends.
                self._connection.invalidate()

    def abandon(self) -> None:
        """Close the connection if a transaction is begun: nobody knows how far it has come."""
        if self._begun:
            self._connection.invalidate()


Step = Callable[[Work, float, *Ts], T]
"""What is done with a connection in one go: `step(work, now, *arguments)`."""
