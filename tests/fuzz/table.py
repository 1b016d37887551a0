"""All targets, in the order of the plan."""

from __future__ import annotations

from typing import Final

from tests.fuzz import (
    codecs,
    costs,
    fronts,
    ids,
    kills,
    lifecycle,
    naming,
    parsers,
    records,
    sealed,
    sending,
)
from tests.fuzz.target import Target

_MODULES: Final = (
    codecs,
    costs,
    fronts,
    ids,
    kills,
    lifecycle,
    naming,
    parsers,
    records,
    sealed,
    sending,
)
TARGETS: Final[tuple[Target, ...]] = tuple(
    sorted(
        (target for module in _MODULES for target in module.TARGETS), key=lambda target: target.row
    )
)
NAMED: Final = {target.name: target for target in TARGETS}
ELSEWHERE: Final = {
    6: "schedules of requests that overlap: tests/schedules",
    16: "the search for secrets in what the suite leaves behind: tests/leaks.py",
}
"""Rows of the plan that are no targets here."""
