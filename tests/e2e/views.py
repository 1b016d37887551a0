"""What the applications under test do, which is the same on every framework.

A view is named by the path, is given the session and the query, and returns an `Answer`, which the
applications in `wsgi_apps` and `asgi_apps` translate.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from anyio.lowlevel import checkpoint

from coatcheck.errors import ResponseStarted
from coatcheck.events import Event
from coatcheck.options import Options
from coatcheck.session import AsyncSession, BaseSession

SECRET: Final = "e2e-Vt3kQ9xW7mZ2pL5rB8nD4fH6jC1sG0yA"
OPTIONS: Final[Options] = {"secret": SECRET, "on_event": lambda event: tell(event)}
FILES: Final[Options] = {**OPTIONS, "cookie_name": "files"}
"""The options of the mount whose store is a folder of files."""
PATIENCE: Final = 60.0
"""Seconds after which a view that waits for a test gives up."""
CHUNK: Final = b"coatcheck-" * 6554
"""A little more than 64 KiB."""

Query = Mapping[str, str]
Body = Generator[bytes | None]
"""A body that is made while it is sent; `None`: nothing yet, ask again in a moment."""


class Answer(NamedTuple):
    """What a view wants to be sent."""

    body: bytes | Body | Path = b""
    """A path is a file to be sent as a framework or server sends files."""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()


def store_urls(folder: Path) -> tuple[str, str]:
    """Return the URLs of the database and of the folder of files that all processes share."""
    return f"sqlite:///{folder}/sessions.db", f"file://{folder}/sessions?namespace=files"


def folder() -> Path:
    """Return where the server that runs this keeps its sessions."""
    return Path(os.environ["E2E_FOLDER"])


def tell(event: Event | str) -> None:
    """Write what happened to the server's log, in one go: several processes share it."""
    sys.stderr.write(f"event: {event}\n")


def until_there(name: str) -> Body:
    """Wait until a file of that name is there."""
    gate = folder() / name
    tell(f"{name} holds up {os.getpid()}")
    end = time.monotonic() + PATIENCE
    while not gate.exists() and time.monotonic() < end:
        yield None


def answer(session: BaseSession, path: str, query: Query) -> Answer:
    """Answer a request; the last part of the path names the view."""
    return VIEWS[path.rpartition("/")[2]](session, query)


def show(session: BaseSession, _query: Query) -> Answer:
    """Read the session, and change nothing."""
    shown: dict[str, Any] = {"data": session.copy(), "user": session.user_id, "pid": os.getpid()}
    return Answer(json.dumps(shown).encode(), headers=[("Content-Type", "application/json")])


def put(session: BaseSession, query: Query) -> Answer:
    """Store what the query says."""
    session.update(query)
    return show(session, query)


def log_in(session: BaseSession, query: Query) -> Answer:
    """Sign in, and go to the home page, as a form does."""
    session.login(query["user"])
    return Answer(status=303, headers=[("Location", "show")])


def log_out(session: BaseSession, _query: Query) -> Answer:
    """Sign out."""
    session.logout()
    return Answer(b"bye")


def status(session: BaseSession, query: Query) -> Answer:
    """Store the status, and answer with it."""
    session["status"] = query["code"]
    code = int(query["code"])
    return Answer(b"" if code in (204, 304) else b"a body", code)


def own_cookies(session: BaseSession, query: Query) -> Answer:
    """Set two cookies of the application's beside the session's."""
    session.update(query)
    return Answer(b"three", headers=[("Set-Cookie", "theme=dark"), ("Set-Cookie", "lang=eo")])


def file(session: BaseSession, query: Query) -> Answer:
    """Send a file."""
    session.update(query)
    path = folder() / "sent.bin"
    if not path.exists():
        path.write_bytes(CHUNK * 3)
    return Answer(path)


def fail(session: BaseSession, query: Query) -> Answer:
    """Change the session, and fail."""
    session.update(query)
    raise RuntimeError("before the headers")


def stream(session: BaseSession, query: Query) -> Answer:
    """Change the session before each of some chunks, and after the last."""
    count = int(query["count"])
    session["nested"] = {"chunks": 0}

    def body() -> Body:
        for number in range(1, count + 1):
            session["nested"]["chunks"] = number
            yield CHUNK
        if "gate" in query:
            yield from until_there(query["gate"])
        session["after the last"] = count

    length = [("Content-Length", str(count * len(CHUNK)))]
    return Answer(body(), headers=length if "length" in query else [])


def late_start(session: BaseSession, _query: Query) -> Answer:
    """Begin a session when its cookie cannot leave any more."""

    def body() -> Body:
        yield CHUNK
        session["too"] = "late"
        yield CHUNK

    return Answer(body())


def cut_short(session: BaseSession, _query: Query) -> Answer:
    """Fail in the middle of the body."""
    session["before"] = "the headers"

    def body() -> Body:
        yield CHUNK
        session["after"] = "the headers"
        raise RuntimeError("after the headers")

    return Answer(body(), headers=[("Content-Length", str(2 * len(CHUNK)))])


def endless(session: BaseSession, _query: Query) -> Answer:
    """Send until the client leaves, and change the session with each chunk."""

    def body() -> Body:
        number = 0
        end = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < end:
                number += 1
                session["sent"] = number
                yield CHUNK
        finally:
            session["cleaned up"] = number

    return Answer(body())


def wait(session: BaseSession, query: Query) -> Answer:
    """Send a chunk, wait until a file of a given name is there, and send another."""
    session["waited"] = "begun"

    def body() -> Body:
        yield b"first,"
        session["waited"] = "first sent"
        yield from until_there(query["gate"])
        session["waited"] = "gate open"
        yield b"second"

    return Answer(body())


def block(_session: BaseSession, query: Query) -> Answer:
    """Block the whole worker process until a file of a given name is there."""
    for _ in until_there(query["gate"]):
        time.sleep(0.005)
    return Answer(b"free")


def untouched(_session: BaseSession, _query: Query) -> Answer:
    """Do not look at the session."""
    return Answer(b"untouched")


VIEWS: Final[Mapping[str, Callable[[BaseSession, Query], Answer]]] = {
    view.__name__: view
    for view in (
        *(show, put, log_in, log_out, status, own_cookies, file, fail, stream, late_start),
        *(cut_short, endless, wait, block, untouched),
    )
}


async def command(session: AsyncSession, text: str) -> AsyncGenerator[str]:
    """Do what a WebSocket's client says, and yield what to reply."""
    verb, _, rest = text.partition(" ")
    if verb == "put":
        key, _, value = rest.partition(" ")
        session[key] = value
    elif verb == "save":
        await session.save()
    elif verb == "log_in":
        try:
            session.login(rest)
        except ResponseStarted as error:
            yield type(error).__name__
            return
    elif verb == "fail":
        raise RuntimeError("after the accept")
    elif verb == "talk":
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            session["said"] = session.get("said", 0) + 1
            yield rest
            await checkpoint()
    yield "done"
