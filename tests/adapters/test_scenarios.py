"""Every scenario behind every adapter and on every store."""

from __future__ import annotations

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
def test_a_scenario_comes_true(door: str, kind: str, scenario: Scenario, tmp_path: Path) -> None:
    """What is promised is promised behind every adapter and on every store."""
    with DOORS[door](kind, tmp_path, **scenario.options) as site:
        scenario.play(site)
