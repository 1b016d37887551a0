"""What codecs promise of any value and of any bytes."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.codecs import BinaryCodec, Codec, JSONCodec
from coatcheck.errors import CorruptRecord, UnserializableValue
from tests.core.portrait import portrait, sessions, values

BINARY, JSON = BinaryCodec(), JSONCodec()
both = pytest.mark.parametrize("codec", [BINARY, JSON], ids=["binary", "json"])


def _decoded(codec: Codec, data: bytes) -> dict[str, Any] | None:
    try:
        return codec.decode(data)
    except CorruptRecord:
        return None


@both
@given(session=sessions)
def test_sec_22_what_is_decoded_is_what_was_encoded(codec: Codec, session: dict[str, Any]) -> None:
    """Every session of known types comes back with the same types, bits and order.

    A mapping that is no dict takes the careful way, which gives the bytes of the quick one.
    """
    encoded = codec.encode(session)
    decoded = codec.decode(encoded)
    assert portrait(decoded) == portrait(session)
    assert codec.encode(decoded) == encoded
    assert codec.encode(MappingProxyType(session)) == encoded


@both
@given(session=sessions)
def test_what_a_checksum_vouches_for_reads_the_same(codec: Codec, session: dict[str, Any]) -> None:
    """The quick way of reading gives what the careful one gives."""
    assert portrait(codec.decode_own(codec.encode(session))) == portrait(session)


@both
@given(session=sessions, other=sessions)
def test_an_encoding_is_known_again(
    codec: Codec, session: dict[str, Any], other: dict[str, Any]
) -> None:
    """Data is compared with bytes as if it were encoded, and what cannot be is never the same."""
    encoded = codec.encode(session)
    assert codec.is_encoding_of(encoded, codec.decode(encoded))
    assert codec.is_encoding_of(encoded, other) == (codec.encode(other) == encoded)
    assert not codec.is_encoding_of(encoded, {**session, "k": object()})


@both
@given(value=values)
def test_values_compare_as_in_sessions(codec: Codec, value: Any) -> None:
    """Two values have equal bytes exactly if the sessions that hold them have."""
    again = codec.decode(codec.encode({"k": value}))["k"]
    assert codec.encode_value("k", value) == codec.encode_value("k", again)
    assert codec.encode_value("k", [value]) != codec.encode_value("k", value)


@given(session=sessions)
def test_json_is_one_line_of_ascii(session: dict[str, Any]) -> None:
    """The readable form is one line of printable ASCII that any JSON parser reads."""
    text = JSON.encode(session).decode("ascii")
    assert text.isprintable()
    json.loads(text)


@both
@given(
    session=st.dictionaries(
        st.text(st.characters(exclude_categories=())),
        st.text(st.characters(exclude_categories=())) | st.integers(-(1 << 2060), 1 << 2060),
    )
)
def test_sec_22_refused_or_kept(codec: Codec, session: dict[str, Any]) -> None:
    """Text with lone surrogates and ints that are too long are refused, anything else is kept."""
    parts = [*session, *session.values()]
    if any(_unfit(part) for part in parts):
        with pytest.raises(UnserializableValue, match="surrogate|bits"):
            codec.encode(session)
    else:
        assert portrait(codec.decode(codec.encode(session))) == portrait(session)


def _unfit(part: int | str) -> bool:
    if isinstance(part, int):
        return part.bit_length() > 2048
    return any("\ud800" <= character <= "\udfff" for character in part)


@both
@given(data=st.binary())
def test_random_bytes(codec: Codec, data: bytes) -> None:
    """Random bytes are a corrupt record, or the encoding of what they decode to."""
    expect_fixed_point(codec, data)


@both
@given(session=sessions, draw=st.data())
def test_damaged_records(codec: Codec, session: dict[str, Any], draw: st.DataObject) -> None:
    """A record with bytes changed, removed or inserted is corrupt, or an encoding itself."""
    data = bytearray(codec.encode(session))
    for _ in range(draw.draw(st.integers(1, 3))):
        start = draw.draw(st.integers(0, len(data)))
        end = draw.draw(st.integers(start, min(len(data), start + 3)))
        data[start:end] = draw.draw(st.binary(max_size=3))
    expect_fixed_point(codec, bytes(data))


_TEXTS = """
    a 1 -0 1.50 NaN nan = YQ== ( [ 12:00 12:00[UTC] 2026-11-21 2026-11-21T10:00:00+01:00(CET)
    2026-11-21T10:00:00;fold=1[Europe/Warsaw] 2026-11-21T10:00:00[../../etc/passwd]
    1d0s0us 01d0s0us 18446744073709551616 0000000000000000000000000000000000000000
    00000000-0000-0000-0000-000000000001
"""
_TAGS = """
    !tuple !set !frozenset !dict !decimal !datetime !date !time !float !timedelta !uuid !bytes
    !markup !int !!money !! ! a b
"""


def _extension(code: int, text: str) -> ormsgpack.Ext:
    return ormsgpack.Ext(code, text.encode("utf-8", "surrogatepass"))


def _marked(code: int, items: list[Any]) -> list[Any]:
    return [ormsgpack.Ext(code, b""), *items]


_texts = st.sampled_from([*_TEXTS.split(), "", "\ud800"])
_codes = st.sampled_from([*range(7), *range(15, 26), 127])
_leaves: st.SearchStrategy[Any] = st.one_of(
    st.builds(_extension, _codes, _texts),
    st.builds(_extension, _codes, st.just("")),
    st.integers(0, 2),
    st.booleans(),
    st.floats(0, 2),
    st.sampled_from("ab"),
)
_packed: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(_marked, _codes, st.lists(inner, max_size=5)),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    ),
)


@given(tree=st.dictionaries(st.sampled_from("ab"), _packed, max_size=2))
def test_forged_extensions(tree: dict[str, Any]) -> None:
    """MessagePack that uses our extensions at random is corrupt, or an encoding itself."""
    expect_fixed_point(BINARY, ormsgpack.packb(tree))


_tags = st.sampled_from(_TAGS.split())
_tree = st.recursive(
    _texts | st.integers() | st.booleans() | st.none() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_tags, inner, max_size=2),
)


@given(tree=st.dictionaries(_tags, _tree, max_size=2))
def test_forged_tags(tree: dict[str, Any]) -> None:
    """JSON that uses our tags at random is corrupt, or reads as a value that we encode."""
    expect_fixed_point(JSON, json.dumps(tree).encode())


def expect_fixed_point(codec: Codec, data: bytes) -> None:
    """Decode bytes: a corrupt record, or what encodes to the same again."""
    value = _decoded(codec, data)
    if value is None:
        return
    encoded = codec.encode(value)
    if codec is BINARY:
        assert encoded == data
    assert portrait(codec.decode(encoded)) == portrait(value)
    assert codec.encode(codec.decode(encoded)) == encoded
