"""SQL stores where there is no room left: on the disk, or in the database's own files."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from typing import Any

import pytest

from coatcheck.errors import StoreError
from coatcheck.store.protocol import Stored, Updated
from coatcheck.store.sql import SQLStore
from tests.servers.databases import NOBODY
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

KEY = "e" * 32
NOBODYS: Any = {"expires_at": None, "user_id": None}


class OnSmallDisk(PostgreSQL):
    """A PostgreSQL server whose data has a disk of its own, in memory."""

    def prepare(self) -> None:
        self.disk = self.folder / "data"
        self.disk.mkdir()
        # PostgreSQL refuses a folder that others may look into.
        options = f"size=64m,mode=700,uid={NOBODY},gid={NOBODY}"
        command = ("mount", "-t", "tmpfs", "-o", options, "coatcheck-tests", str(self.disk))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.disk.rmdir()
            super().remove()
            pytest.skip(f"a small disk takes the right to mount one: {done.stderr.strip()}")
        super().prepare()

    def fill(self) -> None:
        """Leave no room on the disk."""
        with contextlib.suppress(OSError), (self.disk / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def remove(self) -> None:
        self.kill()
        subprocess.run(["umount", "--lazy", str(self.disk)], check=True)
        super().remove()


def create_many(store: SQLStore) -> None:
    """Create more than there is room for."""
    for number in range(200):
        store.create(f"{number:032x}", secrets.token_bytes(50_000), **NOBODYS)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="a small disk is mounted for this: run the tests as root on Linux, as CI does",
)
def test_a_full_disk() -> None:
    """PostgreSQL that has no room left: a StoreError, everything is read, and it goes on."""
    server = OnSmallDisk()
    try:
        store = SQLStore(server.url, create_tables=True)
        assert store.create(KEY, b"first", expires_at=None, user_id=None)
        server.fill()
        with pytest.raises(StoreError, match="No space left on device"):
            create_many(store)
        assert store.get(KEY) == Stored(1, None, b"first")
        assert store.delete(KEY) == Stored(1, None, b"first")
        (server.disk / "ballast").unlink()
        assert store.create(KEY, secrets.token_bytes(50_000), **NOBODYS)
        store.close()
    finally:
        server.remove()


def test_a_full_database() -> None:
    """Where there is no room a save is a StoreError; what is there stays, and waits for room."""
    small = "--innodb-data-file-path=ibdata1:12M;ibdata2:8M"
    server = MariaDB("--innodb-file-per-table=0", small)
    store = SQLStore(server.url, create_tables=True)
    full: StoreError | None = None
    for number in range(40):
        try:
            store.create(f"{number:032x}", bytes(500_000), expires_at=None, user_id=None)
        except StoreError as error:
            full = error
            break
    assert "full" in str(full)
    assert store.get(f"{0:032x}") == Stored(1, None, bytes(500_000))
    server.kill()
    server.options = ("--innodb-file-per-table=0", f"{small}:autoextend")
    server.start()
    assert store.update(f"{1:032x}", bytes(600_000), version=1, expires_at=None) == Updated(2)
    store.close()
    server.remove()
