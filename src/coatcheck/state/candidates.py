"""What a request offers as a session ID: a few distinct strings, all in the form of an ID."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coatcheck.ids import has_form_of_id

MOST_CANDIDATES: Final = 8
"""More than these are refused by whoever asked, unverified (SEC-62); so one more is enough."""


def collect(found: list[str], values: Iterable[str]) -> list[str]:
    """Append to `found` what is in the form of an ID and not there yet, to one above the limit."""
    if len(found) > MOST_CANDIDATES:
        return found
    for value in values:
        if has_form_of_id(value) and value not in found:
            found.append(value)
            if len(found) > MOST_CANDIDATES:
                break
    return found


def as_values(extracted: str | Iterable[str] | None) -> Iterable[str]:
    """Return what a State or callback extracted as several values, or none."""
    if extracted is None:
        return ()
    return (extracted,) if isinstance(extracted, str) else extracted
