"""Why a value cannot be stored, in words that name the remedy."""

from __future__ import annotations

from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from coatcheck.codecs.protocol import kind_of
from coatcheck.errors import UnserializableValue

REGISTER: Final = "register it with CustomType"

# The nearest base is named, so a class stands before its own bases: datetime is a date.
_BASES: Final[tuple[type, ...]] = (
    *(str, int, float, bytes, list, dict, tuple, set, frozenset),
    *(datetime, date, time, timedelta, Decimal, UUID),
)
_LAZY: Final = frozenset({"LazyString", "_LazyString", "LazyProxy", "__proxy__"})


class Refused(Exception):
    """A value cannot be stored. On its way up each container adds its step, the innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []

    def under(self, key: Any) -> UnserializableValue:
        """Return the error for the caller, now that the session's own key is known."""
        steps = self.steps[::-1]
        if len(steps) > 16:
            steps[8:] = ["..."]
        path = step(key) + "".join(steps)
        return UnserializableValue(key if type(key) is str else step(key)[1:-1], path, self.reason)


def step(key: Any) -> str:
    """Return `[key]` as Python would write it, or `[<type>]` where that could be long, or fail."""
    kind = kind_of(key)
    if kind is str or kind is bytes:
        return f"[{key!r}]" if len(key) <= 64 else f"[{key[:61]!r}...]"
    if key is None or kind is bool or kind is float or (kind is int and key.bit_length() <= 128):
        return f"[{key!r}]"
    return f"[<{kind.__qualname__}>]"


def sound(text: str) -> str:
    """Return `text` if it is Unicode; raise `Refused` if it holds half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            f"the text has a lone surrogate at position {error.start}, which no encoding of"
            " Unicode holds: decode the bytes it came from properly, or store them as bytes"
        ) from None
    return text


def explain(value: Any) -> str:
    """Return why a value of this type is refused, and what to store instead.

    Asks the type only: a proxy would answer `isinstance` for the object behind it, or raise.
    """
    kind = kind_of(value)
    name = kind.__qualname__
    bases = kind.__mro__
    if bytearray in bases or memoryview in bases:
        return f"{name} would come back as bytes: store bytes(value)"
    if kind.__module__.partition(".")[0] == "numpy":
        return f"numpy's {name} would come back as another type: store value.item() or .tolist()"
    if kind.__name__ in _LAZY:
        return f"{name} is a lazy text, made anew for each reader: store str(value)"
    if kind.__name__ == "LocalProxy":
        return "LocalProxy stands for another object: store value._get_current_object()"
    if Enum in bases:
        return (
            f"{name} is an Enum: store its .value, or register it:"
            f" CustomType({name}, {name.lower()!r}, lambda member: member.value, {name})"
        )
    for base in _BASES:
        if base in bases:
            return (
                f"{name} is a subclass of {base.__name__} and would come back as a plain one:"
                f" convert it, or {REGISTER}"
            )
    if is_dataclass(kind):
        return f"{name} is a dataclass: store dataclasses.asdict(value), or {REGISTER}"
    return f"{name} is not a type that comes back as it was: convert it, or {REGISTER}"
