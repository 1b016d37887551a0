"""What a record says of time, and how two versions of the data become one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.codecs import BinaryCodec, JSONCodec
from coatcheck.record import (
    MISSING,
    MUTE_FOR,
    TOMBSTONE_LIFE,
    Record,
    Tombstone,
    difference,
    merge,
    restrict,
)

NOW = 1_800_000_000.0
CODEC = BinaryCodec()
FULL = Record(b"h" * 32, "ann", 7, NOW, NOW + 1.5, 3600.0, NOW + 86_400.0, True, 1, b"data")
BARE = Record(b"\0" * 32, None, 0, NOW, None, None, None, False, 2, b"")
GRAVE = Tombstone(b"s" * 32, "ann", NOW, "0123456789abcdef" * 2, bytes(range(24)))


def test_sec_84_a_record_shows_no_data() -> None:
    """An error tracker that sends local variables sends the text of records too."""
    assert repr(FULL) == "<Record of 4 bytes, user_id='ann', epoch=7>"


# What a record says of time


def test_at_the_deadline_it_has_ended() -> None:
    """A session lives while now is before its absolute deadline, and ends at it."""
    assert not FULL.ended(NOW + 86_399.999)
    assert FULL.ended(NOW + 86_400.0)
    assert not BARE.ended(1e300)


def test_lifetime_counts_from_the_latest_sign_in() -> None:
    """The anchor is the latest login, else the creation."""
    assert FULL.anchor == NOW + 1.5
    assert BARE.anchor == NOW


def test_where_idle_time_is_indefinite_the_absolute_deadline_slides_not() -> None:
    """The deadline beside the version is now and the idle timeout, or the absolute one, or none."""
    assert FULL.slide(NOW + 10) == NOW + 3610
    assert FULL._replace(idle=None).slide(NOW + 10) == FULL.deadline
    assert BARE.slide(NOW) is None


def test_a_start_in_the_future_counts_as_now() -> None:
    """A clock that was wrong at the start gives a session no longer life than it should have."""
    early = NOW - 1000.0
    moved = FULL.as_of(early)
    assert moved.created_at == early
    assert moved.signed_in_at == early
    assert moved.deadline == FULL.deadline - 1001.5 if FULL.deadline else None
    assert FULL.as_of(NOW + 2) is FULL
    assert BARE.as_of(early).created_at == early
    assert BARE.as_of(early).signed_in_at is None


def test_a_tombstone_mutes_what_was_in_flight() -> None:
    """A request begun before the tombstone's time and 5 s was in flight; a later one was not."""
    assert GRAVE.mutes(NOW - 60)
    assert GRAVE.mutes(NOW + MUTE_FOR - 0.001)
    assert not GRAVE.mutes(NOW + MUTE_FOR)
    assert MUTE_FOR == 5.0
    assert TOMBSTONE_LIFE == 600.0


# Difference and merge


def _bytes(**values: Any) -> bytes:
    return CODEC.encode(values)


def _merge(
    base: Mapping[str, Any],
    mine: Mapping[str, Any],
    theirs: Mapping[str, Any],
    resolve: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], set[str], set[str]]:
    merged = merge(
        CODEC, CODEC.encode(base), CODEC.encode(mine), CODEC.encode(theirs), resolve or {}
    )
    return CODEC.decode(merged.data), set(merged.keys), set(merged.overwritten)


def test_difference_names_what_changed() -> None:
    """Keys that were added, changed or removed differ; equal ones do not, in whatever order."""
    base = _bytes(same=[1, {"a": 2}], changed=1, removed=1)
    mine = _bytes(added=1, changed=1.0, same=[1, {"a": 2}])
    assert set(difference(CODEC, base, mine)) == {"added", "changed", "removed"}
    assert difference(CODEC, base, base) == ()


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected", "applied", "overwritten"),
    [
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, {"a"}, set[str]()),
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, set[str](), set[str]()),
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, {"a"}, set[str]()),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}, {"a"}, {"a"}),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, set[str](), set[str]()),
        ({"a": 1}, {}, {"a": 1, "b": 2}, {"b": 2}, {"a"}, set[str]()),
        ({"a": 1}, {}, {"a": 3}, {}, {"a"}, {"a"}),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}, {"a"}, {"a"}),
        ({"a": 1}, {"a": 1}, {}, {}, set[str](), set[str]()),
        ({"a": 1}, {}, {}, {}, set[str](), set[str]()),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1], "b": 0}, {"a": [1, 2], "b": 0}, {"a"}, set[str]()),
    ],
)
def test_changes_are_applied_onto_theirs(
    base: Mapping[str, Any],
    mine: Mapping[str, Any],
    theirs: Mapping[str, Any],
    expected: Mapping[str, Any],
    applied: set[str],
    overwritten: set[str],
) -> None:
    """Key by key, what I changed wins, a removal like any other change; the rest is theirs."""
    assert _merge(base, mine, theirs) == (expected, applied, overwritten)


def test_a_resolver_is_asked_about_equal_changes_too() -> None:
    """Two requests that both count from 1 to 2 make 3, if a resolver says so."""

    def add(base: int, mine: int, theirs: int) -> int:
        return theirs + mine - base

    assert _merge({"n": 1}, {"n": 2}, {"n": 2}, {"n": add}) == ({"n": 3}, {"n"}, set())


_DATA = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))


@given(_DATA, _DATA, _DATA)
def test_merge_for_any_data(
    base: dict[str, int], mine: dict[str, int], theirs: dict[str, int]
) -> None:
    """Each key is mine if I changed it, and theirs if I did not."""
    merged, _, overwritten = _merge(base, mine, theirs)
    for key in "abcd":
        winner = theirs if mine.get(key) == base.get(key) else mine
        assert merged.get(key) == winner.get(key)
        both = base.get(key) not in (mine.get(key), theirs.get(key))
        assert (key in overwritten) == (both and mine.get(key) != theirs.get(key))


def test_a_resolver_decides_where_both_changed() -> None:
    """A resolver sees the three values, and its answer is stored; nobody is overwritten."""
    seen: list[tuple[Any, Any, Any]] = []

    def add(base: Any, mine: Any, theirs: Any) -> Any:
        seen.append((base, mine, theirs))
        return theirs + mine - base

    outcome = _merge({"n": 1, "m": 1}, {"n": 3, "m": 2}, {"n": 6, "m": 1}, {"n": add, "m": add})
    assert outcome == ({"n": 8, "m": 2}, {"n", "m"}, set())
    assert seen == [(1, 3, 6)]


def test_a_resolver_sees_and_says_that_a_key_is_missing() -> None:
    """Where the key was not there, or was removed, a resolver gets MISSING, and may return it."""
    seen: list[Any] = []

    def drop(base: Any, mine: Any, theirs: Any) -> Any:
        seen.extend((base, mine, theirs))
        return MISSING

    assert _merge({}, {"k": 1}, {"k": 2}, {"k": drop})[0] == {}
    assert _merge({"k": 0}, {}, {"k": 2}, {"k": drop})[0] == {}
    assert seen == [MISSING, 1, 2, 0, MISSING, 2]
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_what_a_resolver_raises_passes_through() -> None:
    """A mistake in a resolver is not hidden."""

    def divide(base: int, _mine: int, _theirs: int) -> float:
        return base / 0

    with pytest.raises(ZeroDivisionError):
        _merge({"n": 1}, {"n": 2}, {"n": 3}, {"n": divide})


def test_restrict_keeps_what_is_named() -> None:
    """Only the named keys pass; `None` lets all pass, without decoding anything."""
    data = _bytes(a=1, b=2)
    assert CODEC.decode(restrict(CODEC, data, frozenset({"a", "c"}))) == {"a": 1}
    assert CODEC.decode(restrict(CODEC, data, frozenset())) == {}
    assert restrict(CODEC, b"not even data", None) == b"not even data"


def test_the_rules_are_the_same_for_text() -> None:
    """Data as JSON is compared and merged as data in binary form is."""
    codec = JSONCodec()
    merged = merge(
        codec, codec.encode({"a": 1}), codec.encode({"a": 2}), codec.encode({"b": 3}), {}
    )
    assert codec.decode(merged.data) == {"a": 2, "b": 3}
    assert merged.overwritten == ("a",)
