"""Purges a table each second record of which has expired, while programs go on using it.

    python -m tests.torture.purge --engine postgresql --rows 1000000

Two purge at once, and a third writes: it changes, extends, ends and begins sessions, and begins
some under the keys of expired records that nobody has collected yet. Then every record is looked
for: none that lives may be gone, changed or out of its user's index, and nothing expired be left.
Redis removes expired records by itself, some of them while the purge looks through the indexes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from coatcheck.store.protocol import Admitted, Updated
from tests.benchmarks import engines
from tests.benchmarks.engines import FUTURE, Engine, key_of, user_of
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Server
from tests.torture.engines import new_folder

STEP: Final = 1000
TABLE: Final = "half"
_STRIDE: Final = 7_919
"""A prime, so that the writer comes to the records in no order that an engine could like."""


@contextmanager
def opened(name: str) -> Generator[Engine]:
    """An engine of ours, which is removed afterwards."""
    folder = new_folder()
    server: Any = None
    try:
        if name in ("postgresql", "mariadb", "redis"):
            server = {"postgresql": PostgreSQL, "mariadb": MariaDB, "redis": Server}[name]()
        made: dict[str, Callable[[], Engine]] = {
            "sqlite": lambda: engines.SQLite(str(folder)),
            "file": lambda: engines.File(str(folder)),
            "postgresql": lambda: engines.PostgreSQLEngine(server),
            "mariadb": lambda: engines.MariaDBEngine(server),
            "redis": lambda: engines.Redis(server),
        }
        engine = made[name]()
        try:
            yield engine
        finally:
            engine.close()
    finally:
        if server is not None:
            server.remove()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Purged:
    """What came of it."""

    rows: int
    removed: int = 0
    seconds: float = 0.0
    writes: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        first = (
            f"{self.rows:,} rows, {self.removed:,} purged in {self.seconds:.1f} s beside"
            f" {self.writes:,} turns of a writer: {len(self.wrong)} wrong"
        )
        return "\n".join([first, *self.wrong[:10]])


def newcomer(number: int) -> str:
    """Return whose a session is that the writer begins: nobody takes a key of his own again."""
    return f"newcomer-{number}"


class Writer:
    """Goes on using the table, and knows what must be in it."""

    def __init__(self, store: Any, rows: int) -> None:
        self.store = store
        self.rows = rows
        self.written: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.turns = 0
        self.wrong: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Write until it is time to stop."""
        while not stop.is_set():
            self.turns += 1
            self.turn(self.turns)

    def turn(self, turn: int) -> None:
        """Change one live record, end another, begin a new one and one under an expired key."""
        live = turn * _STRIDE * 2 % self.rows
        if live not in self.ended:
            found = self.store.get(key_of(live))
            version = found.version if found else 1
            payload = b"changed in turn %d" % turn
            done = self.store.update(key_of(live), payload, version=version, expires_at=FUTURE)
            self.written[live] = payload
            if isinstance(done, Updated):
                self.store.touch(key_of(live), version=done.version, expires_at=FUTURE + 1)
            else:
                self.wrong.append(f"the live record {live} is gone for an update: {done}")
        if turn % 8 == 0:
            other = (live + self.rows // 4 * 2) % self.rows
            if self.store.delete(key_of(other), user_id=user_of(other)) is not None:
                self.ended.add(other)
                self.written.pop(other, None)
        expired = (self.rows - live - 1) % self.rows | 1
        for number in (self.rows + turn, expired):
            if number < self.rows and (number in self.written or number >= self.rows):
                continue
            payload, user = b"begun in turn %d" % turn, newcomer(number)
            admitted = self.store.admit(user, key_of(number), limit=None, evict=False)
            created = self.store.create(key_of(number), payload, expires_at=FUTURE, user_id=user)
            epoch = admitted.epoch if isinstance(admitted, Admitted) else -1
            if not created or not self.store.confirm(user, key_of(number), epoch):
                self.wrong.append(f"the session {number} could not be begun")
            self.written[number] = payload


def purge(name: str, rows: int) -> Purged:
    """Fill, purge and check one engine."""
    with opened(name) as engine:
        outcome = Purged(rows)
        engine.fill(TABLE, rows, b"as it was filled", users=True, lapsed=True)
        store, filled = engine.store(TABLE), time.monotonic()
        writer, stop = Writer(store, rows), threading.Event()

        def purge_all() -> int:
            removed = 0
            while True:
                step: int = store.purge(STEP)
                removed += step
                if step < STEP:
                    return removed

        begun = time.perf_counter()
        with ThreadPoolExecutor(3) as threads:
            writing = threads.submit(writer.run, stop)
            purging = [threads.submit(purge_all) for _ in range(2)]
            try:
                outcome.removed = sum(one.result() for one in purging)
            finally:
                outcome.seconds = time.perf_counter() - begun
                stop.set()
            writing.result()
        outcome.writes = writer.turns
        # What one of them had locked, the other has left.
        outcome.removed += purge_all()
        if isinstance(engine, engines.Redis):
            outcome.removed = removed_by_the_server(engine, filled + rows / 5000)
        outcome.wrong += writer.wrong
        check(outcome, store, writer, name)
        return outcome


def removed_by_the_server(engine: engines.Redis, due: float) -> int:
    """Return how much Redis has removed by itself of what is over when the clock says `due`.

    It leaves up to a tenth until somebody comes across it, as who lists all names does.
    """
    time.sleep(max(0.0, due - time.monotonic()))
    all_keys(engine.store(TABLE))
    return engine.expired()


def all_keys(store: Any) -> set[str]:
    """Return the keys of all live records."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        keys, cursor = store.scan(cursor, count=5000)
        found.update(keys)
        if cursor is None:
            return found


def check(outcome: Purged, store: Any, writer: Writer, name: str) -> None:
    """Look for every record, and for the entries of a part of the users."""
    rows, wrong = outcome.rows, outcome.wrong
    expected = {
        key_of(number)
        for number in (*range(0, rows, 2), *writer.written)
        if number not in writer.ended
    }
    taken = sum(1 for number in writer.written if number % 2 and number < rows)
    found = all_keys(store)
    wrong += [f"the live record {key} is gone" for key in expected - found]
    wrong += [f"the record {key} should not be there" for key in found - expected]
    if not rows // 2 - taken <= outcome.removed <= rows // 2:
        wrong.append(f"{outcome.removed} records were purged of {rows // 2}, {taken} of them taken")
    sample = {*range(0, rows, max(1, rows // 20_000)), *list(writer.written)[:20_000]}
    for number in sorted(sample):
        lives = number not in writer.ended and (number % 2 == 0 or number in writer.written)
        begun = number in writer.written and (number % 2 == 1 or number >= rows)
        user = newcomer(number) if begun else user_of(number)
        record, entries = store.get(key_of(number)), store.entries(user)
        payload = writer.written.get(number, b"as it was filled") if lives else None
        if (None if record is None else record.payload) != payload:
            wrong.append(f"the record {number} is {record}, not {payload!r}")
        if [entry.key for entry in entries] != ([key_of(number)] if lives else []):
            wrong.append(f"the index of {user} is {entries}")
        # Files keep that entry until the newcomer's session ends, and Redis does where it had
        # removed the record, and with it whose it was; a list shows nobody else's.
        if begun and name not in ("file", "redis") and store.entries(user_of(number)):
            wrong.append(f"the index of {user_of(number)} has what was taken from it")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture.purge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ("redis", "postgresql", "mariadb", "sqlite", "file")
    parser.add_argument("--engine", action="append", choices=names)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    clean = True
    for name in given.engine or names[:-1]:
        outcome = purge(name, given.rows)
        sys.stdout.write(f"{name}: {outcome}\n")
        sys.stdout.flush()
        clean &= not outcome.wrong
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
