"""What every store checks of its arguments, in one place so that all refuse the same."""

from __future__ import annotations

import math

from coatcheck import checks


def check_namespace(namespace: str) -> str:
    """Return `namespace` if it can be one; raise `ConfigurationError` if not."""
    return checks.namespace("namespace", namespace)


def check_deadline(expires_at: float | None) -> None:
    """Raise `ValueError` for a deadline that is no finite number: NaN would never come."""
    if expires_at is not None and not math.isfinite(expires_at):
        raise ValueError("expires_at must be a finite number of seconds since the epoch, or None")
