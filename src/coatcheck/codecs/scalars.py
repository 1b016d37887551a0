"""The single values that neither MessagePack nor JSON has, each as one line of text.

The text is the same in both codecs, has one spelling for each value (a codec compares what it
reads with what it would write), and does not depend on locale, decimal context or time zone
database.
"""

from __future__ import annotations

import base64
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from coatcheck.codecs.protocol import MAX_INT_BITS
from coatcheck.codecs.refusal import Refused

T = TypeVar("T")
Moment = TypeVar("Moment", datetime, time)

_QUIET_NAN: Final = bytes.fromhex("7ff8000000000000")
_INT_DIGITS: Final = len(str(1 << MAX_INT_BITS))

_MOMENT: Final = re.compile(
    r"(?P<iso>[^;\[(]*)(?P<fold>;fold=1)?(?:\[(?P<zone>[^\]]*)\]|\((?P<name>.*)\))?", re.DOTALL
)
# A key becomes the name of a file, and of a package below `tzdata.zoneinfo`.
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,3}")
_SPAN: Final = re.compile(r"(-?[0-9]{1,9})d([0-9]{1,5})s([0-9]{1,6})us")


@dataclass(frozen=True, slots=True)
class Scalar(Generic[T]):
    """A type whose values are written as text."""

    cls: type[T]
    name: str
    write: Callable[[T], str]
    """Raises `Refused` for a value that `read` would not give back."""
    read: Callable[[str], T]
    """Raises any `Exception`, or returns what is written otherwise, for a text that is none."""


def write_int(value: int) -> str:
    """Return the decimal digits; raise `Refused` above `MAX_INT_BITS`."""
    if value.bit_length() > MAX_INT_BITS:
        raise Refused(f"the int has more than {MAX_INT_BITS} bits: store it as bytes")
    return str(value)


def read_int(text: str) -> int:
    """Return the int; raise `ValueError` above `MAX_INT_BITS`, before any long conversion."""
    if len(text) <= _INT_DIGITS + 1:
        value = int(text)
        if value.bit_length() <= MAX_INT_BITS:
            return value
    raise ValueError("an int is too long")


def _write_float(value: float) -> str:
    if value == value:
        return repr(value)
    bits = struct.pack(">d", value)
    return "nan" if bits == _QUIET_NAN else f"nan:{bits.hex()}"


def _read_float(text: str) -> float:
    if text in ("nan", "inf", "-inf"):
        return float(text)
    value: float = struct.unpack(">d", bytes.fromhex(text.removeprefix("nan:")))[0]
    return value


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _write_decimal(value: Decimal) -> str:
    # The context of the thread chooses between "E" and "e".
    return str(value).replace("e", "E")


def _write_span(value: timedelta) -> str:
    return f"{value.days}d{value.seconds}s{value.microseconds}us"


def _read_span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError("not a timedelta")
    days, seconds, microseconds = map(int, match.groups())
    return timedelta(days, seconds, microseconds)


def _write_moment(value: datetime | time) -> str:
    """ISO 8601, then `;fold=1`, then `[zone]` (as RFC 9557 has it) or the `(name)` of an offset.

    No offset is written beside a zone: governments change what it is, and the record must outlive
    the time zone database that it was written under.
    """
    zone = value.tzinfo
    suffix = ";fold=1" if value.fold else ""
    if zone is None or zone is UTC:
        return value.isoformat() + suffix
    kind: type = type(zone)
    if isinstance(zone, timezone) and kind is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        if offset.microseconds:
            # CPython's `fromisoformat` reads an offset below one second as UTC.
            raise Refused("its UTC offset is not whole seconds: use one that is")
        if name != timezone(offset).tzname(None):
            suffix += f"({name})"
        return value.isoformat() + suffix
    if isinstance(zone, ZoneInfo) and kind is ZoneInfo:
        return f"{value.replace(tzinfo=None).isoformat()}{suffix}[{_zone_key(zone, value)}]"
    raise Refused(
        f"its tzinfo is a {kind.__module__}.{kind.__qualname__}, which would come back as another"
        " one: use datetime.timezone or zoneinfo.ZoneInfo"
    )


def _zone_key(zone: ZoneInfo, value: datetime | time) -> str:
    """Return the key under which the very same rules will be found again."""
    key = zone.key
    if key and _ZONE.fullmatch(key):
        try:
            found = ZoneInfo(key)
        except (KeyError, ValueError, OSError):
            found = None
        if found is zone:
            return key
        if found is not None:
            # A second copy of the same rules, from `no_cache` or from before `clear_cache`.
            twin = value.replace(tzinfo=found)
            if (twin.utcoffset(), twin.dst(), twin.tzname()) == (
                value.utcoffset(),
                value.dst(),
                value.tzname(),
            ):
                return key
    raise Refused("its ZoneInfo is not the one that ZoneInfo(key) gives: use that one")


def _reads_moment(parse: Callable[[str], Moment]) -> Callable[[str], Moment]:
    def read(text: str) -> Moment:
        if ";" not in text and "[" not in text and "(" not in text:
            return parse(text)
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise ValueError("not a moment")
        zone, name = match["zone"], match["name"]
        value = parse(match["iso"])
        if match["fold"]:
            value = value.replace(fold=1)
        if zone is not None:
            if not _ZONE.fullmatch(zone):
                raise ValueError("not a zone")
            return value.replace(tzinfo=ZoneInfo(zone))
        if name is not None:
            offset = value.utcoffset()
            if offset is None:
                raise ValueError("a name without an offset")
            return value.replace(tzinfo=timezone(offset, name))
        return value

    return read


def markup_type() -> type | None:
    """Return `markupsafe.Markup` if anybody has imported it; without that no value can be one."""
    return getattr(sys.modules.get("markupsafe"), "Markup", None)


def _read_markup(text: str) -> str:
    from markupsafe import Markup  # Not a dependency of the core.

    return Markup(text)  # noqa: S704 - it was a Markup when it was stored


INT: Final = Scalar(int, "int", write_int, read_int)
FLOAT: Final = Scalar(float, "float", _write_float, _read_float)
BYTES: Final = Scalar(bytes, "bytes", _write_bytes, base64.b64decode)
MARKUP: Final = Scalar(str, "markup", str.__str__, _read_markup)
"""For `Markup`, which is found by `markup_type`."""
COMMON: Final[tuple[Scalar[Any], ...]] = (
    Scalar(datetime, "datetime", _write_moment, _reads_moment(datetime.fromisoformat)),
    Scalar(date, "date", date.isoformat, date.fromisoformat),
    Scalar(time, "time", _write_moment, _reads_moment(time.fromisoformat)),
    Scalar(timedelta, "timedelta", _write_span, _read_span),
    Scalar(Decimal, "decimal", _write_decimal, Decimal),
    Scalar(UUID, "uuid", UUID.__str__, UUID),
)
"""What both codecs write as text."""
