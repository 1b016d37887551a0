"""The table of scenarios: written once, played behind every adapter and on every store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.adapters.site import Site

Play = Callable[[Site], None]


@dataclass(frozen=True)
class Scenario:
    """One thing that must come true on every site."""

    play: Play
    options: dict[str, Any]
    """The options of the site."""
    needs_index: bool
    """Whether it needs to know which sessions a user has, or which there are."""


SCENARIOS: list[Scenario] = []


def scenario(*, index: bool = False, **options: Any) -> Callable[[Play], Play]:
    """Enter a function into the table."""

    def enter(play: Play) -> Play:
        SCENARIOS.append(Scenario(play, options, index))
        return play

    return enter
