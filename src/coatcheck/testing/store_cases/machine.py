"""Case 32: random sequences of verbs against a model, as a hypothesis state machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from coatcheck.store.protocol import (
    AsyncStore,
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
)
from coatcheck.testing.clock import ManualClock
from coatcheck.testing.expect import equal, holds
from coatcheck.testing.store_cases.base import handle

Run = Callable[[Callable[[], Any]], Any]

KEYS = st.integers(0, 1)
VERSIONS = st.integers(0, 4)
PAYLOADS = st.binary(max_size=40)
LIFETIMES = st.one_of(st.none(), st.integers(1, 900), st.floats(0.25, 900, allow_nan=False))


def search(
    store: AsyncStore, clock: ManualClock, examples: int, steps: int
) -> Callable[[Run], None]:
    """Return the search: called with `run`, it looks for a sequence that breaks the store."""

    def explore(run: Run) -> None:
        examples_begun = 0

        def machine() -> RuleBasedStateMachine:
            nonlocal examples_begun
            examples_begun += 1
            return _StoreMachine(store, clock, run, examples_begun)

        run_state_machine_as_test(
            # Its annotation says a class; it calls whatever it is given.
            cast(type[RuleBasedStateMachine], machine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )

    return explore


class _StoreMachine(RuleBasedStateMachine):
    """A store and a dict that does the same, on keys that no other example uses."""

    def __init__(self, store: AsyncStore, clock: ManualClock, run: Run, example: int) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._run = run
        self._keys = [handle(2 * example + number) for number in range(2)]
        self._model: dict[str, Stored] = {}

    def _live(self, key: str) -> Stored | None:
        record = self._model.get(key)
        if record is None or (record.expires_at is not None and self._clock() >= record.expires_at):
            return None
        return record

    def _key(self, number: int, *, live: bool) -> str:
        """Return one of the keys; number 0 is a live one, or a free one, if there is any.

        Chosen evenly, most calls would find nothing, and no sequence would go far.
        """
        return sorted(self._keys, key=lambda key: (self._live(key) is not None) != live)[number]

    def _deadline(self, lifetime: float | None) -> float | None:
        return None if lifetime is None else self._clock() + lifetime

    @initialize(payload=PAYLOADS, lifetime=LIFETIMES)
    def begin(self, payload: bytes, lifetime: float | None) -> None:
        self._create(self._keys[0], payload, lifetime)

    @rule(number=KEYS)
    def get(self, number: int) -> None:
        key = self._key(number, live=True)
        equal(self._run(lambda: self._store.get(key)), self._live(key), "get, as the model has it")

    @rule(number=KEYS, payload=PAYLOADS, lifetime=LIFETIMES)
    def create(self, number: int, payload: bytes, lifetime: float | None) -> None:
        self._create(self._key(number, live=False), payload, lifetime)

    def _create(self, key: str, payload: bytes, lifetime: float | None) -> None:
        free, deadline = self._live(key) is None, self._deadline(lifetime)
        created = self._run(
            lambda: self._store.create(key, payload, expires_at=deadline, user_id=None)
        )
        equal(created, free, "create, as the model has it")
        if free:
            self._model[key] = Stored(1, deadline, payload)

    @rule(number=KEYS, payload=PAYLOADS, lifetime=LIFETIMES)
    def update(self, number: int, payload: bytes, lifetime: float | None) -> None:
        key = self._key(number, live=True)
        current = self._live(key)
        self._update(key, payload, lifetime, current.version if current else 1)

    @rule(number=KEYS, payload=PAYLOADS, lifetime=LIFETIMES, version=VERSIONS)
    def update_of_any_version(
        self, number: int, payload: bytes, lifetime: float | None, version: int
    ) -> None:
        self._update(self._key(number, live=True), payload, lifetime, version)

    def _update(self, key: str, payload: bytes, lifetime: float | None, base: int) -> None:
        current, deadline = self._live(key), self._deadline(lifetime)
        wanted: UpdateOutcome
        if current is None:
            wanted = Gone()
        elif current.version != base:
            wanted = Conflict(current)
        else:
            wanted = Updated(base + 1)
            self._model[key] = Stored(base + 1, deadline, payload)
        outcome = self._run(
            lambda: self._store.update(key, payload, version=base, expires_at=deadline)
        )
        equal(outcome, wanted, "update, as the model has it")

    @rule(number=KEYS, seconds=st.integers(-10, 400), version=st.none() | VERSIONS)
    def touch(self, number: int, seconds: int, version: int | None) -> None:
        key, deadline = self._key(number, live=True), self._clock() + seconds
        current = self._live(key)
        base = version if version is not None else current.version if current else 1
        touched = self._run(lambda: self._store.touch(key, version=base, expires_at=deadline))
        if current is None or current.version != base:
            equal(touched, False, "touch, as the model has it")
        elif current.expires_at is not None and current.expires_at < deadline:
            equal(touched, True, "touch, as the model has it")
            self._model[key] = current._replace(expires_at=deadline)

    @rule(number=KEYS, user_id=st.sampled_from([None, "ann"]))
    def delete(self, number: int, user_id: str | None) -> None:
        key = self._key(number, live=True)
        removed = self._run(lambda: self._store.delete(key, user_id=user_id))
        equal(removed, self._live(key), "delete, as the model has it")
        self._model.pop(key, None)

    @rule(seconds=st.one_of(st.integers(1, 400), st.floats(0.25, 3, allow_nan=False)))
    def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)

    @rule(number=KEYS)
    def wait_for_the_deadline(self, number: int) -> None:
        record = self._live(self._key(number, live=True))
        if record is not None and record.expires_at is not None:
            self._clock.set(record.expires_at)

    @invariant()
    def same(self) -> None:
        for key in self._keys:
            found = self._run(lambda key=key: self._store.get(key))  # type: ignore[misc]
            holds(found == self._live(key), "all records, as the model has them", found)

    def teardown(self) -> None:
        for key in self._keys:
            self._run(lambda key=key: self._store.delete(key))  # type: ignore[misc]
