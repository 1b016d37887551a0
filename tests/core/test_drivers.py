"""Where sync and async meet: stepping coroutines to their end, and keeping cancellation out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now, shield
from coatcheck.lifecycle import Lifecycle
from coatcheck.runtime import Runtime
from coatcheck.session import Session
from coatcheck.store.memory import MemoryStore
from tests.core.harness import SECRET

ENDS: list[Callable[[], object]] = [lambda: "done", lambda: 1 // 0]


class Work:
    """Something that takes a while, and says how far it came."""

    def __init__(self, end: Callable[[], object] = lambda: "done") -> None:
        self.end = end
        self.began = False
        self.finished = False

    async def do(self) -> object:
        self.began = True
        for _ in range(5):
            await checkpoint()
        self.finished = True
        return self.end()


@pytest.fixture(params=["with anyio", "without anyio"])
def anyio_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has installed the extra `asgi`, and one that has not."""
    if request.param == "without anyio":
        monkeypatch.setitem(sys.modules, "anyio", None)


def test_what_suspends_is_no_work_for_synchronous_code() -> None:
    """An async store in a synchronous program is said, not left half done."""
    with pytest.raises(RuntimeError, match="blocking store"):
        run_now(_suspending())


async def _suspending() -> None:
    await asyncio.sleep(0)


@pytest.mark.usefixtures("anyio_or_not")
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("end", ENDS, ids=["returns", "raises"])
def test_the_tasks_own_cancellation_waits(times: int, end: Callable[[], object]) -> None:
    """`Task.cancel()`, which servers use and anyio's shields let through, takes effect after."""
    work = Work(end)

    async def main() -> None:
        task = asyncio.create_task(shield(work.do()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert work.began
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait((task,))
        assert task.cancelled()

    asyncio.run(main())
    assert work.finished


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_cancellation_of_a_scope_waits(backend: str) -> None:
    """Task groups cancel by scopes, and again at each step."""
    work = Work()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(shield, work.do())
            await checkpoint()
            await checkpoint()
            assert work.began
            group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert work.finished


@pytest.mark.usefixtures("anyio_or_not")
def test_what_nobody_cancels_is_handed_on() -> None:
    """The result, and the error."""
    assert asyncio.run(shield(Work().do())) == "done"
    with pytest.raises(ZeroDivisionError):
        asyncio.run(shield(Work(lambda: 1 // 0).do()))


@pytest.mark.usefixtures("anyio_or_not")
def test_what_hangs_is_given_up() -> None:
    """The time is over: it is cancelled, which it sees, and that is an error of its own."""
    seen: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("cancelled")

    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        asyncio.run(shield(hang(), seconds=0.01))
    assert seen == ["cancelled"]


def test_what_hangs_is_given_up_on_trio() -> None:
    """As on asyncio."""

    async def main() -> None:
        hang: Coroutine[Any, Any, None] = anyio.sleep_forever()
        with pytest.raises(TimeoutError):
            await shield(hang, seconds=0.01)

    anyio.run(main, backend="trio")


def test_a_store_that_never_blocks_needs_no_event_loop() -> None:
    """A WSGI application in an ASGI one saves from its thread, a sign-in too."""
    lifecycle = Lifecycle(Runtime.awaiting(SessionConfig(secret=SECRET), MemoryStore()))
    session = Session(lifecycle)
    session.login("ann")
    session.save()
    session.regenerate()
    session.save()
    assert session.user_id == "ann"
