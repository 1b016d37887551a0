"""What a session takes on each engine, and what an operation costs its server.

Bytes: `count` records with a payload of 372 bytes, what the benchmarks' session comes to, and with
800 bytes; the difference of the two gives the factor by which a payload takes more than itself, and
what is left is a record's overhead. Then the same with a user for each session, which adds that
user's index. A table is compared with itself when it was empty.

Operations: thousands of them over one connection, one after the other; the processor's time is that
of the server's own processes, and the bytes are those that Redis counts on its sockets.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import engines
from tests.benchmarks.engines import FUTURE, Engine, key_of
from tests.servers.databases import DatabaseServer
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Server

TYPICAL: Final = 372
"""Bytes of the payload of the benchmarks' session: who, a basket, some settings."""
LARGER: Final = 800
"""Still so little that a row of SQLite and PostgreSQL stays in its page."""
SHM: Final = "/dev/shm" if os.path.isdir("/dev/shm") else None
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Bytes:
    """What a session takes: `overhead + factor * payload`, and `user` where it has one."""

    overhead: float
    factor: float
    user: float

    def session(self, payload: float, *, signed_in: float = 0.0) -> float:
        """Return the bytes of a session; `signed_in` is the share of sessions with a user."""
        return self.overhead + self.factor * payload + self.user * signed_in


@dataclass(frozen=True)
class Cost:
    """What an operation costs: the server's processor (us), and the bytes to it and from it."""

    cpu: float
    sent: float = 0.0
    received: float = 0.0


def payload(size: int) -> bytes:
    """Return bytes that no engine makes smaller."""
    return os.urandom(size)


def bytes_a_session(engine: Engine, table: str, count: int, size: int, *, users: bool) -> float:
    """Fill a table and return what a session in it takes."""
    engine.store(table)
    before = engine.size(table)
    engine.fill(table, count, payload(size), users=users)
    return (engine.size(table) - before) / count


def measure_bytes(engine: Engine, count: int) -> Bytes:
    """Fill three tables and return the constants of the engine."""
    one = bytes_a_session(engine, "typical", count, TYPICAL, users=False)
    larger = bytes_a_session(engine, "larger", count, LARGER, users=False)
    owned = bytes_a_session(engine, "owned", count, TYPICAL, users=True)
    factor = (larger - one) / (LARGER - TYPICAL)
    return Bytes(one - factor * TYPICAL, factor, owned - one)


def operations(store: Any, count: int) -> dict[str, Callable[[int], object]]:
    """Return the operations on a table of `count` records, each called with a running number."""
    data, larger = payload(TYPICAL), payload(TYPICAL)
    versions: dict[str, int] = {}

    def update(number: int) -> None:
        key = key_of(number % count)
        version = versions.get(key, 1)
        store.update(key, larger, version=version, expires_at=FUTURE)
        versions[key] = version + 1

    def admit(number: int) -> None:
        store.admit(f"new-{number}", key_of(count + number), limit=None, evict=False)

    return {
        "get": lambda number: store.get(key_of(number % count)),
        "update": update,
        "touch": lambda number: store.touch(
            key_of(number % count),
            version=versions.get(key_of(number % count), 1),
            expires_at=FUTURE + number + 1,
        ),
        "create": lambda number: store.create(
            key_of(count + number), data, expires_at=FUTURE, user_id=None
        ),
        "delete": lambda number: store.delete(key_of(count + number)),
        "admit": admit,
        "confirm": lambda number: store.confirm(f"new-{number}", key_of(count + number), 1),
    }


def measure_costs(
    engine: Engine, meter: Callable[[], Cost], count: int, repeat: int
) -> dict[str, Cost]:
    """Return what each operation costs the server; `meter` returns all that it has spent so far."""
    engine.fill("operations", count, payload(TYPICAL))
    costs: dict[str, Cost] = {}
    for name, operation in operations(engine.store("operations"), count).items():
        operation(0)
        before = meter()
        for number in range(1, repeat + 1):
            operation(number)
        after = meter()
        costs[name] = Cost(
            *(
                (getattr(after, what) - getattr(before, what)) / repeat
                for what in ("cpu", "sent", "received")
            )
        )
    return costs


def redis_meter(server: Server) -> Callable[[], Cost]:
    """Return what reads the processor's time and the bytes of a Redis server."""

    def read() -> Cost:
        cpu, net = server.ask("INFO", "cpu"), server.ask("INFO", "stats")
        used = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        return Cost(
            used * 1e6, int(net["total_net_input_bytes"]), int(net["total_net_output_bytes"])
        )

    return read


def process_meter(server: DatabaseServer) -> Callable[[], Cost]:
    """Return what reads the processor's time of a server and of its processes that are alive."""

    def read() -> Cost:
        ticks = 0
        process = server._process  # pyright: ignore[reportPrivateUsage]
        number = process.pid if process is not None else os.getpid()
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        for pid in (number, *children):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return Cost(ticks / _TICK * 1e6)

    return read


@contextmanager
def opened(
    names: list[str], *, traced: bool = False
) -> Generator[dict[str, tuple[Engine, Callable[[], Cost] | None]]]:
    """Start what is asked for: engines by their names, in lower case, and what meters them."""
    found: dict[str, tuple[Engine, Callable[[], Cost] | None]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=SHM))
        for name in names:
            engine: Engine
            meter: Callable[[], Cost] | None = None
            if name == "memory":
                engine = engines.Memory(traced=traced)
            elif name == "file":
                engine = engines.File(f"{folder}/file")
            elif name == "sqlite":
                engine = engines.SQLite(folder)
            elif name == "redis":
                server = Server("databases 16")
                stack.callback(server.remove)
                engine, meter = engines.Redis(server), redis_meter(server)
            elif name == "postgresql":
                postgresql = PostgreSQL("shared_buffers=1GB", "max_wal_size=8GB")
                stack.callback(postgresql.remove)
                engine, meter = engines.PostgreSQLEngine(postgresql), process_meter(postgresql)
            elif name == "mariadb":
                mariadb = MariaDB("--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M")
                stack.callback(mariadb.remove)
                engine, meter = engines.MariaDBEngine(mariadb), process_meter(mariadb)
            else:
                raise SystemExit(f"no engine {name!r}")
            stack.callback(engine.close)
            found[name] = engine, meter
        yield found


COUNTS: Final = {"memory": 20_000, "file": 5_000}
"""Records to fill a table with; 100,000 elsewhere."""
REPEAT: Final = 5_000


def show_footprint(names: list[str], count: int = 100_000) -> None:
    """Measure and print the constants, as tests/scale/measured.py has them."""
    with opened(names, traced=True) as found:
        for name, (engine, _) in found.items():
            one = measure_bytes(engine, min(count, COUNTS.get(name, count)))
            print(
                f'"{engine.name}": Bytes({one.overhead:.0f}, {one.factor:.2f}, {one.user:.0f}),'
                f"  # {one.session(TYPICAL):.0f} bytes with a payload of {TYPICAL}",
                flush=True,
            )
            if isinstance(engine, engines.Redis):
                print(f"KEY, INDEX = {engine.usage('owned')}", flush=True)
        for engine, meter in found.values():
            if meter is None:
                continue
            print(f'"{engine.name}": {{', flush=True)
            for operation, cost in measure_costs(engine, meter, 10_000, REPEAT).items():
                numbers = f"{cost.cpu:.1f}, {cost.sent:.0f}, {cost.received:.0f}"
                print(f'    "{operation}": Cost({numbers}),')
            print("},", flush=True)
