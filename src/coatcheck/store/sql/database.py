"""Runs the steps of a SQL store: on a connection of its own, again where another was in the way."""

from __future__ import annotations

import time
from typing import Final, TypeVar, TypeVarTuple

from sqlalchemy.exc import SQLAlchemyError

from coatcheck.clock import Clock
from coatcheck.errors import StoreError
from coatcheck.store.sql import drivers, errors
from coatcheck.store.sql.engines import Engines
from coatcheck.store.sql.errors import Meaning
from coatcheck.store.sql.statements import Statements
from coatcheck.store.sql.tables import Tables
from coatcheck.store.sql.work import Step, Work

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TRIES: Final = 8
"""How often tables are made anew where other processes make them at the same moment."""


class Database:
    """The tables of a store in a database.

    Args:
        engines: where connections come from.
        tables: the tables.
        clock: the source of time.
        timeout: seconds for which a step is tried again.
        create_tables: whether to make the tables when they are missed.
        name: how the database is called in errors, without a password.
    """

    def __init__(
        self,
        engines: Engines,
        tables: Tables,
        *,
        clock: Clock,
        timeout: float,
        create_tables: bool,
        name: str,
    ) -> None:
        self.tables = tables
        self.name = name
        self._engines = engines
        self._clock = clock
        self._timeout = timeout
        self._creates = create_tables
        self._statements: Statements | None = None
        self.closed = False

    def run(self, step: Step[*Ts, T], /, *arguments: *Ts) -> T:
        """Run a step.

        It is run again where another transaction was in its way, for as long as `timeout`, and once
        where the connection was lost, as each is that was open when the server was restarted.

        Raises `StoreError` where that does not help, or where nothing would.
        """
        give_up, lost, made = time.monotonic() + self._timeout, False, False
        while True:
            try:
                return self._attempt(step, lost, arguments)
            except SQLAlchemyError as error:
                meaning = errors.meaning(error)
                again = time.monotonic() < give_up
                if meaning is Meaning.NO_TABLE and self._creates and not made:
                    made = True
                elif meaning is Meaning.LOST and again and not lost:
                    lost = True
                elif meaning is not Meaning.AGAIN or not again:
                    raise self._failed(meaning, error) from errors.cause(error)
                if meaning is Meaning.NO_TABLE:
                    self.create_tables()

    def _attempt(self, step: Step[*Ts, T], again: bool, arguments: tuple[*Ts]) -> T:
        if self.closed:
            raise StoreError(f"the store in {self.name} is closed")
        with self._engines.current().connect() as connection:
            if self._statements is None:
                drivers.check_quoting(connection)
                self._statements = Statements(self.tables, connection.dialect)
            work = Work(connection, self._statements, again=again)
            try:
                return step(work, self._clock(), *arguments)
            except SQLAlchemyError as error:
                work.undo()
                if errors.meaning(error) is Meaning.READ_ONLY:
                    connection.invalidate()
                raise
            except BaseException:
                work.abandon()
                raise

    def create_tables(self) -> None:
        """Make what is missing of the tables; raise `StoreError` where that is not allowed."""
        for left in reversed(range(TRIES)):
            try:
                with self._engines.current().connect() as connection:
                    for statement in self.tables.migration(connection.dialect):
                        connection.exec_driver_sql(statement)
                return
            except SQLAlchemyError as error:
                # Where two make one table at once, PostgreSQL fails one of them all the same.
                if not (errors.is_made_already(error) and left):
                    raise self._failed(Meaning.BROKEN, error) from errors.cause(error)

    def _failed(self, meaning: Meaning, error: SQLAlchemyError) -> StoreError:
        reason = errors.reason(error)
        if meaning is Meaning.NO_TABLE:
            return StoreError(
                f"the tables of sessions are missing in {self.name} ({reason}): call the store's"
                " create_tables(), or run what `python -m coatcheck.store.sql URL` prints"
            )
        return StoreError(f"the database {self.name} failed: {reason}")
