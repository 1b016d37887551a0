"""What is not flat: a user with very many sessions, and a session with very much in it.

`enter` is what a sign-in asks of the user's index, `enter, limited` the same where the number of
sessions is limited, so that they must be counted; `list` is what a page with a user's devices asks.
Nothing else looks at the index. A server that does one thing at a time, as Redis does, keeps
everybody waiting meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tests.benchmarks.engines import FUTURE, Engine, key_of
from tests.benchmarks.footprint import opened, payload
from tests.benchmarks.timing import medians, timed

SESSIONS: Final = (1, 100, 10_000)
"""Of one user."""
PAYLOADS: Final = (372, 65_536)
"""A usual session, and the largest by default (`max_size`)."""
ROUNDS: Final = 9


def of_a_user(store: Any, sessions: int) -> dict[str, Callable[[], object]]:
    """Return what is asked of the index of a user with that many sessions."""
    user = f"with-{sessions}"
    for number in range(sessions):
        store.admit(user, key_of(number), limit=None, evict=False)
    again = key_of(sessions - 1)
    return {
        "enter": lambda: store.admit(user, again, limit=None, evict=False),
        "enter, limited": lambda: store.admit(user, again, limit=sessions, evict=False),
        "list": lambda: store.entries(user),
    }


def of_a_session(store: Any, size: int) -> dict[str, Callable[[], object]]:
    """Return what requests ask of a session with that payload."""
    key, version, data = key_of(size), 1, payload(size)
    store.create(key, data, expires_at=FUTURE, user_id=None)

    def write() -> None:
        nonlocal version
        changed = data[:-4] + version.to_bytes(4, "big")
        store.update(key, changed, version=version, expires_at=FUTURE)
        version += 1

    return {"read": lambda: store.get(key), "write": write}


def measure_hot(engine: Engine) -> dict[tuple[str, int], float]:
    """Return the median seconds of each, by what it is and how much there is of it."""
    store = engine.store("hot")
    plan: dict[tuple[str, int], Callable[[int], float]] = {}
    for sessions in SESSIONS:
        for name, request in of_a_user(store, sessions).items():
            plan[name, sessions] = partial(timed, request)
    for size in PAYLOADS:
        for name, request in of_a_session(store, size).items():
            plan[name, size] = partial(timed, request)
    return medians(plan, ROUNDS)


def show_hot(names: list[str]) -> None:
    """Measure and print, as tests/scale/measured.py has it."""
    for name in names:
        with opened([name]) as found:
            engine, _ = found[name]
            results = measure_hot(engine)
            print(f'"{engine.name}": {{', flush=True)
            for request, amounts in (
                *((request, SESSIONS) for request in ("enter", "enter, limited", "list")),
                *((request, PAYLOADS) for request in ("read", "write")),
            ):
                cells = ", ".join(f"{results[request, amount] * 1e6:.0f}" for amount in amounts)
                print(f'    "{request}": ({cells}),', flush=True)
            print("},", flush=True)
