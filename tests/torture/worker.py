"""One process of the torture: it does at random whatever may be done to a session, and notes it.

`python -m tests.torture.worker SETTINGS`, the settings as JSON (see `Settings`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random  # noqa: TID251 - it is to be repeatable
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coatcheck.errors import SessionEnded, StoreError
from coatcheck.session import BaseSession
from tests.torture.clock import SharedClock
from tests.torture.doors import Awaited, Door, open_door
from tests.torture.jar import Jar, handle_of
from tests.torture.journal import Journal

TASKS: Final = 3
"""How many tasks a process with an event loop runs at once."""
MOST_TRIES: Final = 400
GO: Final = "go"
"""The file that is there when all processes are ready; in it, when to stop."""
GHOSTS: Final = 50
"""How many IDs of sessions that ended a task remembers."""
LIFE: Final = 100.0
"""Lifetime of the sessions that are given one, in seconds of the fast clock."""
SHARES: Final = {
    "read": 34,
    "write": 28,
    "count": 14,
    "regenerate": 4,
    "login": 3,
    "sign-in": 2,
    "clear": 2,
    "shorten": 1,
    "logout": 1.5,
    "destroy": 1,
    "delete": 0.7,
    "revoke": 0.7,
    "revoke-user": 0.4,
    "revoke-others": 0.4,
    "list": 3,
    "purge": 0.3,
    "ghost": 4,
}
"""How often each operation is chosen."""
_NUMBERS: Final = re.compile(r"[0-9.]*:?[0-9]{4,}(?:,[0-9.:]+)*")


@dataclass(frozen=True)
class Settings:
    """What a process is told."""

    number: int
    url: str
    folder: str
    slots: int
    users: int
    started: float
    speed: float
    seed: str
    cancels: bool = True
    defect: str = ""
    """What is broken in its store on purpose; see `defects`."""


class Task:
    """One after the other, operations at random; the only one to write its own key."""

    def __init__(
        self, settings: Settings, name: str, door: Door, journal: Journal, until: float
    ) -> None:
        self.settings = settings
        self.until = until
        self.name = name
        self.door = door
        self.journal = journal
        self.jar = Jar(Path(settings.folder) / "jar", settings.slots)
        self.random = random.Random(f"{settings.seed} {name}")
        self.written = 0
        self.born = 0
        self.ghosts: list[str] = []
        self._me = f"s{name}"
        self._kinds, self._shares = list(SHARES), list(SHARES.values())

    async def run(self) -> None:
        """Go on until it is time to stop."""
        while time.monotonic() < self.until:
            [kind] = self.random.choices(self._kinds, self._shares)
            if kind == "list":
                await self.list()
            elif kind == "purge":
                await self._note(kind, self.door.purge)
            elif kind == "revoke-user":
                await self.revoke_user(self._user())
            elif kind == "ghost":
                if self.ghosts:
                    await self.visit("read", self.random.choice(self.ghosts), None)
            else:
                await self.on_slot(kind, self._slot())

    def _user(self) -> str:
        if self.random.random() < 0.2:
            return self._me
        return f"u{self.random.randrange(self.settings.users)}"

    def _slot(self) -> int:
        """Return a slot; every third time one of a few that are in great demand."""
        slots = self.settings.slots
        return self.random.randrange(min(6, slots) if self.random.random() < 0.33 else slots)

    async def on_slot(self, kind: str, slot: int) -> None:
        """Do something to the session of a slot; where there is none, begin one."""
        session_id = self.jar.get(slot)
        if session_id is None:
            await self.create(slot)
            return
        result = await self.visit(kind, session_id, slot)
        if result == "none" and self.jar.get(slot) == session_id:
            await self.create(slot)

    async def create(self, slot: int) -> None:
        """Begin the session of a slot, every fourth one anonymous."""
        user = None if slot % 4 == 0 else f"u{slot % self.settings.users}"
        born = self._bear()

        async def work() -> tuple[str, dict[str, Any]]:
            session_id = await self.door.create(user, {"born": born, "user": user})
            self.jar.put(slot, session_id)
            return "ok", {"new": handle_of(session_id), "id": session_id}

        await self._note("create", work, user=user, bears=born)

    def _bear(self) -> str:
        self.born += 1
        return f"{self.name}/{self.born}"

    async def visit(self, kind: str, session_id: str, slot: int | None) -> str:
        """Open a session and do something to it."""
        if kind in ("delete", "revoke", "revoke-others"):
            return await self.by_handle(kind, session_id)
        number, found = 0, list[Any]()

        def act(session: BaseSession) -> bool:
            found[:] = [look(session)]
            what = self._plan(kind, session)
            if what:
                self.journal.plan(number, **what)
                carry_out(session, what)
            return bool(what)

        async def work() -> tuple[str, dict[str, Any]]:
            pause = self.random.random() * 0.004 if self.random.random() < 0.5 else 0.0
            result, new = await self.door.visit(session_id, act, pause)
            more: dict[str, Any] = {"seen": found[0]} if found and result != "none" else {}
            if result == "ok" and kind in ("regenerate", "login", "sign-in") and new is not None:
                if slot is not None:
                    self.jar.put(slot, new)
                more.update(new=handle_of(new), id=new)
            if kind in ("regenerate", "login", "sign-in", "logout", "destroy"):
                self._remember(session_id)
            return result, more

        def begun(given: int) -> None:
            nonlocal number
            number = given

        return await self._note(kind, work, begun, handle=handle_of(session_id))

    def _plan(self, kind: str, session: BaseSession) -> dict[str, Any]:
        """Say what is about to be done to the session that was found; nothing, to read only."""
        born = session.get("born")
        if born is None:
            # A sign-in of its own, whose old session somebody else ended, has none.
            return {"kind": "destroy"}
        if kind == "read":
            return {}
        if kind == "login" and session.user_id is None:
            kind = "sign-in"
        elif kind == "sign-in" and session.user_id == self._me:
            kind = "login"
        what: dict[str, Any] = {"kind": kind, "born": born}
        if kind in ("write", "clear") or (kind == "regenerate" and self.random.random() < 0.3):
            self.written += 1
            what["wrote"] = (f"w {self.name}", self.written)
        if kind in ("clear", "sign-in"):
            what["bears"] = self._bear()
            # Two who sign the same user in at once join each other's session, with its data. That
            # is `login`; here each is to begin a life of its own.
            what["user"] = session.user_id if kind == "clear" else self._me
        return what

    def _remember(self, session_id: str) -> None:
        self.ghosts.append(session_id)
        del self.ghosts[:-GHOSTS]

    async def by_handle(self, kind: str, session_id: str) -> str:
        """End a session by its handle, or all others of its user."""
        found = list[Any]()

        def act(session: BaseSession) -> bool:
            found[:] = look(session)
            return False

        async def read() -> tuple[str, dict[str, Any]]:
            result, _ = await self.door.visit(session_id, act, 0)
            return result, {"seen": tuple(found)} if found else {}

        handle = handle_of(session_id)
        result = await self._note("read", read, handle=handle)
        if result != "ok" or not found:
            return result
        user, born = found[0], found[1]

        async def end() -> None:
            await self.door.delete(handle, user if kind == "revoke" else None)
            self._remember(session_id)

        if kind == "revoke-others":
            if user is not None:
                await self.revoke_user(user, handle)
            return result
        return await self._note(kind, end, handle=handle, user=user, born=born)

    async def revoke_user(self, user: str, *keep: str) -> None:
        """End a user's sessions."""

        async def work() -> None:
            await self.door.revoke_user(user, keep)

        await self._note("revoke-user", work, user=user, keep=keep)

    async def list(self) -> None:
        """List a user's sessions."""
        user = self._user()

        async def work() -> tuple[str, dict[str, Any]]:
            return "ok", {"listed": await self.door.sessions_of(user)}

        await self._note("list", work, user=user)

    async def _note(
        self,
        kind: str,
        work: Callable[[], Awaitable[tuple[str, dict[str, Any]] | None]],
        begun: Callable[[int], None] = lambda number: None,
        **what: Any,
    ) -> str:
        number = self.journal.begin(kind, self.name, **what)
        begun(number)
        result: str = "ok"
        more: dict[str, Any] = {}
        try:
            if isinstance(self.door, Awaited) and self.settings.cancels:
                # Now and then somebody is gone before it is done.
                patience = self.random.random() * 0.01 if self.random.random() < 0.02 else None
                async with asyncio.timeout(patience):
                    done = await work()
            else:
                done = await work()
            if done is not None:
                result, more = done
        except TimeoutError:
            result = "cancelled"
        except SessionEnded:
            result = "dropped"
        except StoreError as error:
            result, more = "unknown", {"why": str(error)}
        except Exception:  # noqa: BLE001 - whatever it is, it must not be
            result = "error " + traceback.format_exc(limit=-6)
        why = more.pop("why", None)
        self.journal.end(number, result, **more)
        if why is not None:
            self.journal.stats({f"StoreError: {_NUMBERS.sub('N', why)[:100]}": 1})
            await asyncio.sleep(0.02)
        return result


def look(session: BaseSession) -> tuple[str | None, str | None, dict[str, Any], int]:
    """Return what is to be checked of a live session, as `journal.Seen` has it."""
    keys = {key: value for key, value in session.items() if key.startswith("w ")}
    return session.user_id, session.get("born"), keys, session.get("count", 0)


def carry_out(session: BaseSession, what: Mapping[str, Any]) -> None:
    """Do to the session what was planned."""
    kind: str = what["kind"]
    if "wrote" in what and kind != "clear":
        # What is written after `regenerate()` outlives a foreign `clear`, and this must not.
        key, number = what["wrote"]
        session[key] = (what["born"], number)
    if kind == "count":
        session["count"] = session.get("count", 0) + 1
    elif kind == "regenerate":
        session.regenerate()
    elif kind == "login":
        session.login(session.user_id or "")
    elif kind == "sign-in":
        session.login(what["user"], keep=())
        session["born"] = what["bears"]
    elif kind == "clear":
        session.clear()
        key, number = what["wrote"]
        session.update({"born": what["bears"], key: (what["bears"], number)})
    elif kind == "shorten":
        session.set_expiry(lifetime=LIFE)
    elif kind == "logout":
        session.logout()
    elif kind == "destroy":
        session.destroy()


async def reach(settings: Settings, on_event: Callable[[object], None]) -> Door:
    """Open the store, if need be after a server that is being killed is back."""
    clock = SharedClock(settings.started, settings.speed)
    tries = 0
    while True:
        try:
            return open_door(settings.number, settings.url, clock, on_event, settings.defect)
        except StoreError:
            tries += 1
            if tries > MOST_TRIES:
                raise
            await asyncio.sleep(0.05)


def wait_for_the_others(settings: Settings) -> float:
    """Say that this process is ready; return when to stop, on `time.monotonic()`."""
    folder = Path(settings.folder)
    (folder / f"{settings.number}.ready").touch()
    while not (folder / GO).exists():
        time.sleep(0.002)
    return float((folder / GO).read_text())


async def main(settings: Settings) -> None:
    """Run the tasks of one process."""
    logging.disable()  # what is told is counted
    journal = Journal(Path(settings.folder) / f"{settings.number}.journal")
    events: Counter[str] = Counter()

    def on_event(event: object) -> None:
        events[type(event).__name__] += 1

    door = await reach(settings, on_event)
    until = wait_for_the_others(settings)
    count = TASKS if isinstance(door, Awaited) else 1
    tasks = [Task(settings, f"{settings.number}.{n}", door, journal, until) for n in range(count)]
    await asyncio.gather(*(task.run() for task in tasks))
    journal.stats(events)


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(sys.argv[1]))))
