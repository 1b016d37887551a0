"""Row 16 of the fuzz plan: every ID that the suite issues is searched for in what it leaves behind.

A plugin of pytest, which is always on. It notes each ID that is signed, and looks for it, and for
its secret half, in what comes out of the product: events, log records, messages of errors, the
`repr` of what tests hold, what they print, and the payloads that go to stores. A test in which one
is found fails. Tests plant and print IDs themselves, so only what the product made is looked at;
files are looked at where the product wrote them.
"""

from __future__ import annotations

import base64
import logging
import re
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import pytest

from coatcheck.errors import CoatcheckError
from coatcheck.events import Emitter, Event
from coatcheck.ids import Identity, IDSigner
from coatcheck.runtime import Runtime

MOST_TEXT: Final = 2_000_000
"""Characters, and bytes, that are kept of one test: floods say the same again and again."""
MOST_SECRETS: Final = 200
"""How many secrets of one test are searched for byte by byte."""
_PLAIN: Final = 10
"""Secrets of fewer different bytes are made up by tests, and occur by chance."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{68,}")
_HEX: Final = re.compile(r"[0-9a-f]{32,}")


@dataclass
class Leaks(logging.Handler):
    """What was issued, what was said, and what was stored; said and stored for one test each."""

    ids: set[str] = field(default_factory=set[str])
    hexes: set[str] = field(default_factory=set[str])
    recent: list[bytes] = field(default_factory=list[bytes])
    said: list[str] = field(default_factory=list[str])
    stored: list[bytes] = field(default_factory=list[bytes])
    room: int = MOST_TEXT

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def begin(self) -> None:
        """Begin with a test."""
        self.recent, self.said, self.stored, self.room = [], [], [], MOST_TEXT

    def issue(self, text: str, secret: bytes) -> None:
        """Note an ID."""
        steps = {after - before for before, after in pairwise(secret)}
        if len(set(secret)) >= _PLAIN and len(steps) > 1:
            self.ids.add(text)
            self.hexes.add(secret.hex())
            self.recent.append(secret)

    def say(self, text: str) -> None:
        """Note what the product said."""
        if self.room > 0:
            self.room -= len(text)
            self.said.append(text)

    def store(self, payload: bytes) -> None:
        """Note what goes to a store."""
        if self.room > 0:
            self.room -= len(payload)
            self.stored.append(payload)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record of the log."""
        self.say(record.getMessage())
        if record.exc_info and record.exc_info[1]:
            self.say(repr(record.exc_info[1]))

    def found(self) -> list[str]:
        """Return where an ID, or its secret, is in what was said or stored."""
        text, blob = "\n".join(self.said), b"\0".join(self.stored)
        shown = set(_ID.findall(text)) | set(_ID.findall(blob.decode("latin-1")))
        leaks = [_around(text, token) for token in shown if self._holds(self.ids, token)]
        leaks += [
            _around(text, token)
            for token in set(_HEX.findall(text))
            if self._holds(self.hexes, token)
        ]
        for secret in self.recent[:MOST_SECRETS]:
            if secret in blob or secret.hex().encode() in blob or _base64(secret) in blob:
                leaks.append("a payload for the store")
            if repr(secret)[2:-1] in text:
                leaks.append(_around(text, repr(secret)[2:-1]))
        return leaks

    @staticmethod
    def _holds(issued: set[str], token: str) -> bool:
        return token in issued or (len(token) < 500 and any(one in token for one in issued))


def _around(text: str, token: str) -> str:
    place = text.find(token)
    return text[max(0, place - 60) : place + len(token) + 20] if place >= 0 else "a payload"


def _base64(secret: bytes) -> bytes:
    return base64.b64encode(secret)[:20]


def watch(leaks: Leaks) -> None:
    """Tap what issues IDs, what tells, and what makes payloads."""
    sign: Callable[..., str] = IDSigner.sign
    call: Callable[..., None] = Emitter.__call__
    begin: Callable[..., None] = Runtime.__init__

    def noted_sign(self: IDSigner, identity: Identity, /) -> str:
        text = sign(self, identity)
        # What a test signs itself is a forgery, out of what it has stolen perhaps.
        caller: str = sys._getframe(1).f_globals["__name__"]  # pyright: ignore[reportPrivateUsage]
        if caller.startswith("coatcheck"):
            leaks.issue(text, identity[1])
        return text

    def noted_call(self: Emitter, event: Event) -> None:
        leaks.say(f"{event} {event!r}")
        call(self, event)

    def noted_error(self: CoatcheckError, *args: object) -> None:
        leaks.say(repr(args))
        Exception.__init__(self, *args)

    def tapped_runtime(self: Runtime, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        pack = self.pack

        def noted_pack(content: Any) -> bytes:
            payload = pack(content)
            leaks.store(payload)
            return payload

        self.pack = noted_pack

    IDSigner.sign = noted_sign  # type: ignore[method-assign]
    Emitter.__call__ = noted_call  # type: ignore[method-assign]
    CoatcheckError.__init__ = noted_error  # type: ignore[method-assign, assignment]
    Runtime.__init__ = tapped_runtime  # type: ignore[method-assign]
    logging.getLogger("coatcheck").addHandler(leaks)


def held_by(item: pytest.Item) -> Iterator[object]:
    """Yield the product's objects that a test held: its arguments, and what these have inside."""
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    for argument in arguments.values():
        inside: dict[str, object] = getattr(argument, "__dict__", {})
        for value in (argument, *inside.values()):
            if type(value).__module__.startswith("coatcheck"):
                yield value


class Plugin:
    """Looks after each test."""

    def __init__(self) -> None:
        self.leaks = Leaks()
        watch(self.leaks)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Begin anew."""
        self.leaks.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run the test, then look at what it leaves behind."""
        result = yield
        for value in held_by(item):
            self.leaks.say(repr(value))
        leaks = self.leaks.found()
        if leaks:
            pytest.fail(f"an ID or its secret was shown: {leaks[:3]}", pytrace=False)
        return result
