"""Which schedules are tried: all of two requests, random ones of three, and one again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import combinations_with_replacement
from random import Random  # noqa: TID251 - a schedule is to come again, and guards nothing
from typing import Final, NamedTuple

from coatcheck.testing.clock import ManualClock
from tests.core.operations import ANONYMOUS, EXPIRE, OPERATIONS, SIGNED_IN, WAIT, check
from tests.core.schedules import Broken, Operation, Start, World, run_as_chosen, schedules
from tests.schedules.browser import check_browser
from tests.schedules.places import place_of

STARTS: Final = (ANONYMOUS, SIGNED_IN)
PAIRS: Final = tuple(combinations_with_replacement(OPERATIONS, 2))
BY_NAME: Final = {operation.name: operation for operation in (*OPERATIONS, WAIT)}


class Play(NamedTuple):
    """What is tried: where it starts, the operations, and whether answers and starts may be late.

    A late answer is one more point of the schedule at each store call, after its effect. It makes
    a difference only where time passes between the two, for requests share nothing but the store.
    """

    start: Start
    operations: tuple[Operation, ...]
    late: bool

    @property
    def names(self) -> str:
        """How it is written in a replay."""
        names = ",".join(operation.name for operation in self.operations)
        return f"{self.start.name}{'+late' if self.late else ''} {names}"


@contextmanager
def worlds(url: str) -> Generator[Callable[[Start], World]]:
    """Open the store of a URL; give what makes a world on it."""
    clock = ManualClock()
    with place_of(url, clock) as place:
        yield lambda start: World(start, clock=clock, place=place)


def try_all(make: Callable[[Start], World], play: Play) -> int:
    """Run and check every schedule of a play; return how many there were."""
    world, count = _prepared(make, play), 0
    try:
        for _ in schedules(world, play.operations):
            count += 1
            _judge(world, play)
    except Broken as broken:
        raise _explained(broken, world, play) from broken
    return count


def try_random(make: Callable[[Start], World], *, runs: int, seed: int) -> int:
    """Run and check random schedules of three random operations; return how many differ."""
    random = Random(seed)
    kinds = {
        (start, late): _prepared(make, Play(start, (), late))
        for start in STARTS
        for late in (False, True)
    }
    tried: set[tuple[str, tuple[int, ...]]] = set()
    for _ in range(runs):
        operations = tuple(random.choices((*OPERATIONS, WAIT), k=3))
        play = Play(random.choice(STARTS), operations, random.random() < 0.5)
        world = kinds[play.start, play.late]
        try:
            run_as_chosen(world, operations, random.randrange)
            _judge(world, play)
        except Broken as broken:
            raise _explained(broken, world, play) from broken
        tried.add((play.names, tuple(world.choices)))
    return len(tried)


def pairs(only: str = "") -> Sequence[Play]:
    """Return all plays of two operations; those whose text has `only` in it."""
    plays = [Play(start, pair, late=EXPIRE in pair) for start in STARTS for pair in PAIRS]
    return [play for play in plays if only in play.names]


def replay(make: Callable[[Start], World], text: str) -> str:
    """Run one schedule again, as a failure prints it, and check it; return its story."""
    how, names, choices = (*text.split(), "")[:3]
    start = {one.name: one for one in STARTS}[how.partition("+")[0]]
    play = Play(start, tuple(BY_NAME[name] for name in names.split(",")), how.endswith("+late"))
    rest = [int(choice) for choice in choices.split(",") if choice]
    world = _prepared(make, play)
    run_as_chosen(world, play.operations, lambda count: rest.pop(0) % count if rest else 0)
    try:
        _judge(world, play)
    except Broken as broken:
        return f"{broken}\n{world.story()}"
    return world.story()


def _prepared(make: Callable[[Start], World], play: Play) -> World:
    world = make(play.start)
    world.store.late_answers = world.late_starts = play.late
    return world


def _judge(world: World, play: Play) -> None:
    running = tuple((f"task{number}", one) for number, one in enumerate(play.operations))
    check(world, running)
    check_browser(world, running)


def _explained(broken: Broken, world: World, play: Play) -> Broken:
    text = f"{play.names} {','.join(map(str, world.choices))}"
    return Broken(f'{broken}\n--replay "{text}"\n{world.story()}')
