"""What a target is: something that makes inputs, and something that judges one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from tests.fuzz.run import Meter

T = TypeVar("T")


class Fuzz(NamedTuple):
    """A target set up: every input is bytes, so that it can be kept, replayed and guided."""

    make: Callable[[Random], bytes]
    """Returns the next input."""
    check: Callable[[bytes], object]
    """Raises where the promise does not hold for an input."""


@dataclass(frozen=True)
class Target:
    """One row of the plan, or a part of one."""

    name: str
    row: int
    """The row of the plan that it belongs to."""
    full: int
    """How many cases the plan asks for before a release."""
    quick: int
    """How many cases `make test` tries."""
    promise: str
    """What must hold, in one sentence."""
    build: Callable[[], Fuzz] | None = None
    """Sets it up; what it leaves open the process's end closes."""
    play: Callable[[Meter], None] | None = None
    """For a target that is no function of bytes: it counts its own cases, as long as it is let."""
    guided: bool = False
    """Whether a coverage-guided fuzzer learns something from it."""


class Feed:
    """Reads decisions from bytes; when they are used up, everything is zero."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """Return a number from 0, by one byte, or by two where one is not enough."""
        size = 1 if below <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "big") % below

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self.number(len(choices))]

    def text(self, longest: int) -> str:
        """Return some Latin-1 text."""
        size = self.number(longest + 1)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken.decode("latin-1")


def random_bytes(sizes: Sequence[int]) -> Callable[[Random], bytes]:
    """Return a maker of bytes without any form, of one of these sizes."""

    def make(dice: Random) -> bytes:
        return dice.randbytes(dice.choice(sizes))

    return make


def of_hypothesis(test: Any) -> Callable[[bytes], object]:
    """Return a property of Hypothesis as a judge of bytes, out of which it draws its values."""
    judge: Callable[[bytes], object] = test.hypothesis.fuzz_one_input
    return judge


def edited(dice: Random, data: bytes, most: int = 4, alphabet: bytes = bytes(range(256))) -> bytes:
    """Return the data with 1 to `most` small changes: bits, bytes, pieces, ends."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, most)):
        place = dice.randrange(len(changed) + 1)
        kind = dice.getrandbits(3)
        if kind == 0:
            changed.insert(place, dice.choice(alphabet))
        elif kind == 1:
            del changed[place : place + dice.randint(1, 8)]
        elif kind == 2:
            changed[place:place] = changed[place : place + dice.randint(1, 16)]
        elif kind == 3 and changed:
            end = dice.randrange(len(changed) + 1)
            del changed[min(place, end) : max(place, end)]
        elif kind < 6 and place < len(changed):
            changed[place] ^= 1 << dice.getrandbits(3)
        elif place < len(changed):
            changed[place] = dice.choice(alphabet)
    return bytes(changed)
