"""What a value is to the last detail, and hypothesis strategies for all that codecs keep."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from markupsafe import Markup

from coatcheck.codecs.protocol import kind_of

ZONES = ("Europe/Warsaw", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Etc/GMT+5")


def portrait(value: Any) -> Any:
    """Return what compares equal only for values of the same types, bits and order."""
    kind = kind_of(value)
    if kind in (list, tuple):
        return (kind, [portrait(item) for item in value])
    if kind is dict:
        items = cast("Mapping[Any, Any]", value).items()
        return (kind, [(portrait(key), portrait(item)) for key, item in items])
    if kind in (set, frozenset):
        return (kind, sorted(repr(portrait(item)) for item in value))
    if kind is float:
        return (kind, struct.pack(">d", value).hex())
    if kind is Decimal:
        return (kind, value.as_tuple())
    if kind is datetime or kind is time:
        naive = value.replace(tzinfo=None)
        return (kind, naive.isoformat(), value.fold, _zone(value.tzinfo))
    if kind is Markup:
        return (kind, str.__str__(value))
    return (kind, value)


def _zone(zone: tzinfo | None) -> Any:
    if isinstance(zone, ZoneInfo):
        return (ZoneInfo, zone.key)
    return None if zone is None else (type(zone), zone.utcoffset(None), zone.tzname(None))


_offsets = st.integers(-86399, 86399).map(lambda seconds: timedelta(seconds=seconds))
_zones = st.one_of(
    st.none(),
    st.just(UTC),
    _offsets.map(timezone),
    st.builds(timezone, _offsets, st.text(max_size=5)),
    st.sampled_from(ZONES).map(ZoneInfo),
)
_ints = st.one_of(
    st.integers(),
    st.integers(-(1 << 2048) + 1, (1 << 2048) - 1),
    st.sampled_from([-(1 << 63), -(1 << 63) - 1, (1 << 64) - 1, 1 << 64, 255, 256, -33]),
)


def _folded(value: Any, fold: int) -> Any:
    return value.replace(fold=fold)


_texts = st.one_of(
    st.text(), st.sampled_from(["!", "!tuple", "!!money", "\\ud800", "\u2028", "😀"])
)
# Python cannot hash a signalling NaN.
hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    _ints,
    st.floats(),
    st.floats(width=16),
    _texts,
    _texts.map(Markup),
    st.binary(),
    st.decimals(allow_nan=False),
    st.builds(_folded, st.datetimes(timezones=_zones), st.sampled_from([0, 0, 1])),
    st.builds(_folded, st.times(timezones=_zones), st.sampled_from([0, 0, 1])),
    st.dates(),
    st.timedeltas(),
    st.uuids(),
)
hashables: st.SearchStrategy[Any] = st.recursive(
    hashable_scalars,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values: st.SearchStrategy[Any] = st.recursive(
    hashable_scalars | st.decimals() | hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_texts, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
    ),
    max_leaves=12,
)
sessions: st.SearchStrategy[dict[str, Any]] = st.dictionaries(_texts, values, max_size=6)
