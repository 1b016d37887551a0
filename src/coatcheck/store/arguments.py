"""What every store checks of its arguments, in one place so that all refuse the same."""

from __future__ import annotations

import math
import re

from coatcheck.errors import ConfigurationError

_NAMESPACE = re.compile(r"[A-Za-z0-9:_.-]{1,64}")


def check_namespace(namespace: str) -> str:
    """Return `namespace` if it is 1 to 64 of `A-Z a-z 0-9 : _ . -` (SEC-81); else raise.

    Raises `ConfigurationError`. Nothing else may become part of an engine's own keys or patterns.
    """
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):  # pyright: ignore[reportUnnecessaryIsInstance] : options come from files and environments
        raise ConfigurationError(
            f"namespace must be 1 to 64 letters, digits or : _ . - , not {namespace!r}:"
            " write namespace='coatcheck' or leave it out"
        )
    return namespace


def check_deadline(expires_at: float | None) -> None:
    """Raise `ValueError` for a deadline that is no finite number: NaN would never come."""
    if expires_at is not None and not math.isfinite(expires_at):
        raise ValueError("expires_at must be a finite number of seconds since the epoch, or None")
