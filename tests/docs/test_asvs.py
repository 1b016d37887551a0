"""The page on OWASP's ASVS has every requirement of its chapter, and names tests that there are."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.project import ROOT, names_of_tests

PAGE: Final = (ROOT / "docs" / "explanation" / "asvs.md").read_text(encoding="utf-8")
CHAPTER: Final = {1: 3, 2: 4, 3: 2, 4: 5, 5: 3, 6: 2}
"""How many requirements each section of V7 has."""
ROW: Final = re.compile(
    r"\| 7\.(?P<section>\d)\.(?P<number>\d) \| [123] \| (?P<asks>.+?) \| (?P<by>.+?) \|"
    r" (?P<how>.+?) \| (?P<tests>.+?) \|"
)


def rows() -> list[re.Match[str]]:
    """Return the rows of all tables."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| 7.")]
    found = [match for line in lines if (match := ROW.fullmatch(line))]
    assert len(found) == len(lines), "a row has another form"
    return found


def test_every_requirement_has_its_row() -> None:
    """In order, with nothing left out."""
    wanted = [
        f"{section}.{number}" for section, many in CHAPTER.items() for number in range(1, many + 1)
    ]
    assert [f"{row['section']}.{row['number']}" for row in rows()] == wanted


def test_every_requirement_is_somebody_s() -> None:
    """The library's, or the application's."""
    assert {row["by"] for row in rows()} == {"Coatcheck", "yours"}


def test_every_row_names_tests_that_there_are() -> None:
    """At least one each, by the names that they have."""
    for row in rows():
        names = re.findall(r"`(\w+)`", row["tests"])
        assert names, row[0]
        assert re.sub(r"`\w+`", "", row["tests"]).strip() == "", row["tests"]
        assert set(names) - names_of_tests() == set(), row[0]
