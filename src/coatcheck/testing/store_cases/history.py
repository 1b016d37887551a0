"""Case 32, in parallel: every history of a record has an order that explains its results."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from coatcheck.store.protocol import AsyncStore, Conflict, Gone, Stored, Updated

Verb: TypeAlias = Literal["get", "create", "update", "touch", "delete"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a verb: `number` makes its payload and its deadline unique."""

    verb: Verb
    number: int
    version: int = 1

    @property
    def record(self) -> Stored:
        """What the call would write."""
        return Stored(self.version + 1, 4e9 + self.number, b"%d" % self.number)


@dataclass(frozen=True, slots=True)
class Event:
    """A call that has returned: when it began, when it ended, and what it said."""

    step: Step
    began: int
    ended: int
    result: object


class Recorder:
    """Runs steps on one key and keeps the history."""

    def __init__(self, store: AsyncStore, key: str) -> None:
        self._store = store
        self._key = key
        self._ticks = itertools.count()
        self._lock = threading.Lock()
        self.events: list[Event] = []

    def worker(self, steps: Sequence[Step]) -> Callable[[], Coroutine[Any, Any, None]]:
        """Return the work of one thread or task."""

        async def work() -> None:
            for step in steps:
                with self._lock:
                    began = next(self._ticks)
                result = await self._call(step)
                with self._lock:
                    self.events.append(Event(step, began, next(self._ticks), result))

        return work

    async def _call(self, step: Step) -> object:
        store, key, record = self._store, self._key, step.record
        match step.verb:
            case "get":
                return await store.get(key)
            case "create":
                return await store.create(
                    key, record.payload, expires_at=record.expires_at, user_id=None
                )
            case "update":
                return await store.update(
                    key, record.payload, version=step.version, expires_at=record.expires_at
                )
            case "touch":
                return await store.touch(
                    key, version=step.version, expires_at=record.expires_at or 0
                )
            case "delete":
                return await store.delete(key)


def _apply(step: Step, state: Stored | None) -> tuple[object, Stored | None]:
    """Return what the step says in that state, and the state after it."""
    match step.verb:
        case "get":
            return state, state
        case "delete":
            return state, None
        case "create":
            return state is None, state or step.record._replace(version=1)
        case "update":
            if state is None:
                return Gone(), None
            if state.version != step.version:
                return Conflict(state), state
            return Updated(step.version + 1), step.record
        case "touch":
            if state is None or state.version != step.version:
                return False, state
            deadline = max(state.expires_at or 0, step.record.expires_at or 0)
            return True, state._replace(expires_at=deadline)


def explains(events: Sequence[Event], state: Stored | None = None) -> bool:
    """Say whether some order of the events, in keeping with the clock, gives all their results.

    An event that ended before another began comes before it (Herlihy and Wing, 1990). A `touch`
    may be `False` for no reason, as the protocol allows.
    """
    seen: set[tuple[frozenset[int], Stored | None]] = set()

    def search(left: frozenset[int], state: Stored | None) -> bool:
        if not left:
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        horizon = min(events[i].ended for i in left)
        for i in left:
            event = events[i]
            if event.began > horizon:
                continue
            result, after = _apply(event.step, state)
            fits = type(result) is type(event.result) and result == event.result
            if fits and search(left - {i}, after):
                return True
            idle = event.step.verb == "touch" and event.result is False
            if idle and search(left - {i}, state):
                return True
        return False

    return search(frozenset(range(len(events))), state)
