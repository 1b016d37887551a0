"""Every numbered line of the two seeds, S-01 to S-125, has a test of its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

LINES: Final = range(1, 126)

_TEST: Final = re.compile(r"^(?:async )?def test_s_([0-9]{2,3})_[a-z0-9_]+\(", re.MULTILINE)


def _numbers() -> list[int]:
    """Return the numbers of the lines that have a test, as often as they have one."""
    return [
        int(number)
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
        for number in _TEST.findall(file.read_text(encoding="utf-8"))
    ]


def test_every_line_has_a_test() -> None:
    """No number is without one."""
    missing = set(LINES) - set(_numbers())
    assert not missing, "no test for " + ", ".join(f"S-{line:02}" for line in sorted(missing))


def test_no_line_has_two_tests_or_needs_none() -> None:
    """A name stands for one line, and no other number is used."""
    numbers = _numbers()
    doubled = sorted({line for line in numbers if numbers.count(line) > 1})
    assert doubled == []
    assert sorted(set(numbers) - set(LINES)) == []
