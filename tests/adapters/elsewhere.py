"""Another process, with the managers: it takes one command a line, in JSON, and answers so."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from coatcheck import AsyncSessionManager, SessionManager


def shown(session: Any) -> dict[str, Any] | None:
    """Return what an administrator sees of a session."""
    if session is None:
        return None
    return {"handle": session.handle, "user": session.user_id, "data": dict(session)}


def blocking(manager: SessionManager, do: str, *given: Any) -> Any:
    """Carry a command out with the blocking manager."""
    if do == "create":
        return manager.create(*given).id
    if do == "list":
        return [shown(session) for session in manager.sessions_of(*given)]
    if do == "change":
        session = manager.find(given[0])
        if session is None:
            return False
        session.update(given[1])
        manager.save(session)
        return True
    return getattr(manager, do)(*given)


async def awaited(manager: AsyncSessionManager, do: str, *given: Any) -> Any:
    """Carry a command out with the async manager."""
    if do == "create":
        return (await manager.create(*given)).id
    if do == "list":
        return [shown(session) for session in await manager.sessions_of(*given)]
    if do == "open":
        return shown(await manager.open(*given))
    return await getattr(manager, do)(*given)


def main(url: str, secret: str) -> None:
    """Serve until the input ends."""
    manager = SessionManager(store=url, secret=secret)
    async_manager = AsyncSessionManager(store=url, secret=secret)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            kind, *command = json.loads(line)
            if kind == "async":
                answer = runner.run(awaited(async_manager, *command))
            else:
                answer = blocking(manager, *command)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
