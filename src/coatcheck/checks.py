"""What options must be: checks that name the option as its author wrote it, and say what to write.

None of them shows a value that may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar, cast

from coatcheck.errors import ConfigurationError

T = TypeVar("T")

LEAST_ROTATION: Final = 60.0
"""The shortest `rotate_every` in seconds: no response is under way for as long."""
_A_STATE: Final = (
    "a State, an object with extract, inject and clear such as HeaderState('X-Session')"
)
_DIRECTIVES: Final = (
    *("cache", "clientHints", "cookies", "executionContexts", "prefetchCache", "prerenderCache"),
    *("storage", "*"),
)

Duration = float | timedelta | Literal["indefinite"] | None
"""A length of time as options take it: seconds, a `timedelta`, or, for no limit, `None`."""

LONGEST: Final = 400 * 86_400.0
"""The longest finite timeout in seconds: browsers keep no cookie longer (RFC 6265bis, 5.5)."""

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9:_.-]{1,64}")


def namespace(name: str, value: object) -> str:
    """Return a namespace: it becomes part of keys, patterns and names in engines (SEC-81)."""
    if isinstance(value, str) and _NAMESPACE.fullmatch(value):
        return value
    raise wrong(name, "1 to 64 characters of A-Z a-z 0-9 : _ . -", value)


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return a length of time as seconds.

    Raises `ConfigurationError` for anything but a number or a `timedelta`, and for what is not
    finite, not positive (`zero` allows 0), or above 400 days.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(
            f"{name} must be a number of seconds or a timedelta, not {_kind(value)}:"
            f" write {name}=3600, or {name}=timedelta(hours=1)"
        )
    # Compared before it is converted: float() of a huge int overflows.
    if not (value >= 0 if zero else value > 0) or value > LONGEST:
        limits = "from 0" if zero else "above 0"
        # An int of thousands of digits has no repr.
        shown = repr(value) if isinstance(value, float) or abs(value) < 10**18 else "an int so long"
        raise ConfigurationError(
            f"{name} must be {limits} and at most 400 days ({LONGEST:.0f} s), not {shown}"
        )
    return float(value)


def seconds_or_never(name: str, value: object) -> float | None:
    """Return a timeout as seconds; `None` where it is `None` or `"indefinite"`."""
    if value is None or value == "indefinite":
        return None
    try:
        return seconds(name, value)
    except ConfigurationError as error:
        hint = f"{error}; {name}=None, or 'indefinite', means no limit"
        raise ConfigurationError(hint) from None


def flag(name: str, value: object) -> bool:
    """Return a bool as it is; a string such as `"false"`, which is true, is refused."""
    if isinstance(value, bool):
        return value
    raise wrong(name, "True or False", value)


def count(name: str, value: object) -> int:
    """Return a whole number from 1."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise wrong(name, "a whole number from 1", value)


def text(name: str, value: object) -> str:
    """Return a string that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise wrong(name, "a string that is not empty", value)


def choice(name: str, value: object, choices: Sequence[str]) -> Any:
    """Return the value if it is one of `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    raise wrong(name, " or ".join(repr(one) for one in choices), value)


def function(name: str, value: T, signature: str) -> T:
    """Return the value if it can be called; `signature` says how it will be."""
    if callable(value):
        return value
    raise wrong(name, f"a function, called as {signature}", value)


def listed(name: str, value: Any, example: str) -> tuple[Any, ...]:
    """Return a list or tuple as a tuple.

    A bare string is a list of its characters and a generator is empty the second time, so both are
    refused (pallets/flask#6089).
    """
    if isinstance(value, list | tuple):
        return tuple(cast("Sequence[Any]", value))
    raise ConfigurationError(f"{name} must be a list, not {_kind(value)}: write {name}={example}")


def methods(name: str, value: T, needed: Sequence[str], remedy: str) -> T:
    """Return the value if it is an object with the methods `needed`."""
    missing = [method for method in needed if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        what = f"the class {value.__name__} itself" if isinstance(value, type) else _kind(value)
        lacks = f" (without {', '.join(missing)})" if missing else ""
        raise ConfigurationError(f"{name} must be {remedy}, not {what}{lacks}")
    return value


def rotation(name: str, value: object) -> float:
    """Return an interval of rotation as seconds."""
    interval = seconds(name, value)
    if interval < LEAST_ROTATION:
        raise ConfigurationError(
            f"{name} must be at least {LEAST_ROTATION:g} seconds, which is what responses under"
            f" way may take, not {interval:g}: write {name}=900"
        )
    return interval


def state(name: str, value: Any) -> Any:
    """Return a State: what `coatcheck.state.State` asks of one."""
    checked: Any = methods(name, value, ("extract", "inject", "clear"), _A_STATE)
    vary: Any = getattr(checked, "vary", None)
    listed = isinstance(vary, Sequence) and not isinstance(vary, str)
    if not listed or not all(isinstance(header, str) for header in cast("list[object]", vary)):
        raise ConfigurationError(
            f"{name} must name the request headers that it reads: give the State an attribute"
            f" vary = ('Cookie',), not {vary!r}"
        )
    if not isinstance(getattr(checked, "sends", None), bool):
        raise ConfigurationError(
            f"{name} must say whether inject can reach the client: give the State an attribute"
            " sends = True, or False"
        )
    return checked


def directives(name: str, value: Any) -> tuple[str, ...]:
    """Return the directives of `Clear-Site-Data`; `True` stands for the usual ones."""
    if isinstance(value, bool):
        return ("cache", "storage") if value else ()
    return tuple(
        choice(f"{name}[{number}]", directive, _DIRECTIVES)
        for number, directive in enumerate(listed(name, value, "['cache', 'storage']"))
    )


def mapping(name: str, value: Any, example: str) -> dict[str, Any]:
    """Return a mapping with string keys as a dict of its own."""
    if issubclass(type(value), Mapping):
        items: dict[Any, Any] = dict(value)
        if all(isinstance(key, str) for key in items):
            return items
    raise ConfigurationError(
        f"{name} must be a dict with strings as keys, not {_kind(value)}: write {name}={example}"
    )


def wrong(name: str, wanted: str, value: object) -> ConfigurationError:
    """Make the error for an option whose value may be shown."""
    return ConfigurationError(f"{name} must be {wanted}, not {value!r}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
