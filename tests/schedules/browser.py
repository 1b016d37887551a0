"""The browser that sent the requests of a schedule: what it and everybody else can open after them.

Its requests were under way at once, with the one ID it had, and their responses may come back in
any order. Whichever comes last decides what its jar holds, so each response that sends or deletes a
cookie is one way in which it may end.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from coatcheck.face import do_not_renew, visit_of
from coatcheck.lifecycle.visit import Phase
from coatcheck.request import PlainRequest, Request, WSGIHeaders
from coatcheck.response import finish_headers
from coatcheck.session import AsyncSession
from tests.core.operations import ENDED_BY, ENDS, WAIT, WRITES, Running, ended_in
from tests.core.schedules import Broken, World

PROBE: Final = "next"
"""The name of the requests that are made when all others are done."""
LATER: Final = 6.0
"""Seconds after which an ID that was replaced is that of a stranger."""


class Seen(NamedTuple):
    """What a page shows to who comes with an ID."""

    phase: Phase
    user_id: str | None
    data: dict[str, Any]


def look(world: World, session_id: str) -> Seen:
    """Make one request that reads, with that ID; it must send no cookie and write nothing."""
    log = world.store.log
    world.store.task, before = PROBE, len(log)
    seen = _stepped(_read(world, session_id))
    if any(call.verb != "get" for call in log[before:]):
        raise Broken("a request that reads wrote")
    del log[before:]
    return seen


def _stepped(reading: Coroutine[Any, Any, Seen]) -> Seen:
    while True:
        try:
            reading.send(None)
        except StopIteration as done:
            seen: Seen = done.value
            return seen


async def _read(world: World, session_id: str) -> Seen:
    request = PlainRequest({"cookie": f"session={session_id}"}, scheme="https")

    def view(_: Any) -> Request:
        return request

    session = AsyncSession(world.lifecycle, None, view)
    do_not_renew(session)
    await session.load()
    visit = visit_of(session)
    if visit is None:
        raise Broken("a session that was loaded has no visit")
    data = dict(session)
    await world.lifecycle.commit(visit)
    headers: list[tuple[str, str]] = []
    finish_headers(visit, WSGIHeaders(headers))
    if any(name == "Set-Cookie" for name, _ in headers):
        raise Broken("a request that reads was sent a cookie")
    return Seen(visit.phase, visit.user_id, data)


def check_browser(world: World, running: Running) -> None:
    """Raise `Broken` where the next request does not work, or an ID opens what it must not."""
    _check_nobody_is_overwritten(world, running)
    world.store.late_answers, late = False, world.store.late_answers
    world.clock.advance(LATER)
    try:
        _check_next_request(world, running)
        _check_what_ended(world)
    finally:
        world.store.late_answers = late


def _check_nobody_is_overwritten(world: World, running: Running) -> None:
    """No answer that comes late takes the ID of a sign-in, or a new one, out of the jar again."""
    operations = [operation for _, operation in running]
    if WAIT in operations or any(operation in ENDS for operation in operations):
        return
    if any(call.verb == "bury" and call.took for call in world.store.log):
        for task, operation in running:
            if operation in WRITES and world.outcomes[task].sent is not None:
                raise Broken("a request in flight sent an ID over that of a sign-in")


def _check_next_request(world: World, running: Running) -> None:
    """Whichever response came last, what the jar holds opens what the store keeps for it."""
    jars = [one.sent for one in world.outcomes.values() if one.sent is not None]
    signed_out = any(one.deleted for one in world.outcomes.values())
    ended = any(operation in ENDED_BY for _, operation in running) or _ended_by_time(world)
    if not jars and not signed_out:
        jars = [world.runtime.signer.sign(world.seed)]
        if not ended and look(world, jars[0]).phase is not Phase.STORED:
            raise Broken("nobody ended the session, and the browser's ID does not open it")
    records = world.records()
    for session_id in jars:
        (handle,) = world.handles([session_id])
        seen, record = look(world, session_id), records.get(handle)
        if record is None and (seen.phase is Phase.STORED or seen.data or seen.user_id):
            raise Broken("an ID without a live record opens something")
        if record is not None and seen != (Phase.STORED, record.user_id, world.data(record)):
            raise Broken("an ID does not open what the store keeps for it")


def _check_what_ended(world: World) -> None:
    """No ID that any client knows opens a session that was ended, replaced or has expired."""
    ended = ended_in(world)
    signer = world.runtime.signer
    known = {signer.sign(world.seed), *(one.sent for one in world.outcomes.values() if one.sent)}
    for session_id in known:
        if world.handles([session_id]) <= ended:
            seen = look(world, session_id)
            if seen != (Phase.NEW, None, {}):
                raise Broken(f"an ID of a session that was ended opens {seen}")


def _ended_by_time(world: World) -> bool:
    return any(call.verb == "jump" for call in world.store.log)
