"""Every scenario behind every adapter and on every store."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.adapters.doors import DOORS, KEYVALUE_SITES, SITES
from tests.adapters.scenarios import SCENARIOS, Scenario

PLAYS = [
    pytest.param(door, kind, scenario, id=f"{door}-{kind}-{scenario.play.__name__}")
    for door, kind in (*SITES, *KEYVALUE_SITES)
    for scenario in SCENARIOS
    if "keyvalue" not in kind or not scenario.needs_index
]


@pytest.mark.parametrize(("door", "kind", "scenario"), PLAYS)
def test_a_scenario_comes_true(
    door: str,
    kind: str,
    scenario: Scenario,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is promised is promised behind every adapter, on every store; and no log has an ID."""
    caplog.set_level(logging.DEBUG, "coatcheck")
    with DOORS[door](kind, tmp_path, **scenario.options) as site:
        scenario.play(site)
    told = f"{caplog.text} {site.events} {site.options}"
    assert not [session_id for session_id in site.issued if session_id in told]
    assert all(event_name in told for event_name in {type(e).__name__ for e in site.events})
