"""Every numbered line of the two seeds, S-01 to S-125, has a test of its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

LINES: Final = range(1, 126)
LATER: Final = {
    112: "what a store's `set` returns is what travels: with the store in the client's cookie",
    114: "the store in the client's cookie, which is encrypted",
    115: "the middleware over the store in the client's cookie",
    116: "what a destroyed session in the client's cookie still opens",
}
"""The lines that wait for a store that is not built yet."""

_TEST: Final = re.compile(r"^(?:async )?def test_s_([0-9]{2,3})_[a-z0-9_]+\(", re.MULTILINE)


def _numbers() -> list[int]:
    """Return the numbers of the lines that have a test, as often as they have one."""
    return [
        int(number)
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
        for number in _TEST.findall(file.read_text(encoding="utf-8"))
    ]


def test_every_line_has_a_test() -> None:
    """No number is without one, but those of the lines that wait."""
    missing = set(LINES) - set(_numbers()) - LATER.keys()
    assert not missing, "no test for " + ", ".join(f"S-{line:02}" for line in sorted(missing))


def test_no_line_has_two_tests_or_needs_none() -> None:
    """A name stands for one line; what waits has no test yet, and no other number is used."""
    numbers = _numbers()
    doubled = sorted({line for line in numbers if numbers.count(line) > 1})
    assert doubled == []
    assert sorted(set(numbers) & LATER.keys()) == []
    assert sorted(set(numbers) - set(LINES)) == []
