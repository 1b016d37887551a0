"""Sessions in a SQL database, by SQLAlchemy: PostgreSQL, MariaDB, MySQL and SQLite."""

from coatcheck.store.sql.awaited import AsyncSQLStore as AsyncSQLStore
from coatcheck.store.sql.blocking import SQLStore as SQLStore
from coatcheck.store.sql.tables import Tables as Tables
