"""What codecs keep: every type as itself, the same bytes everywhere, and the forms on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from math import copysign, inf, isnan, nan
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

import pytest
from markupsafe import Markup

from coatcheck.codecs import MAX_DEPTH, MAX_INT_BITS, BinaryCodec, Codec, JSONCodec
from coatcheck.errors import CorruptRecord, UnserializableValue
from tests.core.portrait import portrait

BINARY, JSON = BinaryCodec(), JSONCodec()
both = pytest.mark.parametrize("codec", [BINARY, JSON], ids=["binary", "json"])
WARSAW = ZoneInfo("Europe/Warsaw")
LONG = (1 << MAX_INT_BITS) - 1

KEPT: dict[str, Any] = {
    "bool": [True, False, None, 1, 0, 1.0, 0.0],
    "int": [1 << 53, -(1 << 63), (1 << 64) - 1, 1 << 64, -(1 << 63) - 1, LONG, -LONG],
    "float": [-0.0, inf, -inf, 5e-324, 1.7976931348623157e308, 1e16, 0.1],
    "nan": [nan, -nan, copysign(nan, -1)],
    "str": ["", "zażółć", "😀", "a\nb\u2028c\x00d\x9b", "\\ud800", '"', "!", "/"],
    "bytes": [b"", bytes(range(256))],
    "datetime": [
        datetime(2026, 11, 21, 21, 35),  # noqa: DTZ001
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 21, 35, 0, 1, tzinfo=timezone(timedelta(hours=-3, seconds=-7))),
        datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=1), "CET")),
        datetime(2026, 11, 21, tzinfo=timezone(timedelta(0), "Z")),
        datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=1), ");fold=1[x](")),
        datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=1), "")),
        datetime(2026, 10, 25, 2, 30, tzinfo=WARSAW),
        datetime(2026, 10, 25, 2, 30, tzinfo=WARSAW, fold=1),
        datetime(2026, 10, 25, fold=1),  # noqa: DTZ001
    ],
    "date": [date(2026, 11, 21), date.min, date.max],
    "time": [time(23, 59, 59, 999999), time(0, tzinfo=UTC), time(1, tzinfo=WARSAW, fold=1)],
    "timedelta": [timedelta.min, timedelta.max, timedelta(0), timedelta(microseconds=-1)],
    "uuid": [UUID(int=0), UUID("12345678-1234-5678-1234-567812345678")],
    "decimal": [Decimal(text) for text in ("0", "-0", "1.50", "1E+5", "NaN", "-sNaN7", "Infinity")],
    "markup": [Markup("<b>x</b>"), Markup(""), Markup("ż")],
    "tuple": [(), (1,), ((), [()]), (1, (2, (3,)))],
    "set": [set[int](), {1, "1", 1.5, None, b"1", (1,), frozenset({1})}, {True, 0}],
    "frozenset": [frozenset[int](), frozenset({frozenset({frozenset[int]()})})],
    "dict": {"": 1, "b": {"z": 1, "a": 2}, "a": {}},
    "keys": [
        {1: 1, "1": 2, None: 3, (1, 2): 4, b"1": 5, 1.5: 6, Markup("1!"): 7, frozenset({1}): 8},
        {UUID(int=1): 1, date(2026, 1, 1): 2, Decimal("1.0"): 3, -1: {-2: {-3: {}}}},
        {True: 1},
        {nan: 1},
    ],
    "tags": [
        {"!tuple": [1, 2]},
        {"!dict": []},
        {"!": 1},
        {"!!money": {}},
        {"!nosuch": {"!set": [1]}},
        {"!tuple": [1], "other": 2},
        ["!tuple", [1]],
        {1: {"!tuple": []}},
    ],
}


@both
@pytest.mark.parametrize("name", KEPT)
def test_kept(codec: Codec, name: str) -> None:
    """Each built-in type comes back as what it was, to the bit, on its own and inside others."""
    value = KEPT[name]
    session = {"value": value, "inside": [{"deeper": (value,)}]}
    decoded = codec.decode(codec.encode(session))
    assert portrait(decoded) == portrait(session)
    assert codec.encode(decoded) == codec.encode(session)


@both
def test_session_may_look_like_a_tag(codec: Codec) -> None:
    """A session with a single key that reads like a tag is a session like any other."""
    for session in ({"!tuple": [1]}, {"!dict": [[1, 2]]}, {"!!x": None}, {"!": 1}, {}):
        assert codec.decode(codec.encode(session)) == session
        assert codec.decode(codec.encode(MappingProxyType(session))) == session


@both
def test_bool_int_and_float_are_told_apart(codec: Codec) -> None:
    """Values that Python calls equal have different bytes when their types differ."""
    same: list[list[Any]] = [[1, True, 1.0, Decimal(1)], [0.0, -0.0, 0, False], [{1}, {True}]]
    same += [["a", Markup("a"), b"a"], [(1,), [1]], [{1}, frozenset({1})], [{"a": 1}, {b"a": 1}]]
    for values in same:
        encodings = {codec.encode_value("k", value) for value in values}
        assert len(encodings) == len(values)


@both
def test_nan_stays_nan(codec: Codec) -> None:
    """NaN is kept: unequal to itself, and yet the same bytes, so it is no change."""
    decoded = codec.decode(codec.encode({"x": nan}))
    assert isnan(decoded["x"])
    assert codec.encode(decoded) == codec.encode({"x": nan})


@both
def test_order_of_keys_is_kept(codec: Codec) -> None:
    """Dictionaries come back in their order, and another order is another encoding."""
    assert list(codec.decode(codec.encode({"b": 1, "a": 2}))) == ["b", "a"]
    assert codec.encode({"b": 1, "a": 2}) != codec.encode({"a": 2, "b": 1})


@both
def test_decoded_objects_are_fresh(codec: Codec) -> None:
    """Nothing that was decoded is shared with what was encoded or with a second decoding."""
    session = {"list": [1], "dict": {"a": [2]}, "set": {3}, "keys": {1: [4]}}
    encoded = codec.encode(session)
    first, second = codec.decode(encoded), codec.decode(encoded)
    first["list"].append(0)
    first["dict"]["a"].append(0)
    first["set"].add(0)
    first["keys"][1].append(0)
    assert second == session == {"list": [1], "dict": {"a": [2]}, "set": {3}, "keys": {1: [4]}}


@both
def test_encoding_leaves_the_session_alone(codec: Codec) -> None:
    """The data that is encoded is not changed by it."""
    session = {"set": {2, 1}, "keys": {1: (1, [2])}, "deep": [{"tuple": ({"a": {3}},)}]}
    before = portrait(session)
    codec.encode(session)
    assert portrait(session) == before


@both
def test_any_mapping_is_encoded(codec: Codec) -> None:
    """A mapping that is no dict is encoded as a dict with the same items would be."""

    class Items(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return {"a": 1, "b": 2}[key]

        def __iter__(self) -> Any:
            return iter(["b", "a"])

        def __len__(self) -> int:
            return 2

    assert codec.encode(Items()) == codec.encode({"b": 2, "a": 1})


@both
def test_decimal_context_does_not_matter(codec: Codec) -> None:
    """The bytes of a Decimal do not depend on the thread's decimal context."""
    value = Decimal("1E+50")
    expected = codec.encode({"d": value})
    with localcontext() as context:
        context.capitals, context.prec = 0, 1
        assert codec.encode({"d": value}) == expected
        assert portrait(codec.decode(expected)) == portrait({"d": value})


@both
def test_second_copy_of_a_zone_is_the_same_zone(codec: Codec) -> None:
    """A ZoneInfo from outside the cache is kept by its key, since its rules are the same."""
    value = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo.no_cache("Europe/Warsaw"), fold=1)
    decoded = codec.decode(codec.encode({"at": value}))["at"]
    assert decoded.tzinfo is WARSAW
    assert (decoded.replace(tzinfo=None), decoded.fold) == (value.replace(tzinfo=None), 1)


@both
def test_all_zones_are_kept(codec: Codec) -> None:
    """Every zone of the time zone database is kept by its key."""
    keys = sorted(available_timezones())
    assert len(keys) > 400
    session = {"at": [datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo(key), fold=1) for key in keys]}
    assert portrait(codec.decode(codec.encode(session))) == portrait(session)


@both
def test_zone_with_a_name_that_is_not_read(codec: Codec, tmp_path: Path) -> None:
    """A zone whose key would not be looked up when it is read is refused when it is written."""
    rules = b"TZif" + bytes(16) + bytes(16) + b"\0\0\0\1\0\0\0\4" + bytes(6) + b"UTC\0"
    (tmp_path / "our.zone").write_bytes(rules)
    reset_tzpath([str(tmp_path)])
    try:
        with pytest.raises(UnserializableValue, match="its ZoneInfo"):
            codec.encode({"at": datetime(2026, 1, 1, tzinfo=ZoneInfo("our.zone"))})
    finally:
        reset_tzpath()


@both
def test_long_ints_do_not_depend_on_the_interpreters_limit(codec: Codec) -> None:
    """The longest int is encoded and decoded under the tightest limit on digits there is."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert codec.decode(codec.encode({"n": -LONG}))["n"] == -LONG
    finally:
        sys.set_int_max_str_digits(limit)


WRAPS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "list": (lambda value: [value], 1, 1),
    "dict": (lambda value: {"k": value}, 1, 1),
    "tuple": (lambda value: (value,), 1, 2),
    "frozenset": (lambda value: frozenset({value}), 1, 2),
    "keys": (lambda value: {1: value}, 1, 3),
}


@pytest.mark.parametrize("name", WRAPS)
def test_depth(name: str) -> None:
    """What encodes decodes, and ends at the documented depth, which tags use up in JSON."""
    wrap, *levels = WRAPS[name]
    codecs: tuple[Codec, Codec] = (BINARY, JSON)
    for codec, each in zip(codecs, levels, strict=True):
        value: Any = 0
        for _ in range((MAX_DEPTH - 1) // each):
            value = wrap(value)
            encoded = codec.encode({"k": value})
            assert codec.encode(codec.decode(encoded)) == encoded
        with pytest.raises(UnserializableValue, match=str(MAX_DEPTH)) as caught:
            codec.encode({"k": wrap(value)})
        assert caught.value.key == "k"


@both
@pytest.mark.parametrize("scalar", [0, b"", timedelta(0), "", (), set[int]()])
def test_depth_of_what_lies_deepest(codec: Codec, scalar: Any) -> None:
    """Whatever lies innermost, what is encoded at the greatest depth is decoded again."""
    for depth in range(MAX_DEPTH - 4, MAX_DEPTH + 1):
        value = scalar
        for _ in range(depth):
            value = [value]
        try:
            encoded = codec.encode({"k": value})
        except UnserializableValue:
            continue
        assert codec.encode(codec.decode(encoded)) == encoded


def test_depth_counts_brackets_only() -> None:
    """Brackets inside strings, and many containers side by side, are no depth."""
    session: dict[str, Any] = {"text": "[{" * 500 + '\\"[', "wide": [[]] * 500}
    assert JSON.decode(JSON.encode(session)) == session
    assert BINARY.decode(BINARY.encode(session)) == session


CHILD = """
import sys
from decimal import Decimal
from coatcheck.codecs import BinaryCodec, JSONCodec
words = ["alpha", "beta", "gamma", "delta", "epsilon"]
plain = {"set": set(words), "tuple": (frozenset(words), {b"x", 1, None})}
value = {"set": set(words), "frozen": frozenset(words + [None, 1, b"x", Decimal("1.5")]),
         "nested": {frozenset(words): {(word, frozenset(words)) for word in words}}}
for codec in (BinaryCodec(), JSONCodec()):
    print(codec.encode(value).hex() + codec.encode(plain).hex(), list(value["set"]))
print("markupsafe" in sys.modules)
"""


def test_the_same_in_every_process() -> None:
    """Sets encode alike whatever the hash seed, and nothing of it imports markupsafe."""
    encodings: set[tuple[str, ...]] = set()
    orders: set[str] = set()
    for seed in ("0", "1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", CHILD],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        binary, readable, imported = run.stdout.splitlines()
        assert imported == "False"
        encodings.add((binary.split(" ")[0], readable.split(" ")[0]))
        orders.add(binary.partition(" ")[2])
    assert len(encodings) == 1
    assert len(orders) > 1


@both
def test_markup_without_markupsafe(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record with a Markup is corrupt where markupsafe is not installed, and others are not."""
    encoded, other = codec.encode({"m": Markup("<b>")}), codec.encode({"m": "<b>"})
    monkeypatch.setitem(sys.modules, "markupsafe", None)
    with pytest.raises(CorruptRecord):
        codec.decode(encoded)
    assert codec.decode(other) == {"m": "<b>"}


def test_names() -> None:
    """Codecs are called by the names that configuration and records use."""
    assert (BINARY.name, JSON.name) == ("binary", "json")


STORED: dict[str, Any] = {
    "n": 1 << 64,
    "at": datetime(2026, 10, 25, 2, 30, 0, 5, tzinfo=WARSAW, fold=1),
    "by": [Decimal("1.50"), date(2026, 11, 21), time(9, 5, tzinfo=UTC), timedelta(-1, 2, 3)],
    "id": UUID(int=1),
    "html": Markup("<b>"),
    "raw": b"\x00\xff",
    "t": (1, (True, None)),
    "s": {"b", "a"},
    "f": frozenset({2, 1}),
    "k": {1: "one", "two": 2.5},
    "x": [nan, inf, -inf, -0.0],
    "!": {"!tuple": "not a tag"},
}
STORED_JSON = (
    '{"n":18446744073709551616,'
    '"at":{"!datetime":"2026-10-25T02:30:00.000005;fold=1[Europe/Warsaw]"},'
    '"by":[{"!decimal":"1.50"},{"!date":"2026-11-21"},{"!time":"09:05:00+00:00"},'
    '{"!timedelta":"-1d2s3us"}],'
    '"id":{"!uuid":"00000000-0000-0000-0000-000000000001"},"html":{"!markup":"<b>"},'
    '"raw":{"!bytes":"AP8="},"t":{"!tuple":[1,{"!tuple":[true,null]}]},'
    '"s":{"!set":["a","b"]},"f":{"!frozenset":[1,2]},"k":{"!dict":[[1,"one"],["two",2.5]]},'
    '"x":[{"!float":"nan"},{"!float":"inf"},{"!float":"-inf"},-0.0],'
    '"!":{"!dict":[["!tuple","not a tag"]]}}'
)
STORED_BINARY = bytes.fromhex(
    "8ca16ec714103138343436373434303733373039353531363136a26174c73012323032362d31302d3235"
    "5430323a33303a30302e3030303030353b666f6c643d315b4575726f70652f5761727361775da2627994"
    "d611312e3530c70a13323032362d31312d3231c70e1430393a30353a30302b30303a3030d7152d316432"
    "73337573a26964c7241630303030303030302d303030302d303030302d303030302d3030303030303030"
    "30303031a468746d6cc703173c623ea3726177c40200ffa17493c700010193c70001c3c0a17393c70002"
    "a161a162a16693c700030102a16b95c7000401a36f6e65a374776fcb4004000000000000a17894cb7ff8"
    "000000000000cb7ff0000000000000cbfff0000000000000cb8000000000000000a12181a6217475706c"
    "65a96e6f74206120746167"
)


def test_stored_json_stays_readable() -> None:
    """The readable form is this one, for records outlive the version that wrote them."""
    assert JSON.encode(STORED).decode() == STORED_JSON
    assert portrait(JSON.decode(STORED_JSON.encode())) == portrait(STORED)


def test_stored_binary_stays_readable() -> None:
    """The binary form is this one, for records outlive the version that wrote them."""
    assert BINARY.encode(STORED).hex() == STORED_BINARY.hex()
    assert portrait(BINARY.decode(STORED_BINARY)) == portrait(STORED)


def test_json_reads_what_a_person_has_edited() -> None:
    """White space, a final line break, other escapes and another order of a set do not matter."""
    edited = json.dumps(json.loads(STORED_JSON), indent=2, ensure_ascii=False)
    edited = edited.replace('"!set"', '"\\u0021set"') + "\n"
    assert portrait(JSON.decode(edited.encode())) == portrait(STORED)
    swapped = STORED_JSON.replace('["a","b"]', '["b","a"]').encode()
    assert JSON.encode(JSON.decode(swapped)) == STORED_JSON.encode()
