"""Runs requests against one session in every order in which their store calls can happen.

Each request is a coroutine, and each store call a point where another request may come first. There
are no threads and no event loop, so a schedule is a list of numbers and can be repeated.
"""

from __future__ import annotations

import types
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Literal, NamedTuple, TypeVar

from coatcheck.config import SessionConfig
from coatcheck.errors import StoreError
from coatcheck.events import Event
from coatcheck.face import do_not_renew, visit_of
from coatcheck.ids import Identity, secret_hash
from coatcheck.layout import unpack
from coatcheck.lifecycle import Lifecycle
from coatcheck.lifecycle.visit import Phase
from coatcheck.manager import AsyncSessionManager
from coatcheck.record import Record, Tombstone
from coatcheck.request import PlainRequest, Request, WSGIHeaders
from coatcheck.response import finish_headers
from coatcheck.runtime import Runtime
from coatcheck.session import AsyncSession
from coatcheck.shapes import awaited
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import (
    Admission,
    Admitted,
    IndexEntry,
    Stored,
    Updated,
    UpdateOutcome,
)
from coatcheck.testing.clock import ManualClock
from tests.core.cookiejar import parse
from tests.core.harness import SECRET, FullStore

T = TypeVar("T")
START = 1_800_000_000.0


@types.coroutine
def switch() -> Generator[None, None, None]:
    """Let the scheduler decide who goes on."""
    yield


class Call(NamedTuple):
    """One store call that took effect, and whose it was."""

    task: str
    verb: str
    """That of the store; `bury` is an `update` that leaves a tombstone, `jump` time that passes."""
    key: str
    took: bool
    """Whether it wrote, removed or admitted something."""


FaultKind = Literal["fails", "answer-lost", "crash"]
"""A call fails and does nothing; takes effect and then fails; is the last of its process."""


class Fault(NamedTuple):
    """Which store call of the first task goes wrong, counted from 1, and how."""

    call: int
    kind: FaultKind


Place = Callable[[Collection[str]], FullStore]
"""Returns an empty store; it may be the same one, from which those keys were removed."""


class Crash(BaseException):
    """The process is no more: nothing in it that catches this can reach the store."""


class SteppedStore:
    """An async store over a blocking one, in which every call is a point of the schedule."""

    namespace = "coatcheck"
    get_never_suspends = False

    def __init__(self, place: Place) -> None:
        self.place = place
        self.task = ""
        self.fault: Fault | None = None
        self.keys = set[str]()
        """All keys under which something may lie."""
        self.late_answers = False
        """Whether the others may come first after a call took effect, too, before its answer."""
        self.empty()

    def empty(self) -> None:
        """Begin anew."""
        self.inner = self.place(self.keys)
        self.keys = set[str]()
        self.log: list[Call] = []
        self.made = 0
        self.crashed = False

    async def _call(
        self, verb: str, key: str, effect: Callable[[], T], took: Callable[[T], bool]
    ) -> T:
        """Let the others come first, take effect, and fail if this is the call that shall."""
        if self.crashed and self.task == "task0":
            raise Crash
        await switch()
        self.made += self.task == "task0"
        kind = None
        if self.task == "task0" and self.fault is not None and self.fault.call == self.made:
            kind = self.fault.kind
        if kind == "fails":
            raise StoreError("the store cannot be reached")
        result = effect()
        self.log.append(Call(self.task, verb, key, took(result)))
        if kind == "answer-lost":
            raise StoreError("the answer of the store got lost")
        if kind == "crash":
            self.crashed = True
            raise Crash
        if self.late_answers:
            await switch()
        return result

    async def get(self, key: str, /) -> Stored | None:
        return await self._call("get", key, lambda: self.inner.get(key), _never_took)

    async def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        self.keys.add(key)
        return await self._call(
            "create",
            key,
            lambda: self.inner.create(key, payload, expires_at=expires_at, user_id=user_id),
            bool,
        )

    async def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        return await self._call(
            "bury" if isinstance(unpack(payload), Tombstone) else "update",
            key,
            lambda: self.inner.update(key, payload, version=version, expires_at=expires_at),
            lambda outcome: isinstance(outcome, Updated),
        )

    async def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        return await self._call(
            "touch",
            key,
            lambda: self.inner.touch(key, version=version, expires_at=expires_at),
            bool,
        )

    async def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        return await self._call(
            "delete",
            key,
            lambda: self.inner.delete(key, user_id=user_id),
            lambda removed: removed is not None,
        )

    async def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        return await self._call(
            "entries", user_id, lambda: self.inner.entries(user_id), _never_took
        )

    async def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        return await self._call(
            "admit",
            key,
            lambda: self.inner.admit(user_id, key, limit=limit, evict=evict, replaces=replaces),
            lambda admission: isinstance(admission, Admitted),
        )

    async def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        return await self._call(
            "confirm", key, lambda: self.inner.confirm(user_id, key, epoch), bool
        )

    async def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        return await self._call(
            "revoke", user_id, lambda: self.inner.revoke(user_id, keep=keep), bool
        )

    async def forget(self, user_id: str, key: str, /) -> None:
        await self._call("forget", key, lambda: self.inner.forget(user_id, key), _never_took)

    async def purge(self, limit: int = 1000, /) -> int:
        return await self._call("purge", "", lambda: self.inner.purge(limit), _never_took)

    async def claim_purge(self, interval: float, /) -> bool:
        return await self._call(
            "claim_purge", "", lambda: self.inner.claim_purge(interval), _never_took
        )


def _never_took(_: object) -> bool:
    return False


async def _unshielded(work: Awaitable[T], /) -> T:
    return await work


class Start(NamedTuple):
    """What the session of the client is when the requests begin."""

    name: str
    user: str | None


@dataclass
class Outcome:
    """What one request or program did."""

    sent: str | None = None
    deleted: bool = False
    asked: bool = False
    """Whether a `login` or `regenerate` was pending when the commit began."""
    phase: Phase | None = None
    error: BaseException | None = None


class Broken(AssertionError):
    """A promise was broken in one schedule."""


@dataclass
class World:
    """One server and one client's session, to be run again and again."""

    start: Start
    limit: int | None = None
    clients: int = 1
    """How many clients have such a session; where it has a user, it is the same one."""
    clock: ManualClock = field(default_factory=ManualClock)
    place: Place | None = None
    """Where the sessions lie; `None`: in a memory store of their own."""
    rotate_every: float | None = None
    idle: float = 3600.0
    """The idle timeout of the client's session, in seconds."""
    late_starts: bool = False
    """Whether the others may come first before a request has begun."""

    def __post_init__(self) -> None:
        self.store = SteppedStore(self.place or (lambda _: MemoryStore(clock=self.clock)))
        self.events: list[tuple[str, Event]] = []
        config = SessionConfig(
            secret=SECRET,
            clock=self.clock,
            on_event=self._note,
            purge="never",
            max_sessions_per_user=self.limit,
            rotate_every=self.rotate_every,
        )
        self.runtime = Runtime(config, awaited(self.store))
        self.runtime.shield = _unshielded
        self.lifecycle = Lifecycle(self.runtime)
        self.manager = AsyncSessionManager(config, store=self.store)
        self.seeds = [self.runtime.signer.mint() for _ in range(3)]
        self._payloads = [self._seed_payload(identity) for identity in self.seeds]
        self.outcomes: dict[str, Outcome] = {}
        self.choices: list[int] = []
        """The schedule that ran last: who went on, wherever more than one could."""

    @property
    def seed(self) -> Identity:
        """Who the client's session is at the start."""
        return self.seeds[0]

    def _note(self, event: Event) -> None:
        self.events.append((self.store.task, event))

    def _seed_payload(self, identity: Identity) -> bytes:
        user = self.start.user
        return self.runtime.pack(
            Record(
                secret_hash(identity.secret),
                user,
                0,
                START - 100.0,
                None if user is None else START - 100.0,
                self.idle,
                START + 864_000.0,
                True,
                self.runtime.codec_number,
                self.runtime.codec.encode({"seed": "seed", "k3": "seed"}),
            )
        )

    def reset(self) -> None:
        """Go back to the start: one stored session, last active 100 s ago."""
        self.clock.set(START)
        self.store.empty()
        self.store.task = "seed"
        self.events.clear()
        inner, user = self.store.inner, self.start.user
        for identity, payload in zip(self.seeds[: self.clients], self._payloads, strict=False):
            handle = identity.handle
            self.store.keys.add(handle)
            admission = None
            if user is not None:
                admission = inner.admit(user, handle, limit=None, evict=False)
            inner.create(handle, payload, expires_at=START - 100.0 + self.idle, user_id=user)
            if user is not None and isinstance(admission, Admitted):
                inner.confirm(user, handle, admission.epoch)

    def records(self) -> dict[str, Record]:
        """Return the live records by handle."""
        inner, now = self.store.inner, self.clock()
        found: dict[str, Record] = {}
        for handle in self.store.keys:
            stored = inner.get(handle)
            content = unpack(stored.payload) if stored else None
            if isinstance(content, Record) and not content.ended(now):
                found[handle] = content
        return found

    def data(self, record: Record) -> dict[str, Any]:
        """Return the data of a record."""
        return self.runtime.codec.decode(record.data)

    def story(self) -> str:
        """Return what happened in the schedule that ran last, to be read."""
        lines = [f"  {call}" for call in self.store.log]
        lines += [f"  {task}: {event}" for task, event in self.events]
        lines += [f"  {task}: {outcome}" for task, outcome in self.outcomes.items()]
        return "\n".join(lines)

    @property
    def failed(self) -> bool:
        """Whether the first task failed or died after it had replaced the old record."""
        return self.outcomes["task0"].error is not None and any(
            call.task == "task0" and call.verb == "bury" and call.took for call in self.store.log
        )

    def of_user(self, user_id: str) -> list[str]:
        """Return the handles of the user's live records."""
        return [handle for handle, record in self.records().items() if record.user_id == user_id]

    def handles(self, ids: Iterable[str | None]) -> set[str]:
        """Return what the IDs stand for."""
        verified = (self.runtime.signer.verify(session_id or "") for session_id in ids)
        return {known[0].handle for known in verified if known is not None}

    def play(self, operation: Operation) -> None:
        """Let an operation happen after all others, all at once."""
        self.outcomes["after"] = Outcome()
        item = ("after", operation.play(self, "after"))
        while step(self, item):
            pass

    def is_live(self, handle: str) -> bool:
        """Say whether a live record has the handle."""
        stored = self.store.inner.get(handle)
        return stored is not None and isinstance(unpack(stored.payload), Record)

    def removed_by_others(self, task: str, handle: str) -> bool:
        """Say whether somebody else removed the record after the task wrote it, or time did."""
        wrote = False
        for call in self.store.log:
            if call.verb == "jump":
                return True
            if call.key != handle or not call.took:
                continue
            if call.task == task:
                wrote = wrote or call.verb in ("create", "update", "touch")
            elif wrote and call.verb in ("delete", "bury"):
                return True
        return False

    async def request(
        self,
        task: str,
        act: Callable[[AsyncSession], object],
        *,
        renew: bool = True,
        client: int = 0,
    ) -> None:
        """Play one request of the client that has the session."""
        if self.late_starts:
            await switch()
        outcome = self.outcomes[task]
        cookie = "session=" + self.runtime.signer.sign(self.seeds[client])
        plain = PlainRequest({"cookie": cookie}, scheme="https")

        def view(_: Any) -> Request:
            return plain

        session = AsyncSession(self.lifecycle, None, view)
        if not renew:
            do_not_renew(session)
        await session.load()
        waiting = act(session)
        if isawaitable(waiting):
            await waiting
        visit = visit_of(session)
        if visit is None:
            raise Broken("a session that was loaded has no visit")
        outcome.asked = visit.replacement is not None
        if not self.lifecycle.idle(visit):
            try:
                await self.lifecycle.commit(visit)
            except StoreError:
                await self.lifecycle.commit_late(visit, failed=True)
                raise
        headers: list[tuple[str, str]] = []
        finish_headers(visit, WSGIHeaders(headers))
        outcome.phase = visit.phase
        cookies = [parse(value) for name, value in headers if name == "Set-Cookie"]
        if len(cookies) > 1:
            raise Broken("two cookies in one response")
        for cookie_sent in cookies:
            if cookie_sent.attributes.get("max-age") == "0":
                outcome.deleted = True
            else:
                outcome.sent = cookie_sent.value
                self._check_sent(task, cookie_sent.value)

    def _check_sent(self, task: str, session_id: str) -> None:
        """No response sends an ID unless its own write just succeeded."""
        verified = self.runtime.signer.verify(session_id)
        if verified is None:
            raise Broken("what was sent is no ID of ours")
        handle = verified[0].handle
        wrote = [
            call
            for call in self.store.log
            if call.task == task
            and call.key == handle
            and call.took
            and call.verb in ("create", "update", "touch")
        ]
        if not wrote:
            raise Broken("an ID was sent that this request did not write")
        if not self.is_live(handle) and not self.removed_by_others(task, handle):
            raise Broken("an ID was sent that has no live record")


@dataclass(frozen=True)
class Operation:
    """Something that happens to a session."""

    name: str
    play: Callable[[World, str], Coroutine[Any, Any, None]]
    """Given the world and the name of its task."""

    def __repr__(self) -> str:
        return self.name


def run(world: World, operations: Sequence[Operation], prefix: Sequence[int]) -> list[int]:
    """Run the operations in the order that `prefix` says, and then the first that can go on.

    Returns for each decision that was made how many could have gone on.
    """
    options: list[int] = []

    def choose(count: int) -> int:
        options.append(count)
        return prefix[len(options) - 1] if len(options) <= len(prefix) else 0

    run_as_chosen(world, operations, choose)
    return options


def run_as_chosen(
    world: World, operations: Sequence[Operation], choose: Callable[[int], int]
) -> None:
    """Run the operations; `choose` is asked which of so many that can go on does.

    An error is the outcome of its task, but a broken promise is raised.
    """
    world.reset()
    world.outcomes, world.choices = {}, []
    store, waiting = world.store, list[tuple[str, Coroutine[Any, Any, None]]]()
    for number, operation in enumerate(operations):
        task = f"task{number}"
        world.outcomes[task] = Outcome()
        coroutine = operation.play(world, task)
        waiting.append((task, coroutine))
    alive = [item for item in waiting if step(world, item)]
    while alive:
        choice = choose(len(alive)) if len(alive) > 1 else 0
        if len(alive) > 1:
            world.choices.append(choice)
        item = alive[choice]
        if not step(world, item):
            alive.remove(item)
    store.task = "end"


def step(world: World, item: tuple[str, Coroutine[Any, Any, None]]) -> bool:
    """Let a task go on to its next store call; `False`: it is done."""
    task, coroutine = item
    world.store.task = task
    try:
        coroutine.send(None)
    except StopIteration:
        return False
    except Broken:
        raise
    except Crash as crash:
        world.outcomes[task].error = crash
        return False
    except Exception as error:  # noqa: BLE001 - it is what the test asks for
        world.outcomes[task].error = error
        return False
    return True


def schedules(world: World, operations: Sequence[Operation]) -> Iterator[list[int]]:
    """Run all schedules, and yield each after it was run."""
    stack: list[list[int]] = [[]]
    while stack:
        prefix = stack.pop()
        options = run(world, operations, prefix)
        made = prefix + [0] * (len(options) - len(prefix))
        yield made
        for place in range(len(prefix), len(options)):
            stack.extend([*made[:place], other] for other in range(1, options[place]))
