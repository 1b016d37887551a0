"""While IDs are rotated nobody is signed out, whatever is lost or late, and no alarm is raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.schedules.rotation import STATES, Site, rounds, site_on, try_rounds, try_thefts, walk

WALKS = 100


@pytest.mark.parametrize("state", STATES)
def test_sec_30_requests_at_once_and_lost_responses_sign_nobody_out(state: str) -> None:
    """From each state between two rotations, in all orders, whichever response arrives last."""
    site = Site()
    assert sum(try_rounds(site, state, acts) for acts in rounds()) > 50


def test_sec_30_no_life_with_rotations_ends_before_its_time() -> None:
    """Requests begin at any time, and their answers arrive, late or never."""
    site = Site()
    assert sum(walk(site, steps=400, seed=seed) for seed in range(WALKS)) > 3 * WALKS


@pytest.mark.parametrize("act", ["touch", "write", "login", "regenerate", "logout"])
def test_sec_30_a_theft_ends_what_was_stolen_and_no_sign_in_since(act: str) -> None:
    """In all orders of the thief's request and the victim's; nothing brings the session back."""
    assert try_thefts(Site(), act) > 1


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_sec_30_nobody_is_signed_out_on_a_disk(kind: str, tmp_path: Path) -> None:
    """So it is where sessions lie in files and in SQLite."""
    url = f"file://{tmp_path}/sessions" if kind == "file" else f"sqlite:///{tmp_path}/sessions.db"
    with site_on(url) as site:
        for state in STATES:
            assert try_rounds(site, state, ("write", "touch")) > 1
        assert sum(walk(site, steps=400, seed=seed) for seed in range(3)) > 3
