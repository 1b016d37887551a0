"""Rows 7, 17 and 18: what hostile input costs: time that tells, time that grows, memory."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final, cast

from coatcheck.codecs import BinaryCodec, JSONCodec
from coatcheck.csrf import CSRFTokens
from coatcheck.drivers import run_now
from coatcheck.errors import CorruptRecord
from coatcheck.ids import MAC_SIZE
from coatcheck.keys import KeyRing
from coatcheck.layout import pack, unpack
from coatcheck.request import PlainRequest
from coatcheck.state import BearerState, CookieState, HeaderState
from coatcheck_asgi import SessionMiddleware
from tests.adapters.site import SECRET
from tests.adapters.test_asgi import scope
from tests.core.harness import Browser, Harness, put
from tests.core.test_cookies import HOSTILE, ID
from tests.core.test_layout import FULL
from tests.fuzz.fronts import Front, no_body
from tests.fuzz.headers import header_bytes
from tests.fuzz.ids import issued, signer
from tests.fuzz.run import Meter
from tests.fuzz.target import Target

SIZES: Final = (1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
STEEPEST: Final = 2.5
"""How much longer twice the length may take."""
_WARM: Final = 20_000
"""Requests after which everything that is made once has been made."""
_MOST_GROWTH: Final = 4096
"""KiB by which memory may grow after that: what the interpreter does by itself."""
_NOISE: Final = 50e-6
"""Seconds below which the clock and the machine decide."""


def _cookie(kind: str) -> Callable[[int], Callable[[], object]]:
    state = CookieState()

    def sized(size: int) -> Callable[[], object]:
        request = PlainRequest({"cookie": HOSTILE[kind](size)})
        return lambda: state.extract(request)

    return sized


def _header(state: Any, name: str, text: str) -> Callable[[int], Callable[[], object]]:
    def sized(size: int) -> Callable[[], object]:
        request = PlainRequest({name: text * (size // len(text))})
        return lambda: state.extract(request)

    return sized


def _refusing(read: Callable[[bytes], object], data: bytes) -> Callable[[], object]:
    def call() -> object:
        try:
            return read(data)
        except CorruptRecord:
            return None

    return call


def _bytes(
    read: Callable[[bytes], object], make: Callable[[int], bytes]
) -> Callable[[int], Callable[[], object]]:
    return lambda size: _refusing(read, make(size))


_BINARY, _JSON = BinaryCodec(), JSONCodec()
_CSRF: Final = CSRFTokens(KeyRing(SECRET), "coatcheck")
PARSERS: Final[dict[str, Callable[[int], Callable[[], object]]]] = {
    **{f"cookies: {kind}": _cookie(kind) for kind in HOSTILE},
    "cookies: near misses": lambda size: _cookie_of(f"session={ID[:-1]}; " * (size // 78)),
    "cookies: many good ones": lambda size: _cookie_of(f"session={ID}; " * (size // 79)),
    "bearer": _header(BearerState(), "authorization", "Bearer "),
    "bearer: blanks": _header(BearerState(), "authorization", " "),
    "header": _header(HeaderState("X-Session"), "x-session", "A"),
    "IDs": lambda size: lambda: signer().verify("A" * size),
    "CSRF tokens": lambda size: lambda: _CSRF.verify("A" * size, "0" * 32),
    "binary: text": _bytes(_BINARY.decode, lambda size: _BINARY.encode({"k": "é" * (size // 2)})),
    "binary: list": _bytes(_BINARY.decode, lambda size: _BINARY.encode({"k": [1] * size})),
    "binary: set": _bytes(
        _BINARY.decode, lambda size: _BINARY.encode({"k": set(range(size // 3))})
    ),
    "binary: depth": _bytes(_BINARY.decode, lambda size: b"\x81\xa1k" + b"\x91" * size),
    "json: text": _bytes(_JSON.decode, lambda size: _JSON.encode({"k": '"' * (size // 2)})),
    "json: list": _bytes(_JSON.decode, lambda size: _JSON.encode({"k": [1] * (size // 2)})),
    "json: depth": _bytes(_JSON.decode, lambda size: b'{"k":' + b"[" * size),
    "json: digits": _bytes(_JSON.decode, lambda size: b'{"k":' + b"9" * size + b"}"),
    "records": _bytes(unpack, lambda size: pack(FULL._replace(data=b"x" * size), text=False)),
    "records: text": _bytes(unpack, lambda size: pack(FULL._replace(data=b"x" * size), text=True)),
    "records: long line": _bytes(unpack, lambda size: b"coatcheck/1 crc32=" + b"=" * size),
}
"""Everything that reads what others wrote, by what it reads: given a size, returns a reading."""


def _cookie_of(text: str) -> Callable[[], object]:
    request = PlainRequest({"cookie": text})
    state = CookieState()
    return lambda: state.extract(request)


def seconds_for(read: Callable[[], object]) -> float:
    """Return the best of five readings, in processor time: the machine may have other work."""
    best = math.inf
    for _ in range(5):
        begun = time.thread_time()
        read()
        best = min(best, time.thread_time() - begun)
    return best


def growth(sized: Callable[[int], Callable[[], object]], small: int, large: int) -> float:
    """Return how much longer the larger size takes, the best of ten attempts."""
    least = math.inf
    for _ in range(10):
        longer = seconds_for(sized(large))
        least = min(least, longer / seconds_for(sized(small)) if longer > _NOISE else 1.0)
        if least < STEEPEST:
            break
    return least


def linear(meter: Meter) -> None:
    """Read ever longer inputs: each doubling takes about twice as long, and none takes long."""
    while meter.going():
        for name, sized in PARSERS.items():
            for small, large in zip(SIZES[-3:-1], SIZES[-2:], strict=True):
                found = growth(sized, small, large)
                assert found < STEEPEST, f"{name}: {found:.1f} times as long for {large} bytes"
            assert seconds_for(sized(SIZES[-1])) < 0.05, name
        meter.done += 1


def flood(meter: Meter) -> None:
    """Come without an ID, with junk, and with the ID of an ended session: nothing is stored."""
    front = Front()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        len(scope["session"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    cookies: list[bytes] = []

    async def send(message: Any) -> None:
        cookies.extend(value for name, value in message.get("headers", ()) if name == b"set-cookie")

    middleware = SessionMiddleware(app, **front.options)
    dice, plain = Random(meter.seed), scope()
    # A tap passes on whatever a store can do, which no type says of it.
    harness = Harness(cast("Any", front.tap.store), secret=SECRET)
    browser = Browser(harness)
    browser.visit(put(a=1))
    dead = f"session={browser.id}".encode()
    browser.visit(lambda session: session.destroy())
    front.tap.take()
    early = 0
    while meter.going():
        for _ in range(meter.room(1000)):
            kind = dice.randrange(3)
            line = b"" if kind == 0 else dead if kind == 1 else header_bytes(dice)
            given = {**plain, "headers": [(b"cookie", line)]}
            run_now(middleware(given, no_body, send))
            meter.done += 1
        assert set(front.tap.take()) <= {"get"}
        assert cookies == []
        if meter.done <= _WARM:
            early = _peak()
    grown = _peak() - early if meter.done > _WARM else 0
    meter.notes["KiB grown"] = grown
    assert grown < _MOST_GROWTH, f"{grown} KiB more after {meter.done} requests"


def _peak() -> int:
    """Return the most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def timing(meter: Meter) -> None:
    """Compare, in pairs, how long two things take: what differs in a secret must not show.

    A verdict needs both: a median difference of more than 50 ns, and a sign test that chance fails
    once in a million. The samples of one run are not independent, so that it is an alarm, no proof.
    """
    text = next(iter(issued()))
    verify = signer().verify

    def wrong_from(place: int) -> Callable[[], object]:
        bad = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        return lambda: verify(bad)

    harness = Harness()
    browser = Browser(harness)
    browser.visit(put(a=1))
    ended = browser.id
    browser.visit(lambda session: session.destroy())
    unknown = harness.runtime.signer.sign(harness.runtime.signer.mint())

    def asking(session_id: str | None) -> Callable[[], object]:
        return lambda: browser.begin(f"session={session_id}").session.get("a")

    first_byte = len(text) - 64 * MAC_SIZE // 48
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "MAC right for 0 or 15 bytes": (wrong_from(first_byte), wrong_from(len(text) - 1)),
        "MAC right for 0 or 12 bytes": (wrong_from(first_byte), wrong_from(len(text) - 5)),
        "ID unknown or ended": (asking(unknown), asking(ended)),
    }
    samples: dict[str, list[int]] = {name: [] for name in pairs}
    dice, clock = Random(meter.seed), time.perf_counter_ns
    while meter.going():
        for _ in range(meter.room(500)):
            for name, (one, other) in pairs.items():
                first = dice.getrandbits(1)
                began = clock()
                (one if first else other)()
                between = clock()
                (other if first else one)()
                end = clock()
                taken = (between - began) - (end - between)
                samples[name].append(taken if first else -taken)
            meter.done += 1
    for name, differences in samples.items():
        differences.sort()
        median = differences[len(differences) // 2]
        less = sum(difference < 0 for difference in differences)
        many = sum(difference != 0 for difference in differences)
        z = abs(2 * less - many) / math.sqrt(many or 1)
        meter.notes[f"{name}: ns"] = median
        assert abs(median) <= 50 or z < 4.9, f"{name}: {median} ns apart, {z:.1f} sigma"


TARGETS: Final = (
    Target(
        name="timing",
        row=7,
        full=200_000,
        quick=0,
        promise="how far an ID is right does not show in the time that its refusal takes",
        play=timing,
    ),
    Target(
        name="complexity",
        row=17,
        full=3,
        quick=0,
        promise="twice the input takes about twice the time, in everything that reads",
        play=linear,
    ),
    Target(
        name="flood",
        row=18,
        full=1_000_000,
        quick=1_000,
        promise="a flood of visitors creates nothing, sends nothing and keeps no memory",
        play=flood,
    ),
)
