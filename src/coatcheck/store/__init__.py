"""Stores: where the data of sessions stays. `protocol` says what a store is."""

from typing import TYPE_CHECKING, Any

from coatcheck.store.memory import MemoryStore as MemoryStore
from coatcheck.store.protocol import AsyncEnrols as AsyncEnrols
from coatcheck.store.protocol import AsyncPurges as AsyncPurges
from coatcheck.store.protocol import AsyncScans as AsyncScans
from coatcheck.store.protocol import AsyncStore as AsyncStore
from coatcheck.store.protocol import AsyncUserIndex as AsyncUserIndex
from coatcheck.store.protocol import Conflict as Conflict
from coatcheck.store.protocol import Enrols as Enrols
from coatcheck.store.protocol import Gone as Gone
from coatcheck.store.protocol import Purges as Purges
from coatcheck.store.protocol import Scans as Scans
from coatcheck.store.protocol import Store as Store
from coatcheck.store.protocol import Stored as Stored
from coatcheck.store.protocol import Updated as Updated
from coatcheck.store.protocol import UserIndex as UserIndex
from coatcheck.store.urls import open_async_store as open_async_store
from coatcheck.store.urls import open_store as open_store

if TYPE_CHECKING:
    from coatcheck.store.file import FileStore as FileStore
    from coatcheck.store.keyvalue import AsyncKeyValueStore as AsyncKeyValueStore
    from coatcheck.store.keyvalue import KeyValueStore as KeyValueStore
    from coatcheck.store.redis import AsyncRedisStore as AsyncRedisStore
    from coatcheck.store.redis import RedisStore as RedisStore
    from coatcheck.store.sql import AsyncSQLStore as AsyncSQLStore
    from coatcheck.store.sql import SQLStore as SQLStore
    from coatcheck.store.sqlite import AsyncSQLiteStore as AsyncSQLiteStore
    from coatcheck.store.sqlite import SQLiteStore as SQLiteStore

# Loaded when they are asked for: the core imports this package for its protocols, and a Python that
# was built without SQLite is to lack one store, not all of them.
_LATER = {
    "AsyncKeyValueStore": "keyvalue",
    "FileStore": "file",
    "KeyValueStore": "keyvalue",
    "AsyncRedisStore": "redis",
    "AsyncSQLStore": "sql",
    "AsyncSQLiteStore": "sqlite",
    "RedisStore": "redis",
    "SQLStore": "sql",
    "SQLiteStore": "sqlite",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
