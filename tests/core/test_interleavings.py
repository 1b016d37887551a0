"""Three requests in every order of their store calls, stores that fail, and limits.

Two requests in every order are in `tests.schedules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from tests.core.operations import (
    ANONYMOUS,
    CLEAR,
    DESTROY,
    EXPIRE,
    LOGIN_A,
    LOGIN_B,
    LOGOUT,
    OPERATIONS,
    REGENERATE,
    REVOKE_USER,
    SIGNED_IN,
    TOUCH,
    WRITE_K1,
    WRITE_K2,
    check,
    login,
)
from tests.core.schedules import Broken, Fault, FaultKind, Operation, Start, World, run, schedules

TRIPLES = (
    (WRITE_K1, WRITE_K2, WRITE_K1),
    (WRITE_K1, WRITE_K2, CLEAR),
    (WRITE_K1, CLEAR, REGENERATE),
    (WRITE_K1, LOGOUT, REGENERATE),
    (WRITE_K1, LOGOUT, LOGIN_A),
    (WRITE_K1, CLEAR, LOGIN_B),
    (TOUCH, EXPIRE, REGENERATE),
    (REGENERATE, DESTROY, TOUCH),
)
FAULTY = (
    (LOGIN_A, LOGOUT),
    (LOGIN_A, WRITE_K1),
    (LOGIN_B, CLEAR),
    (REGENERATE, LOGOUT),
    (REGENERATE, WRITE_K1),
    (REGENERATE, REVOKE_USER),
    (WRITE_K1, WRITE_K2),
    (WRITE_K1, REGENERATE),
    (LOGOUT, REGENERATE),
    *((operation,) for operation in OPERATIONS),
)
KINDS: tuple[FaultKind, ...] = ("fails", "answer-lost", "crash")
MOST_CALLS = 12

each_start = pytest.mark.parametrize("start", [ANONYMOUS, SIGNED_IN], ids=lambda start: start.name)


def explore(world: World, operations: Sequence[Operation]) -> int:
    """Run and check every schedule of the operations; return how many there were."""
    running = tuple((f"task{number}", operation) for number, operation in enumerate(operations))
    count = 0
    try:
        for _ in schedules(world, operations):
            count += 1
            check(world, running)
    except Broken as broken:
        raise Broken(f"{broken}: in schedule {world.choices}\n{world.story()}") from broken
    return count


def _names(operations: tuple[Operation, ...]) -> str:
    return ",".join(operation.name for operation in operations)


@each_start
@pytest.mark.parametrize("triple", TRIPLES, ids=_names)
def test_three_requests_in_every_order(start: Start, triple: tuple[Operation, ...]) -> None:
    """Whatever the order of three requests' store calls, every promise holds."""
    assert explore(World(start), triple) > 10


@each_start
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operations", FAULTY, ids=_names)
def test_a_store_that_fails_in_any_call(
    start: Start, kind: FaultKind, operations: tuple[Operation, ...]
) -> None:
    """Whichever store call fails, loses its answer or is the last: at most one ID opens it."""
    world = World(start)
    for call in range(1, MOST_CALLS):
        world.store.fault = Fault(call, kind)
        assert explore(world, operations) >= 1
        if world.store.made + 3 < call:
            break  # no schedule has that many calls


@each_start
@pytest.mark.parametrize("operation", [LOGIN_A, LOGIN_B, REGENERATE], ids=lambda one: one.name)
def test_sec_28_a_crash_leaves_the_old_session_or_none(start: Start, operation: Operation) -> None:
    """Until the tombstone is written the old session is as it was; from then on nobody has one."""
    world = World(start)
    buried: list[bool] = []
    for call in range(1, MOST_CALLS):
        world.store.fault = Fault(call, "crash")
        run(world, [operation], [])
        records = world.records()
        if world.failed:
            assert world.seed.handle not in records
        elif world.store.crashed:
            assert world.data(records[world.seed.handle]) == {"seed": "seed", "k3": "seed"}
        buried.append(world.failed)
    assert True in buried
    assert False in buried


@pytest.mark.parametrize("clients", [(0, 0), (0, 1)], ids=["double-click", "two-devices"])
@pytest.mark.parametrize("limit", [1, 2])
def test_sec_40_sign_ins_at_once_stay_within_the_limit(
    limit: int, clients: tuple[int, int]
) -> None:
    """Sign-ins at once keep to the limit, as does one after them, and each client has its own."""
    world = World(ANONYMOUS, limit=limit, clients=3)
    later = login("A", client=2)
    for _ in schedules(world, [login("A", client) for client in clients]):
        live = world.of_user("A")
        sent = {outcome.sent for outcome in world.outcomes.values()} - {None}
        wanted = min(limit, len(set(clients)))
        assert len(live) == wanted, world.story()
        assert len({handle for handle in live if handle in world.handles(sent)}) == wanted
        world.play(later)
        assert len(world.of_user("A")) == min(limit, wanted + 1), world.story()


@each_start
def test_sec_40_three_clicks_of_one_sign_in_leave_one_session(start: Start) -> None:
    """Whoever of three was admitted last, and whoever is done first, one session is left."""
    world = World(start, limit=1)
    for order in permutations(range(3)):
        # All have created their records when the first of them goes on to its end.
        run(world, [LOGIN_A] * 3, [task for task in order for _ in range(3)])
        sent = world.handles(outcome.sent for outcome in world.outcomes.values())
        (live,) = world.of_user("A")
        assert live in sent, world.story()


@pytest.mark.parametrize("limit", [1, 2])
def test_sec_40_an_eviction_ends_no_newer_sign_in(limit: int) -> None:
    """Who signs in anew, while another device's sign-in evicts the old session, stays signed in."""
    world = World(SIGNED_IN, limit=limit, clients=limit)
    for _ in schedules(world, [LOGIN_A, login("A", client=2)]):
        live = world.of_user("A")
        sent = world.handles(outcome.sent for outcome in world.outcomes.values())
        assert len(live) == limit, world.story()
        assert sent & set(live), world.story()


@pytest.mark.parametrize("other", [REGENERATE, LOGIN_A], ids=lambda one: one.name)
def test_a_regeneration_evicts_nobody(other: Operation) -> None:
    """At the limit too, the one session lives on under an ID that was sent."""
    world = World(SIGNED_IN, limit=1)
    for _ in schedules(world, [other, REGENERATE]):
        sent = world.handles(outcome.sent for outcome in world.outcomes.values())
        (live,) = world.of_user("A")
        assert live in sent, world.story()
        assert [one.error for one in world.outcomes.values()] == [None, None]


@each_start
def test_sec_38_no_sign_in_outlives_a_revocation_of_its_user(start: Start) -> None:
    """Whom the index had admitted when the user was revoked is not signed in, created or not."""
    world, revoked = World(start), 0
    for _ in schedules(world, [LOGIN_A, REVOKE_USER]):
        verbs = [call.verb for call in world.store.log]
        if verbs.index("admit") < verbs.index("revoke"):
            revoked += 1
            assert world.of_user("A") == [], world.story()
    assert revoked > 3


def test_a_sign_in_that_fails_leaves_nobody_beside_the_limit() -> None:
    """Whom a sign-in evicted is not left alive and uncounted, where it comes to nothing."""
    world = World(SIGNED_IN, limit=2, clients=2)
    other, later = login("A", client=1), login("A", client=2)
    for _ in schedules(world, [login("A", client=2), other]):
        world.play(later)
        assert len(world.of_user("A")) <= 2, world.story()
