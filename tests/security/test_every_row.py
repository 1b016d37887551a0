"""Every security requirement of `rows` has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.security.rows import ROWS

_TESTS: Final = Path(__file__).resolve().parents[1]
_TEST: Final = re.compile(
    r"^ *(?:async )?def (?:test_)?((?:sec_[0-9]{2}_)+)[a-z][a-z0-9_]*\(", re.MULTILINE
)
_NUMBER: Final = re.compile(r"sec_([0-9]{2})_")


def rows_of(text: str) -> set[int]:
    """Return the rows of the tests and scenarios of a file; one may carry several numbers."""
    return {int(row) for name in _TEST.findall(text) for row in _NUMBER.findall(name)}


def rows_tested() -> set[int]:
    """Return the rows that have a test or a scenario, which is played at every door."""
    files = [*_TESTS.rglob("test_*.py"), *_TESTS.glob("adapters/scenarios/*.py")]
    return {row for file in files for row in rows_of(file.read_text(encoding="utf-8"))}


def named(rows: set[int]) -> list[str]:
    """Name rows as the requirements do."""
    return [f"SEC-{row:02}" for row in sorted(rows)]


def test_every_row_has_a_test() -> None:
    """And no test has a number that is no row's."""
    assert named(set(ROWS) - rows_tested()) == []
    assert named(rows_tested() - set(ROWS)) == []


def test_a_name_is_read_as_it_is_meant() -> None:
    """Numbers count where a test's name begins with them, and nowhere else."""
    assert rows_of("def test_sec_01_sec_57_no_two_meet(x): ...\n") == {1, 57}
    assert rows_of("    async def test_sec_07_x() -> None: ...\n") == {7}
    assert rows_of("def sec_37_a_scenario(site):") == {37}
    assert rows_of("# def of test_sec_09_x(\nassert test_sec_09_x()\n") == set()
    assert rows_of("def helper_sec_09_x():\ndef test_sec_9_x():\ndef test_sec_09():") == set()
