"""Requests of one browser while its ID is rotated: no order, loss or delay may sign it out.

Two ways to try it. `try_rounds` plays two or three requests at once in all orders, from each state
in which a session can be between two rotations; and after each order, whichever of the responses
was the last to arrive, if any did, the browser goes on. `walk` is one long random life: requests
begin at any time, up to three at once, their store calls come in any order, and each response
arrives, late or never.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random  # noqa: TID251 - a schedule is to come again, and guards nothing
from typing import Any, Final, NamedTuple

from coatcheck.errors import SaveConflict
from coatcheck.events import SecretReused, WrongSecret
from coatcheck.face import do_not_renew, visit_of
from coatcheck.lifecycle.visit import Phase
from coatcheck.request import PlainRequest, Request, WSGIHeaders
from coatcheck.response import finish_headers
from coatcheck.rotation import IN_FLIGHT
from coatcheck.session import AsyncSession
from coatcheck.testing.clock import ManualClock
from tests.core.cookiejar import parse
from tests.core.operations import SIGNED_IN
from tests.core.schedules import Broken, Operation, Outcome, Place, World, schedules, step, switch
from tests.schedules.places import place_of

EVERY: Final = 900.0
ACTS: Final = ("read", "touch", "write")
STATES: Final = ("due", "lost", "parallel", "received", "late", "again", "lost again")
_ACTS: Final[dict[str, Callable[[AsyncSession, str], object]]] = {
    "read": lambda session, task: None,
    "touch": lambda session, task: None,
    "write": lambda session, task: session.update({task: "write"}),
    "login": lambda session, task: session.login("A"),
    "regenerate": lambda session, task: session.regenerate(),
    "logout": lambda session, task: session.logout(),
}
_PAUSES: Final = (0.0, 1.0, 11.0, 70.0)
"""Seconds until the browser's next requests."""
_STEPS: Final = (0.1, 3.0, 11.0, 31.0, 70.0, 500.0, EVERY)
"""Seconds that pass at once in a walk."""
_DAY: Final = 86_400.0
_LONGEST_ANSWER: Final = 30.0
"""Seconds that a response takes at most, if it arrives."""


@dataclass
class Answer:
    """What a request came to."""

    sent: str | None = None
    phase: Phase | None = None
    user_id: str | None = None
    done_at: float = 0.0
    rotations: int = 0
    """How many rotations there had been when the request began."""


class Start(NamedTuple):
    """The ID in the browser, and those that its requests under way were sent with."""

    jar: str
    cookies: Sequence[str]


@dataclass
class Site:
    """A server that rotates, and the answers that it gave."""

    clock: ManualClock = field(default_factory=ManualClock)
    place: Place | None = None
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    thinking: set[str] = field(default_factory=set[str])
    """Requests whose view takes its time; all others wait for the store, which answers soon."""
    slow_views: bool = False
    """Whether there are points of the schedule before the session is looked at and committed."""

    def __post_init__(self) -> None:
        self.world = World(
            SIGNED_IN, clock=self.clock, place=self.place, rotate_every=EVERY, idle=_DAY
        )

    async def request(self, task: str, act: str, session_id: str) -> None:
        """Play one request with that ID."""
        world, answer = self.world, self.answers[task]
        plain = PlainRequest({"cookie": f"session={session_id}"}, scheme="https")

        def view(_: Any) -> Request:
            return plain

        session = AsyncSession(world.lifecycle, None, view)
        if act == "read":
            do_not_renew(session)
        await self._think(task)
        await session.load()
        answer.user_id = session.user_id
        _ACTS[act](session, task)
        visit = visit_of(session)
        if visit is None:
            raise Broken("a session that was loaded has no visit")
        await self._think(task)
        if not world.lifecycle.idle(visit):
            await world.lifecycle.commit(visit)
        headers: list[tuple[str, str]] = []
        finish_headers(visit, WSGIHeaders(headers))
        answer.phase, answer.done_at = visit.phase, world.clock()
        for name, value in headers:
            if name == "Set-Cookie":
                if answer.sent is not None:
                    raise Broken("two cookies in one response")
                answer.sent = parse(value).value or None

    async def _think(self, task: str) -> None:
        if self.slow_views:
            self.thinking.add(task)
            await switch()
            self.thinking.discard(task)

    def at_once(self, act: str, session_id: str) -> str | None:
        """Play one request from its begin to its end; return the ID that it was sent."""
        task = f"alone{len(self.answers)}"
        self.answers[task] = Answer()
        self.world.outcomes[task] = Outcome()
        item = (task, self.request(task, act, session_id))
        while step(self.world, item):
            pass
        error = self.world.outcomes[task].error
        if error is not None:
            raise Broken(f"a request failed: {error!r}") from error
        self.check(task)
        return self.answers[task].sent

    def check(self, task: str) -> None:
        """Raise `Broken` where a request met nobody's session, or an alarm was raised."""
        answer = self.answers[task]
        if answer.phase is not Phase.STORED or answer.user_id != "A":
            raise Broken(f"{task} was signed out: {answer}")
        for _, event in self.world.events:
            if isinstance(event, SecretReused | WrongSecret):
                raise Broken(f"an alarm: {event}")

    def begin(self, state: str) -> Start:
        """Bring the session into a state; the store must be at its start."""
        clock, seed = self.world.clock, self.world.runtime.signer.sign(self.world.seed)
        clock.advance(EVERY)
        if state == "due":
            return Start(seed, (seed,) * 3)
        new = self.at_once("touch", seed)
        if new is None:
            raise Broken("what was due was not rotated")
        if state in ("lost", "lost again"):
            clock.advance(11.0 if state == "lost" else EVERY)
            return Start(seed, (seed,) * 3)
        if state == "late":
            self.at_once("touch", new)
        clock.advance({"parallel": 5.0, "late": 50.0, "again": EVERY}.get(state, 1.0))
        return Start(new, (new,) * 3 if state in ("received", "again") else (seed, new, seed))

    def go_on(self, jar: str) -> None:
        """Let the browser make its next requests, an hour and a rotation long."""
        for pause in (*_PAUSES, EVERY, *_PAUSES):
            self.world.clock.advance(pause)
            jar = self.at_once("touch", jar) or jar


@contextmanager
def site_on(url: str) -> Generator[Site]:
    """Open the store of a URL; give a site on it."""
    clock = ManualClock()
    with place_of(url, clock) as place:
        yield Site(clock, place)


def try_rounds(site: Site, state: str, acts: Sequence[str]) -> int:
    """Try every order of the requests' store calls from a state; return how many there were.

    Each is run once for each response that may be the last to arrive, and once for none.
    """
    world, count = site.world, 0
    begun: list[Start] = []

    def operation(number: int, act: str) -> Operation:
        def play(world: World, task: str) -> Coroutine[Any, Any, None]:
            if number == 0:
                site.answers.clear()
                begun[:] = [site.begin(state)]
            site.answers[task] = Answer()
            return site.request(task, act, begun[0].cookies[number])

        return Operation(act, play)

    operations = [operation(number, act) for number, act in enumerate(acts)]
    tasks = [f"task{number}" for number in range(len(acts))]
    for last in range(len(acts) + 1):
        for _ in schedules(world, operations):
            count += last == 0
            try:
                for task in tasks:
                    _raise(world, task)
                    site.check(task)
                sent = None if last == 0 else site.answers[tasks[last - 1]].sent
                if last == 0 or sent is not None:
                    site.go_on(sent or begun[0].jar)
                _check_writes(site, tasks, acts)
            except Broken as broken:
                how = f"{state}: {','.join(acts)} {world.choices}, last to arrive: {last - 1}"
                raise Broken(f"{broken}\n{how}\n{world.story()}") from broken
    return count


def _raise(world: World, task: str) -> None:
    error = world.outcomes[task].error
    if error is not None:
        raise Broken(f"{task} failed: {error!r}") from error


def _check_writes(site: Site, tasks: Sequence[str], acts: Sequence[str]) -> None:
    (record,) = site.world.records().values()
    data = site.world.data(record)
    for task, act in zip(tasks, acts, strict=True):
        if act == "write" and data.get(task) != "write":
            raise Broken(f"the change of {task} is lost")


def walk(site: Site, *, steps: int, seed: int) -> int:
    """Live a random life; return how many rotations there were."""
    random, world = Random(seed), site.world
    world.reset()
    world.outcomes = {}
    site.answers.clear()
    site.thinking.clear()
    site.slow_views = True
    jar = world.runtime.signer.sign(world.seed)
    running: dict[str, Coroutine[Any, Any, None]] = {}
    on_the_way: list[Answer] = []
    wrote: list[str] = []
    mute: set[str] = set()
    """Requests that looked at their session after one more rotation, with an ID that had been the
    previous one when they began: they show nobody, and do no harm."""
    number = 0
    hashes = {record.secret_hash for record in world.records().values()}

    def arrive(answer: Answer) -> None:
        nonlocal jar
        on_the_way.remove(answer)
        if answer.sent is not None and random.random() < 0.6:
            jar = answer.sent

    def play(task: str) -> None:
        if step(world, (task, running[task])):
            return
        del running[task]
        if isinstance(world.outcomes[task].error, SaveConflict):
            mute.add(task)  # it was told: on a busy machine 2 s may pass before its next try
            return
        _raise(world, task)
        answer = site.answers[task]
        if answer.phase is Phase.MUTE and len(hashes) > answer.rotations:
            mute.add(task)
            if answer.sent is not None:
                raise Broken(f"{task} was mute, and sent an ID")
        else:
            site.check(task)
        on_the_way.append(answer)

    try:
        for number in range(steps):
            what = random.random()
            if what < 0.3 and len(running) < 3:
                task, act = f"task{number}", random.choice(ACTS)
                world.outcomes[task], site.answers[task] = Outcome(), Answer()
                site.answers[task].rotations = len(hashes)
                running[task] = site.request(task, act, jar)
                wrote += [task] if act == "write" else []
                play(task)
            elif what < 0.7 and running:
                play(random.choice(list(running)))
            elif what < 0.85 and on_the_way:
                arrive(random.choice(on_the_way))
            else:
                pause = random.choice(_STEPS)
                # A store has answered, and an answer is there or lost, before much time passes.
                while pause > _LONGEST_ANSWER and (busy := running.keys() - site.thinking):
                    play(random.choice(sorted(busy)))
                for answer in random.sample(on_the_way, len(on_the_way)):
                    if world.clock() + pause > answer.done_at + _LONGEST_ANSWER:
                        arrive(answer)
                world.clock.advance(pause)
            hashes |= {record.secret_hash for record in world.records().values()}
        site.slow_views = False
        site.at_once("touch", jar)
        (record,) = world.records().values()
        missing = set(wrote) - mute - running.keys() - world.data(record).keys()
        lost = sorted(missing)
        if lost:
            raise Broken(f"the changes of {lost} are lost")
    except Broken as broken:
        raise Broken(f"{broken}\nwalk of {steps} steps, seed {seed}, step {number}") from broken
    return len(hashes) - 1


def try_thefts(site: Site, act: str) -> int:
    """Try every order of a thief's request and one of the victim's; return how many there were."""
    world, count = site.world, 0

    def thief(world: World, task: str) -> Coroutine[Any, Any, None]:
        site.answers.clear()
        start = site.begin("late")
        world.clock.advance(IN_FLIGHT)
        site.answers.update({"task0": Answer(), "task1": Answer()})
        stolen.append(start.cookies[0])
        jar.append(start.jar)
        return site.request(task, "touch", start.cookies[0])

    def victim(world: World, task: str) -> Coroutine[Any, Any, None]:
        return site.request(task, act, jar[-1])

    jar, stolen = list[str](), list[str]()
    for _ in schedules(world, [Operation("thief", thief), Operation(act, victim)]):
        count += 1
        try:
            _check_theft(site, act, (jar[-1], stolen[-1]))
        except Broken as broken:
            raise Broken(f"{broken}\n{act}: {world.choices}\n{world.story()}") from broken
    return count


def _check_theft(site: Site, act: str, known: Sequence[str]) -> None:
    """Nothing opens what was stolen; but what replaced it meanwhile has an ID that nobody stole."""
    world, (thief, victim) = site.world, (site.answers["task0"], site.answers["task1"])
    for task in ("task0", "task1"):
        _raise(world, task)
    if thief.user_id is not None or thief.sent is not None:
        raise Broken("a thief was served")
    live = world.records()
    if world.handles(known) & live.keys():
        raise Broken("a session that was stolen lives on")
    sent = world.handles([victim.sent])
    if live.keys() != sent and (act != "regenerate" or live):
        raise Broken("what the victim was sent is not all that is alive")
    if act != "regenerate" and any(one.user_id for one in live.values()) != (act == "login"):
        raise Broken("somebody is signed in by what was stolen, or a sign-in ended with it")


def rounds() -> Sequence[tuple[str, ...]]:
    """Return what is played at once: all of two requests, and three that may write."""
    pairs = [(first, second) for first in ACTS for second in ACTS]
    return (*pairs, ("touch", "touch", "touch"), ("write", "touch", "write"))
