"""Stores that break while servers use them, and are mended again."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import rmtree


@contextmanager
def broken_store(folder: Path, mount: str) -> Generator[None]:
    """Break the store of a mount, for all processes at once, and mend it again."""
    if mount == "files":
        # The store holds its folders open, so they must go and be empty.
        gone = folder / "gone"
        (folder / "sessions").rename(gone)
        shards = [path for path in gone.glob("*/*/*") if path.is_dir()]
        for path in shards:
            path.rename(path.with_suffix(".away"))
        try:
            yield
        finally:
            for path in shards:
                rmtree(path, ignore_errors=True)  # a create may have begun there
                path.with_suffix(".away").rename(path)
            gone.rename(folder / "sessions")
        return
    with closing(sqlite3.connect(folder / "sessions.db")) as database:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        names = [name for (name,) in database.execute(query)]
        for name in names:
            database.execute(f"ALTER TABLE {name} RENAME TO hidden_{name}")
        try:
            yield
        finally:
            for name in names:
                database.execute(f"ALTER TABLE hidden_{name} RENAME TO {name}")
