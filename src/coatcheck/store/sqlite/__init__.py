"""Sessions in a SQLite database, for programs on one machine."""

from coatcheck.store.sqlite.awaited import AsyncSQLiteStore as AsyncSQLiteStore
from coatcheck.store.sqlite.blocking import SQLiteStore as SQLiteStore
