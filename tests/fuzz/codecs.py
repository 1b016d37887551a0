"""Row 8: what codecs keep, and what they make of bytes that they never wrote."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from coatcheck.codecs import BinaryCodec, Codec, JSONCodec
from coatcheck.errors import UnserializableValue
from tests.core.portrait import ZONES, portrait
from tests.core.test_codecs_hostile import BINARY_RECORDS, JSON_RECORDS
from tests.core.test_codecs_properties import expect_fixed_point
from tests.fuzz.target import Fuzz, Target, edited, random_bytes

CODECS: Final[dict[str, Codec]] = {"binary": BinaryCodec(), "json": JSONCodec()}
_PLANTED: Final = {
    "binary": tuple(BINARY_RECORDS.values()),
    "json": tuple(
        record.encode("utf-8", "surrogatepass") if isinstance(record, str) else record
        for record in JSON_RECORDS.values()
    ),
}
_FLOATS: Final = (0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308)
_LONGEST: Final = 3000
"""Bytes of a planted record that is edited: the very deep ones take their time elsewhere."""


def _whole(dice: Random) -> int:
    value = dice.getrandbits(dice.choice((1, 7, 8, 16, 31, 32, 53, 63, 64, 65, 200, 2048)))
    return -value if dice.getrandbits(1) else value


def _words(dice: Random) -> str:
    if dice.getrandbits(1):
        return "".join(dice.choices(string.ascii_letters + '!"\\\n\0/', k=dice.randrange(40)))
    points = (dice.randrange(0xD800), dice.randrange(0xE000, 0x110000))
    return "".join(chr(dice.choice(points)) for _ in range(dice.randrange(5)))


def _zone(dice: Random) -> Any:
    offset = timedelta(seconds=dice.randint(-86_399, 86_399))
    return dice.choice((None, UTC, timezone(offset), ZoneInfo(dice.choice(ZONES))))


def _moment(dice: Random) -> datetime:
    since = timedelta(seconds=dice.randrange(300_000_000_000), microseconds=dice.randrange(10**6))
    found = datetime.min.replace(tzinfo=_zone(dice)) + since
    return found.replace(fold=dice.getrandbits(1))


_PLAIN: Final[tuple[Callable[[Random], Any], ...]] = (
    lambda dice: None,
    lambda dice: bool(dice.getrandbits(1)),
    _whole,
    _whole,
    lambda dice: dice.choice(_FLOATS) if dice.getrandbits(1) else dice.uniform(-1e9, 1e9),
    _words,
    _words,
    lambda dice: dice.randbytes(dice.randrange(60)),
    lambda dice: UUID(int=dice.getrandbits(128)),
    lambda dice: Decimal(dice.getrandbits(64)).scaleb(dice.randint(-40, 40)),
    lambda dice: date.fromordinal(dice.randint(1, 3_652_059)),
    lambda dice: time(dice.randrange(24), dice.randrange(60), fold=dice.getrandbits(1)),
    lambda dice: timedelta(dice.randint(-999_999_999, 999_999_999), dice.randrange(86_400)),
    _moment,
    lambda dice: Markup(_words(dice)),
)


def value(dice: Random, depth: int = 0) -> Any:
    """Make a value of types that codecs keep."""
    if depth > 4 or dice.random() < 0.6:
        return dice.choice(_PLAIN)(dice)
    inner = [value(dice, depth + 1) for _ in range(dice.randrange(5))]
    kind = dice.randrange(6)
    if kind == 0:
        return inner
    if kind == 1:
        return tuple(inner)
    if kind in {2, 3}:
        hashable = [dice.choice(_PLAIN)(dice) for _ in inner]
        return set(hashable) if kind == 2 else frozenset(hashable)
    if kind == 4:
        return {_words(dice): item for item in inner}
    return {dice.choice(_PLAIN)(dice): item for item in inner}


def session(dice: Random) -> dict[str, Any]:
    """Make the data of a session."""
    return {_words(dice): value(dice) for _ in range(dice.randrange(4))}


def hostile(name: str) -> Callable[[], Fuzz]:
    """Return how to decode bytes that were damaged, planted or made up."""
    codec = CODECS[name]

    def build() -> Fuzz:
        dice = Random(8)
        own = [codec.encode(session(dice)) for _ in range(200)]
        planted = [record for record in _PLANTED[name] if len(record) < _LONGEST]

        def make(dice: Random) -> bytes:
            kind = dice.getrandbits(3)
            if kind == 0:
                return dice.randbytes(dice.randrange(60))
            if kind == 1:
                return edited(dice, dice.choice(planted))
            if kind == 2:  # the beginning of one, the end of another
                one, other = dice.choice(own), dice.choice(own)
                return one[: dice.randrange(len(one) + 1)] + other[dice.randrange(len(other)) :]
            return edited(dice, dice.choice(own))

        def check(data: bytes) -> None:
            expect_fixed_point(codec, data)

        return Fuzz(make, check)

    return build


def round_trip() -> Fuzz:
    """Encode values, which the bytes are the seed of, with both codecs."""

    def check(data: bytes) -> None:
        made = session(Random(data))
        for codec in CODECS.values():
            try:
                encoded = codec.encode(made)
            except UnserializableValue:
                continue  # a set of numbers that are equal in one form, say
            again = codec.decode(encoded)
            assert portrait(again) == portrait(made)
            assert codec.encode(again) == encoded
            assert portrait(codec.decode_own(encoded)) == portrait(made)

    return Fuzz(random_bytes((16,)), check)


TARGETS: Final = (
    *(
        Target(
            name=f"decode-{name}",
            row=8,
            full=1_000_000,
            quick=1_500,
            promise="bytes are a corrupt record, or the encoding of what they decode to",
            build=hostile(name),
            guided=True,
        )
        for name in CODECS
    ),
    Target(
        name="encode",
        row=8,
        full=200_000,
        quick=200,
        promise="what is kept comes back with its types, by both codecs",
        build=round_trip,
    ),
)
