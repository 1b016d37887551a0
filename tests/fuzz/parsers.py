"""Row 13: one Cookie header, read by us, by the grammar alone, and by the parsers of others."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from starlette.requests import cookie_parser
from werkzeug.http import parse_cookie

from coatcheck.cookies import read_cookies
from coatcheck.ids import ID_LENGTH
from coatcheck.request import PlainRequest
from coatcheck.state import CookieState
from coatcheck.state.candidates import MOST_CANDIDATES
from tests.core.test_cookies import ID, reference
from tests.fuzz.headers import header_bytes
from tests.fuzz.run import Meter
from tests.fuzz.target import Fuzz, Target

_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_STATE: Final = CookieState()


def expect_grammar(data: bytes) -> list[str]:
    """Read a header: what the grammar alone finds, and of that only what has the form of an ID."""
    text = data.decode("latin-1")
    values = reference(text, "session")
    assert read_cookies(text, "session") == values
    formed = [value for value in values if len(value) == ID_LENGTH and set(value) <= _LETTERS]
    distinct = list(dict.fromkeys(formed))
    found = _STATE.extract(PlainRequest({"cookie": text}))
    listed = [found] if isinstance(found, str) else list(found or ())
    assert listed == distinct[: MOST_CANDIDATES + 1]
    return values


def _header(dice: Random) -> bytes:
    made = header_bytes(dice)
    if not dice.getrandbits(2):
        place = dice.randrange(len(made) + 1)
        made = made[:place] + dice.choice((b"; ", b";", b"")) + b"session=" + ID.encode()
    return made


def _standard(text: str) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(text)
    except CookieError:
        return None
    return jar["session"].value if "session" in jar else None


@cache
def peers() -> dict[str, Callable[[str], str | None]]:
    """Return how others read the value of our cookie; Django takes part where it is installed."""
    found: dict[str, Callable[[str], str | None]] = {
        "Werkzeug": lambda text: parse_cookie(text).get("session"),
        "Starlette": lambda text: cookie_parser(text).get("session"),
        "http.cookies": _standard,
    }
    try:
        django: Any = import_module("django.http.cookie")
    except ImportError:
        return found
    found["Django"] = lambda text: django.parse_cookie(text).get("session")
    return found


def against_others(meter: Meter) -> None:
    """Compare with other parsers: where they differ is counted, and is no failure of ours."""
    dice = Random(meter.seed)
    while meter.going():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(meter.room(200)):
                data = _header(dice)
                meter.done += 1
                try:
                    ours = expect_grammar(data)
                except AssertionError as error:
                    meter.fail(f"{data!r}: {error}", data)
                    break
                meter.notes.update(_differences(data.decode("latin-1"), ours))


def _differences(text: str, ours: list[str]) -> Counter[str]:
    return Counter(_disagreeing(text, ours))


def _disagreeing(text: str, ours: list[str]) -> Iterator[str]:
    for name, read in peers().items():
        try:
            theirs = read(text)
        except (UnicodeError, ValueError):
            yield f"{name} raises"
            continue
        if theirs != (ours[0] if ours else None) and (theirs is None or theirs not in ours):
            yield f"{name} differs"


TARGETS: Final = (
    Target(
        name="cookie-grammar",
        row=13,
        full=1_000_000,
        quick=1_000,
        promise="no value is read that the grammar of cookies would not read",
        build=lambda: Fuzz(_header, expect_grammar),
        guided=True,
    ),
    Target(
        name="other-parsers",
        row=13,
        full=1_000_000,
        quick=200,
        promise="where other parsers read something else, the grammar is with us",
        play=against_others,
    ),
)
