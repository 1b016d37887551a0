"""What tables and lists of the pages say agrees with the code."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
import typing
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from markupsafe import Markup

from coatcheck import BinaryCodec, ConfigurationError, JSONCodec, SessionConfig, events
from coatcheck.errors import CoatcheckError
from coatcheck.lifecycle.visit import Phase
from coatcheck.state.cookie import OPTIONS
from coatcheck.store import SQLiteStore
from tests.docs.options import PAGE, table, with_table
from tests.docs.project import ROOT
from tests.docs.snippets import SECRET

DOCS = ROOT / "docs"
SAMPLES: dict[str, object] = {
    "None": None,
    "bool": True,
    "int": 7,
    "float": 0.1,
    "str": "é",
    "bytes": b"\xff",
    "list": [1],
    "dict": {1: 2},
    "tuple": (1, 2),
    "set": {1},
    "frozenset": frozenset({1}),
    "datetime": dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    "date": dt.date(2026, 11, 21),
    "time": dt.time(12, 30),
    "timedelta": dt.timedelta(1),
    "UUID": UUID(int=1),
    "Decimal": Decimal("9.90"),
    "markupsafe.Markup": Markup("<b>"),
}


def text_of(page: str) -> str:
    """Return the text of a page of the site."""
    return (DOCS / page).read_text(encoding="utf-8")


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of a page."""
    lines = text_of(page).partition(f"{heading}\n")[2].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows: list[list[str]] = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names_in(cell: str) -> list[str]:
    """Return what stands between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def all_events() -> dict[str, type[events.Event]]:
    """Return the events by their names."""
    return {kind.__name__: kind for kind in events.Event.__subclasses__()}


def test_the_table_of_options_is_that_of_the_code() -> None:
    """`python -m tests.docs.options` writes it; nobody else does."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text) == text
    assert "`touch_interval`" in table()


def test_the_attributes_of_the_cookie_are_all_named() -> None:
    """The page on configuration names each of them."""
    paragraph = text_of("how-to/configure.md").partition("The attributes in `cookie_options`")[2]
    named = {name.partition("=")[0] for name in names_in(paragraph.partition("\n\n")[0])}
    assert set(OPTIONS) <= named


def test_the_levels_of_events_are_those_of_the_code() -> None:
    """Each event stands in the table once, in the row of its level."""
    levels = {"ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10}
    told = {
        name: levels[level.strip("`")]
        for level, names, _ in rows_of("how-to/events-and-logging.md", "## Levels")
        for name in names_in(names)
    }
    assert told == {name: kind.level for name, kind in all_events().items()}


def test_the_kinds_that_flood_are_those_of_the_code() -> None:
    """The page names each kind of which the log has a line a second, and no other."""
    page = text_of("how-to/events-and-logging.md")
    named = names_in(page.partition("of each of the kinds")[2].partition("the log of")[0])
    assert sorted(named) == sorted(name for name, kind in all_events().items() if kind.floods)


def test_the_reasons_for_dropping_changes_are_those_of_the_code() -> None:
    """Each reason has its row."""
    rows = rows_of("how-to/events-and-logging.md", "## Changes that were dropped")
    hints = typing.get_type_hints(events.ChangesDropped)
    assert {cell.strip("`") for cell, _ in rows} == set(typing.get_args(hints["reason"]))


def test_the_types_that_are_kept_are_kept() -> None:
    """Each type that the page lists comes back equal and of the same type, by both codecs."""
    listed = text_of("how-to/values.md").partition("Kept are:")[2].partition("nested")[0]
    assert names_in(listed) == list(SAMPLES)
    for codec in (BinaryCodec(), JSONCodec()):
        for name, value in SAMPLES.items():
            back = codec.decode(codec.encode({"key": value}))["key"]
            assert back == value, name
            assert type(back) is type(value), name


@pytest.mark.parametrize(
    "key",
    [
        name
        for row in rows_of("how-to/migrate.md", "## From Flask-Session")
        for name in names_in(row[0])
        if name.startswith("SESSION_")
    ],
)
def test_a_key_of_flask_session_is_not_lost_in_silence(key: str) -> None:
    """Where the page says that a key is another one here, the old one is refused or warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            SessionConfig.from_mapping({"SECRET_KEY": SECRET, key: "redis"})
        except ConfigurationError as error:
            assert "SESSION_" in str(error)  # noqa: PT017 - it may warn instead
        else:
            assert [str(one.message) for one in told if key in str(one.message)]


@pytest.mark.parametrize(
    "heading", ["## From starsessions", "## From Starlette's", "## From Litestar"]
)
def test_a_keyword_of_another_library_is_known(heading: str) -> None:
    """A keyword in the left column is an option, or the error names the one in the right one."""
    heading = next(line for line in text_of("how-to/migrate.md").splitlines() if heading in line)
    keywords = [
        (name, right)
        for left, right in rows_of("how-to/migrate.md", heading)
        for name in names_in(left)
        if re.fullmatch(r"[a-z_]+", name)
    ]
    assert keywords
    for keyword, right in keywords:
        try:
            SessionConfig.from_options(secret=SECRET, **_given(keyword))
        except ConfigurationError as error:
            told = str(error)
            assert "are the same option" in told or any(
                word.partition("=")[0] in told for word in names_in(right)
            ), told


def _given(keyword: str) -> Any:
    known: dict[str, object] = {"max_age": 60, "lifetime": 60, "secret_key": SECRET, "path": "/"}
    switches = ("https_only", "partitioned", "rolling")
    return {keyword: known.get(keyword, True if keyword.endswith(switches) else "lax")}


def test_the_columns_of_sqlite_are_those_of_the_code(tmp_path: Path) -> None:
    """The page on layouts has each table, with its columns in their order."""
    file = tmp_path / "sessions.db"
    SQLiteStore(file).close()
    connection = sqlite3.connect(file)
    tables = connection.execute(
        "SELECT t.name, group_concat(c.name) FROM sqlite_schema AS t, pragma_table_info(t.name)"
        " AS c WHERE t.type = 'table' GROUP BY t.name ORDER BY t.rootpage"
    ).fetchall()
    connection.close()
    told = [
        (name.strip("`"), ",".join(names_in(columns)))
        for name, _, columns in rows_of("explanation/layouts.md", "## SQLite")
    ]
    assert told == tables


def test_the_diagram_has_every_phase_and_needs_nothing_from_elsewhere() -> None:
    """The life of a session is drawn as the code has it, in one file."""
    drawing = text_of("images/life-of-a-session.svg")
    assert set(re.findall(r'class="name"[^>]*>(\w+)<', drawing)) == {phase.name for phase in Phase}
    assert set(re.findall(r"https?://[^\"' ]+", drawing)) == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in drawing


def test_every_error_is_in_the_drawn_tree() -> None:
    """The tree at the top of the errors, which the reference shows, has all of them."""
    from coatcheck import errors

    def names(kind: type[CoatcheckError]) -> set[str]:
        return {kind.__name__}.union(*(names(one) for one in kind.__subclasses__()))

    drawn = set(re.findall(r"[A-Z]\w+", errors.__doc__ or ""))
    own = {name for name in names(CoatcheckError) if hasattr(errors, name)}
    assert own <= drawn
