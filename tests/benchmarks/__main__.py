"""Times what a session adds to a request, beside the bare operation of its store.

    python -m tests.benchmarks [--rounds 9] [--adapters wsgi,asgi] [--stores memory,sqlite]
    python -m tests.benchmarks --only mix --cpu
    python -m tests.benchmarks --only flat --engines memory,sqlite --cpu

"Added" is microseconds over the same application without sessions, in the same round; the ratio is
to the bare store operations that the request cannot do without, timed in the same round too: a read
is one `get`, a write one `get` and one `update`, a new session one `create`. Medians over rounds.
Ratios hold from machine to machine; microseconds do not. Then the seeds' mix: see `mix.py`.

More parts are measured only when they are asked for, on real servers that they start:

    --only footprint    bytes a session, processor time and traffic an operation
    --only flat         reads, writes and new sessions beside 1,000 to 1,000,000 others; purging
    --only hot          one user with many sessions, one session with much in it
    --only sql          a read and a write beside one and two calls of the bare driver
    --only burst        16 requests at once under asyncio
    --only encryption   what it adds to a read and a write

with `--engines redis,postgresql` for some only. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial

from coatcheck import SessionManager, open_store
from tests.benchmarks.apps import ADAPTERS, PAYLOAD, SECRET, Target
from tests.benchmarks.burst import show_burst
from tests.benchmarks.encryption import show_encryption
from tests.benchmarks.flat import show_flat
from tests.benchmarks.footprint import show_footprint
from tests.benchmarks.hot import show_hot
from tests.benchmarks.mix import measure_mix, show_mix
from tests.benchmarks.sql import show_sql
from tests.benchmarks.timing import by_the_processor, medians, timed

PARTS: dict[str, Callable[[list[str]], None]] = {
    "footprint": show_footprint,
    "flat": show_flat,
    "hot": show_hot,
    "sql": show_sql,
    "burst": show_burst,
    "encryption": show_encryption,
}
"""What is only measured when it is asked for, because it needs servers, or takes minutes."""

REQUESTS = {
    "visitor, untouched": ("/untouched", False),
    "known, untouched": ("/untouched", True),
    "read": ("/read", True),
    "write": ("/write", True),
    "new": ("/new", False),
}


def store_url(name: str, folder: str, who: str) -> str:
    """Return the URL of a fresh store of that kind."""
    return {
        "memory": "memory://",
        "file": f"file://{folder}/{who}",
        "sqlite": f"sqlite:///{folder}/{who}.db",
    }[name]


class BareStore:
    """The store's own operations on a record as the adapters write it."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        manager = SessionManager(secret=SECRET, store=self.store)
        self.key = manager.create(data={**PAYLOAD, "n": 1}).handle
        found = self.store.get(self.key)
        if found is None:
            raise RuntimeError("the store lost a record")
        self.version, self.expires_at, self.payload = found
        self.fresh = 0

    def get(self) -> None:
        self.store.get(self.key)

    def update(self) -> None:
        # Changing content: SQLite skips a write of identical pages.
        payload = self.payload[:-4] + self.version.to_bytes(4, "big")
        self.store.update(self.key, payload, version=self.version, expires_at=self.expires_at)
        self.version += 1

    def create(self) -> None:
        self.fresh += 1
        self.store.create(
            f"{self.fresh:032x}", self.payload, expires_at=self.expires_at, user_id=None
        )


def measure(
    rounds: int, adapters: list[str], stores: list[str], folder: str
) -> dict[tuple[str, str, str], float]:
    """Return the median seconds of every request and bare operation, rounds interleaved."""
    plan: dict[tuple[str, str, str], Callable[[int], float]] = {}
    for adapter in adapters:
        for store in [None, *stores]:
            url = store_url(store, folder, adapter) if store else None
            target: Target = ADAPTERS[adapter](url)
            cookie = "session=" + "x" * 68
            if store:
                headers = {name.lower(): value for name, value in target.ask("/new", None)}
                cookie = headers["set-cookie"].partition(";")[0]
            for request, (path, known) in REQUESTS.items():
                plan[adapter, store or "bare", request] = partial(
                    target.time, path, cookie if known else None
                )
    for store in stores:
        bare = BareStore(store_url(store, folder, "store"))
        for operation in ("get", "update", "create"):
            plan["store", store, operation] = partial(timed, getattr(bare, operation))
    return medians(plan, rounds)


def show(
    results: dict[tuple[str, str, str], float], adapters: list[str], stores: list[str]
) -> None:
    """Print the table."""
    for store in stores:
        get, update, create = (
            results["store", store, operation] * 1e6 for operation in ("get", "update", "create")
        )
        floors = {"read": get, "write": get + update, "new": create}
        print(f"\n{store}: bare get {get:.1f} us, update {update:.1f} us, create {create:.1f} us")
        print(f"  {'added by the session, us':26}" + "".join(f"{name:>20}" for name in adapters))
        for request in REQUESTS:
            cells: list[str] = []
            for adapter in adapters:
                added = (results[adapter, store, request] - results[adapter, "bare", request]) * 1e6
                ratio = f"({added / floors[request]:.1f} x bare)" if request in floors else ""
                cells.append(f"{added:.1f} {ratio:>12}".rjust(20))
            print(f"  {request:26}" + "".join(cells))


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description="Time what a session adds to a request.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--adapters", default="wsgi,asgi,flask")
    parser.add_argument("--stores", default="memory,file,sqlite")
    parser.add_argument("--only", choices=["requests", "mix", *PARTS], help="one part")
    parser.add_argument("--engines", default="memory,file,sqlite,redis,postgresql,mariadb")
    parser.add_argument("--cpu", action="store_true", help="time by the processor's clock")
    options = parser.parse_args()
    if options.cpu and options.only in PARTS:
        by_the_processor()
    if options.only in PARTS:
        PARTS[options.only](options.engines.split(","))
        return
    adapters, stores = options.adapters.split(","), options.stores.split(",")
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "mix":
            show(measure(options.rounds, adapters, stores, folder), adapters, stores)
        if options.cpu:
            by_the_processor()
        if options.only != "requests":
            show_mix(measure_mix(options.rounds, stores, folder))


if __name__ == "__main__":
    main()
