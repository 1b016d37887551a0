"""Row 5: several clients, users and stores, errors and jumps of the clock, against plain dicts.

Requests here come one after the other; those that overlap are for `tests/schedules`, and for the
state machine of `tests/core`, which is a target too.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from hypothesis.stateful import get_state_machine_test

from coatcheck.errors import StoreError
from coatcheck.events import TouchFailed
from coatcheck.manager import SessionManager
from coatcheck.session import Session
from coatcheck.store import MemoryStore
from coatcheck.store.file import FileStore
from coatcheck.store.redis import RedisStore
from coatcheck.store.sqlite import SQLiteStore
from coatcheck.testing import ManualClock
from tests.core.harness import SECRET, Browser, Harness, SpyStore, raising
from tests.core.test_lifecycle_machine import Lifecycle
from tests.fuzz.target import Feed, Fuzz, Target, of_hypothesis, random_bytes
from tests.servers import redis

IDLE: Final = 3600.0
TOUCH: Final = 60.0
LIFETIME: Final = 30 * 86_400.0
STEPS: Final = 80
JUMPS: Final = (1.0, 6.0, 61.0, 1800.0, 3599.0, 3600.0, 86_400.0, 31 * 86_400.0)
USERS: Final = ("ann", "bob")
ROTATED: Final = "0ther-Jd8xQ3mV6tY1wC9nB5hG2kR7sF4zP0eLa"
VERBS: Final = ("get", "create", "update", "touch")

_cases = iter(range(1 << 62))


@dataclass
class Model:
    """One session, as the model has it."""

    data: dict[str, int]
    user: str | None
    begun: float
    """When its lifetime began."""
    least: float
    """When it was last certainly renewed ..."""
    most: float
    """... and when it may have been, for what slides is throttled and can fail."""
    live: bool = True

    def certainly_over(self, now: float) -> bool:
        """Whether no clock and no throttle can still keep it alive."""
        return not self.live or now >= self.most + IDLE or now >= self.begun + LIFETIME

    def certainly_live(self, now: float) -> bool:
        """Whether it must still be there."""
        renewed = self.least + IDLE - TOUCH
        return self.live and now < renewed and now < self.begun + LIFETIME


@dataclass
class Client:
    """A browser, and the session that it should have."""

    browser: Browser
    model: Model | None = None
    old: list[str] = field(default_factory=list[str])
    """IDs that were replaced or ended: nobody may get in with them again."""


class World:
    """Some clients of one site, played by bytes."""

    def __init__(self, store: Any, clock: ManualClock, feed: Feed) -> None:
        self.feed = feed
        self.number = next(_cases)
        self.clock = clock
        self.harness = Harness(SpyStore(store), clock)
        self.rotated = False
        self.clients = [Client(Browser(self.harness)) for _ in range(2 + feed.number(3))]

    @property
    def now(self) -> float:
        return self.clock()

    def play(self) -> None:
        """Do what the bytes say, and look at everybody at the end."""
        for _ in range(STEPS):
            if not self.feed:
                break
            client = self.feed.pick(self.clients)
            self.feed.pick(STEP_TABLE)(self, client)
        for client in self.clients:
            self.look(client)
            self.present_old(client)

    # What a request does

    def request(self, client: Client, act: Callable[[Session], object]) -> bool:
        """Make one request; return whether it did not fail for the store's failing.

        A deadline that could not be moved fails nothing: see `looked`.
        """
        self.harness.events.clear()
        before = client.browser.id
        try:
            client.browser.visit(act)
        except StoreError:
            assert client.browser.id == before
            return False
        finally:
            self.harness.store._before.clear()  # pyright: ignore[reportPrivateUsage]
        after = client.browser.id
        if before is not None and (after is None or not self.same(before, after)):
            client.old.append(before)
        return True

    def same(self, one: str, other: str) -> bool:
        """Whether two IDs are of one record: after a rotation the same is signed anew."""
        return self.harness.identity(one) == self.harness.identity(other)

    def current(self, client: Client) -> Model | None:
        """Return the session that the client should have; look, where time leaves it open."""
        model = client.model
        if model is None or model.certainly_over(self.now):
            client.model = None
        elif not model.certainly_live(self.now) and not self.look(client):
            self.look(client)  # a store that was told to fail does so once
        return client.model

    def look(self, client: Client) -> bool:
        """Read everything: it is what the model says; return whether the store did not fail."""
        seen: list[tuple[dict[str, Any], str | None]] = []
        fine = self.request(client, lambda session: seen.append((dict(session), session.user_id)))
        model = client.model
        if not fine:
            if model is not None:
                model.most = self.now
        elif model is None or model.certainly_over(self.now):
            client.model = None
            assert seen == [({}, None)]
        elif seen == [({}, None)] and not model.certainly_live(self.now):
            client.model = None
        else:
            assert seen == [(model.data, model.user)]
            self.looked(model, fine)
        return fine

    def looked(self, model: Model, fine: bool) -> None:
        """Note that the session was renewed, or may have been."""
        model.most = self.now
        if fine and not any(isinstance(event, TouchFailed) for event in self.harness.events):
            model.least = self.now

    def put(self, client: Client) -> None:
        """Store a value."""
        model = self.current(client)
        key, value = self.feed.pick("abc"), self.feed.number(4)

        def act(session: Session) -> None:
            session[key] = value

        fine = self.request(client, act)
        if model is not None:
            self.looked(model, fine)
        elif fine:
            model = client.model = Model({}, None, self.now, self.now, self.now)
        if fine and model is not None:
            model.data[key] = value

    def remove(self, client: Client) -> None:
        """Remove a value, or all of them."""
        model = self.current(client)
        key, everything = self.feed.pick("abc"), not self.feed.number(4)

        def act(session: Session) -> None:
            if everything:
                session.clear()
            else:
                session.pop(key, None)

        fine = self.request(client, act)
        if model is not None:
            self.looked(model, fine)
            if fine and everything:
                model.data.clear()
            elif fine:
                model.data.pop(key, None)

    def sign_in(self, client: Client) -> None:
        """Sign in: what was of nobody or of the same user is taken along, and nothing else."""
        model = self.current(client)
        user = f"{self.feed.pick(USERS)}-{self.number}"
        fine = self.request(client, lambda session: session.login(user))
        if not fine:
            if model is not None:
                model.most = self.now
            return
        kept = model.data if model is not None and model.user in {None, user} else {}
        if model is not None:
            model.live = False
        client.model = Model(dict(kept), user, self.now, self.now, self.now)

    def renew(self, client: Client) -> None:
        """Take a new ID."""
        model = self.current(client)
        fine = self.request(client, lambda session: session.regenerate())
        if model is not None:
            self.looked(model, fine)

    def end(self, client: Client) -> None:
        """Sign out, or destroy."""
        self.current(client)
        hard = self.feed.number(2)
        act: Callable[[Session], object] = Session.destroy if hard else Session.logout
        if self.request(client, act):
            client.model = None

    def revoke(self, client: Client) -> None:
        """End all sessions of a user from outside."""
        user = f"{self.feed.pick(USERS)}-{self.number}"
        self.manager().revoke_user(user)
        for other in self.clients:
            if other.model is not None and other.model.user == user:
                other.model.live = False
                if other.browser.id is not None:
                    other.old.append(other.browser.id)

    def manager(self) -> SessionManager:
        return SessionManager(
            secret=ROTATED if self.rotated else SECRET, store=self.harness.store, clock=self.clock
        )

    # What happens around it

    def jump(self, _client: Client) -> None:
        """Let time pass."""
        self.clock.advance(self.feed.pick(JUMPS))

    def fail(self, client: Client) -> None:
        """Let the next call of a verb fail, in one of the requests above."""
        self.harness.store.before(self.feed.pick(VERBS), raising(StoreError("the disk is full")))
        self.feed.pick((World.look, World.put, World.sign_in, World.renew))(self, client)

    def rotate(self, _client: Client) -> None:
        """Change the secret; the old one still verifies."""
        self.rotated = not self.rotated
        new, old = (ROTATED, SECRET) if self.rotated else (SECRET, ROTATED)
        self.harness = self.harness.twin(secret=new, old_secrets=[old])
        for client in self.clients:
            client.browser.harness = self.harness

    def present_old(self, client: Client) -> None:
        """Come with an ID that was replaced or ended: it shows nothing, and changes nothing."""
        if not client.old:
            return
        thief = Browser(self.harness)
        thief.id = self.feed.pick(client.old)
        seen: list[tuple[dict[str, Any], str | None]] = []
        thief.visit(lambda session: seen.append((dict(session), session.user_id)))
        assert seen == [({}, None)]
        planted = self.harness.identity(thief.id)
        if thief.visit(lambda session: session.update(stolen=True)).sent is not None:
            assert self.harness.identity(thief.id) != planted
            assert thief.read() == {"stolen": True}


STEP_TABLE: Final[tuple[Callable[[World, Client], object], ...]] = (
    *(World.put, World.put, World.look, World.look, World.remove),
    *(World.sign_in, World.sign_in, World.renew, World.end, World.revoke),
    *(World.jump, World.jump, World.fail, World.rotate, World.present_old),
)


def _folder() -> Path:
    folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


STORES: Final[dict[str, Callable[[ManualClock], Any]]] = {
    "memory": lambda clock: MemoryStore(clock=clock),
    "file": lambda clock: FileStore(_folder() / "sessions", clock=clock),
    "sqlite": lambda clock: SQLiteStore(_folder() / "sessions.db", clock=clock),
    "redis": lambda clock: RedisStore(redis.fresh_url(), clock=clock),
}


def on(kind: str) -> Callable[[], Fuzz]:
    """Return how to set it up on a store; the cases share that, and time goes on in it."""

    def build() -> Fuzz:
        clock = ManualClock()
        store = STORES[kind](clock)

        def check(data: bytes) -> None:
            World(store, clock, Feed(data)).play()
            store.purge()

        return Fuzz(_program, check)

    return build


def _program(dice: Random) -> bytes:
    return dice.randbytes(dice.choice((20, 80, 4 * STEPS)))


def overlapping() -> Fuzz:
    """Let requests of one browser overlap in any way, against the model of the core's tests."""
    check = of_hypothesis(get_state_machine_test(Lifecycle))
    return Fuzz(random_bytes((500, 2_000, 6_000)), check)


def _target(kind: str, quick: int) -> Target:
    return Target(
        name=f"life-{kind}",
        row=5,
        full=20_000,
        quick=quick,
        promise="sessions are what a plain model says, whatever clients, clock and store do",
        build=on(kind),
        guided=kind == "memory",
    )


TARGETS: Final = (
    _target("memory", 40),
    _target("file", 10),
    _target("sqlite", 10),
    _target("redis", 0),
    Target(
        name="life-overlapping",
        row=5,
        full=20_000,
        quick=3,
        promise="requests that overlap leave what a plain model says",
        build=overlapping,
    ),
)
