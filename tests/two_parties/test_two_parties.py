"""Two parties to one session, each cell of the table on each store that is built in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from coatcheck.testing.clock import ManualClock
from tests.two_parties.page import PAGE, page
from tests.two_parties.play import STORES, Evict, Play, opened
from tests.two_parties.table import AFTERWARDS, CELLS, OVERLAPPING
from tests.two_parties.words import (
    ACTS,
    BOTH,
    DESTROY,
    EXPIRE,
    LOGIN,
    LOGOUT,
    OVERLAP,
    REGENERATE,
    REQUESTS,
    REVOKE,
    Cell,
    Cookie,
    When,
)

TOLD = [cell for cell in CELLS if cell.outcome.told is not None and cell.whens == OVERLAP]


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell(kind: str, cell: Cell, tmp_path: Path) -> None:
    """What stands, what is told, which cookies leave, and what a third request sees."""
    plays = [
        (start, when, early)
        for start in cell.starts
        for when in cell.whens
        for early in ((True, False) if when is When.OVERLAP and not cell.second.ends else (False,))
    ]
    for number, (start, when, early) in enumerate(plays):
        clock, folder = ManualClock(), tmp_path / str(number)
        folder.mkdir()
        with opened(kind, folder, clock) as store:
            Play(store, clock, cell, start, when, acts_early=early).check()


@pytest.mark.parametrize("cell", TOLD, ids=str)
def test_save_raises_what_a_response_tells(cell: Cell, tmp_path: Path) -> None:
    """Where a response would only tell an event, `save()` is a `SessionEnded` with the keys."""
    for start in cell.starts:
        clock = ManualClock()
        with opened("memory", tmp_path, clock) as store:
            play = Play(store, clock, cell, start, When.OVERLAP, saves=True)
        assert play.error is not None
        assert play.cell.outcome.told is not None
        assert set(play.error.keys) == set(play.values(play.cell.outcome.told.keys))
        assert play.harness.dropped() == []


@pytest.mark.parametrize("evict", ["oldest", "refuse"])
def test_one_session_a_user_changes_no_cell(evict: Evict, tmp_path: Path) -> None:
    """Nor is anybody evicted, or refused, who does not sign in beside another sign-in."""
    for cell in OVERLAPPING:
        if cell.cookies[1] is Cookie.JOINED and evict == "oldest":
            continue  # see below
        for start in cell.starts:
            clock = ManualClock()
            with opened("memory", tmp_path, clock) as store:
                Play(store, clock, cell, start, When.OVERLAP, evict=evict).check()


def test_one_session_a_user_lets_the_later_sign_in_stand(tmp_path: Path) -> None:
    """It takes the place of the session that it would join, and takes over what that holds."""
    for cell in OVERLAPPING:
        if cell.cookies[1] is not Cookie.JOINED:
            continue
        outcome = replace(cell.outcome, a=None, b=cell.outcome.a)
        wanted = replace(cell, outcome=outcome, cookies=(Cookie.NEW, Cookie.NEW))
        for start in cell.starts:
            clock = ManualClock()
            with opened("memory", tmp_path, clock) as store:
                Play(store, clock, wanted, start, When.OVERLAP, evict="oldest").check()


def test_each_act_beside_each_has_its_cell() -> None:
    """Of two requests that overlap, each pair stands in the table once, whosever the session is."""
    cells = [(cell.first, cell.second, start) for cell in OVERLAPPING for start in cell.starts]
    assert Counter(cells) == Counter(
        (first, second, start) for first in ACTS for second in ACTS for start in BOTH
    )


def test_what_comes_after_what_ends_or_replaces_has_its_cell() -> None:
    """So does each request that comes with the old ID after it was replaced or ended."""
    cells = [
        (cell.first, cell.second, start, when)
        for cell in AFTERWARDS
        for start in cell.starts
        for when in cell.whens
    ]
    assert Counter(cells) == Counter(
        (first, second, start, when)
        for first in (LOGIN, LOGOUT, REGENERATE, DESTROY, EXPIRE, REVOKE)
        for second in REQUESTS
        for start in BOTH
        for when in (When.SOON, When.LATER)
    )


def test_the_page_is_made_from_the_table() -> None:
    """`make two-parties` writes it; nobody else does."""
    assert PAGE.read_text(encoding="utf-8") == page()
    assert "| clears | A wins." in page()


@pytest.mark.parametrize("party", [0, 1])
def test_a_cell_that_is_wrong_is_noticed(party: int, tmp_path: Path) -> None:
    """No cell passes with the outcome, or with a cookie, of another one."""
    rights = [cell for cell in OVERLAPPING if not cell.first.writes and not cell.second.writes]
    for number, right in enumerate(rights):
        other = rights[(number + 17) % len(rights)]
        first, second = right.cookies
        cookie = next(cookie for cookie in Cookie if cookie is not right.cookies[party])
        cookies = (first, cookie) if party else (cookie, second)
        wrong = [replace(right, cookies=cookies)]
        if other.outcome != right.outcome:
            wrong.append(replace(right, outcome=other.outcome))
        for cell in wrong:
            clock = ManualClock()
            with opened("memory", tmp_path, clock) as store:
                play = Play(store, clock, cell, cell.starts[0], When.OVERLAP)
            with pytest.raises(AssertionError):
                play.check()
