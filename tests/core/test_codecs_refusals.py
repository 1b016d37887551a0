"""What codecs refuse, with the key, the path and the remedy."""

from __future__ import annotations

import array
import collections
import enum
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import ormsgpack
import pytest
from markupsafe import Markup
from werkzeug.datastructures import ImmutableDict
from werkzeug.local import LocalProxy

from coatcheck.codecs import BinaryCodec, Codec, JSONCodec
from coatcheck.errors import UnserializableValue

CODECS: list[Codec] = [BinaryCodec(), JSONCodec()]
both = pytest.mark.parametrize("codec", CODECS, ids=["binary", "json"])


class Role(enum.Enum):
    """An Enum."""

    ADMIN = "admin"


class Level(enum.IntEnum):
    """An Enum whose members are ints."""

    HIGH = 3


class Name(enum.StrEnum):
    """An Enum whose members are strings."""

    JAN = "jan"


@dataclass
class Money:
    """A dataclass."""

    amount: int = 1


class Point(NamedTuple):
    """A tuple with names."""

    x: int = 1


class LazyString:
    """Named as Flask-Babel names its own."""

    def __str__(self) -> str:
        return "x"


class Moment(datetime):
    """A subclass, as freezegun and pandas have them."""


class Zone(tzinfo):
    """Neither `timezone` nor `ZoneInfo`."""

    def utcoffset(self, dt: datetime | None, /) -> timedelta:
        return timedelta(0)

    def dst(self, dt: datetime | None, /) -> None:
        return None

    def tzname(self, dt: datetime | None, /) -> str:
        return "Z"


def _raise(_: object) -> None:
    raise RuntimeError("working outside of a request")


def _proxy() -> Any:
    """An object that answers for another one, and raises since there is none."""
    return type("Proxy", (), {"__class__": property(_raise)})()


def _subclass(base: type, *args: Any) -> Any:
    return type(f"My{base.__name__.capitalize()}", (base,), {})(*args)


def _numpy(name: str, base: type) -> Any:
    return type(name, (base,), {"__module__": "numpy"})()


def _zone(key: str | None) -> ZoneInfo:
    """A zone of its own making (RFC 9636, version 1): nine hours east, always."""
    counts = (0, 0, 0, 0, 1, 4)
    header = b"TZif" + bytes(16) + b"".join(count.to_bytes(4, "big") for count in counts)
    rules = (9 * 3600).to_bytes(4, "big") + bytes(2) + b"JST\0"
    return ZoneInfo.from_file(io.BytesIO(header + rules), key=key)


def _local(find: Callable[[], Any]) -> Any:
    proxy: LocalProxy[Any] = LocalProxy(find)
    return proxy


def _no_request() -> None:
    _raise(None)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "bytearray": (lambda: bytearray(b"x"), "bytearray would come back as bytes: store bytes"),
    "memoryview": (lambda: memoryview(b"x"), "memoryview would come back as bytes"),
    "bytearray subclass": (lambda: _subclass(bytearray), "MyBytearray would come back as bytes"),
    "array": (lambda: array.array("i", [1]), "array is not a type that comes back"),
    "ext": (lambda: ormsgpack.Ext(1, b""), "Ext is not a type that comes back"),
    "enum": (lambda: Role.ADMIN, r"Role is an Enum: store its \.value, or register it"),
    "int enum": (lambda: Level.HIGH, "Level is an Enum"),
    "str enum": (lambda: Name.JAN, "Name is an Enum"),
    "dataclass": (Money, "Money is a dataclass"),
    "namedtuple": (Point, "Point is a subclass of tuple"),
    "str subclass": (lambda: _subclass(str), "MyStr is a subclass of str"),
    "int subclass": (lambda: _subclass(int), "MyInt is a subclass of int"),
    "float subclass": (lambda: _subclass(float), "MyFloat is a subclass of float"),
    "bytes subclass": (lambda: _subclass(bytes), "MyBytes is a subclass of bytes"),
    "list subclass": (lambda: _subclass(list), "MyList is a subclass of list"),
    "dict subclass": (lambda: _subclass(dict), "MyDict is a subclass of dict"),
    "tuple subclass": (lambda: _subclass(tuple), "MyTuple is a subclass of tuple"),
    "set subclass": (lambda: _subclass(set), "MySet is a subclass of set"),
    "frozenset subclass": (lambda: _subclass(frozenset), "is a subclass of frozenset"),
    "defaultdict": (
        lambda: collections.defaultdict[str, int](int),
        "defaultdict is a subclass of dict",
    ),
    "OrderedDict": (collections.OrderedDict, "OrderedDict is a subclass of dict"),
    "Counter": (collections.Counter, "Counter is a subclass of dict"),
    "werkzeug dict": (lambda: ImmutableDict[str, int](a=1), "ImmutableDict is a subclass of dict"),
    "deque": (collections.deque, "deque is not a type that comes back"),
    "mapping": (
        lambda: MappingProxyType(dict[str, int]()),
        "mappingproxy is not a type that comes back",
    ),
    "datetime subclass": (lambda: Moment(2026, 1, 1), "Moment is a subclass of datetime"),
    "date subclass": (lambda: _subclass(date, 2026, 1, 1), "MyDate is a subclass of date"),
    "decimal subclass": (lambda: _subclass(Decimal), "MyDecimal is a subclass of Decimal"),
    "uuid subclass": (lambda: _subclass(UUID, "0" * 32), "is a subclass of UUID"),
    "markup subclass": (lambda: _subclass(Markup, "x"), "is a subclass of str"),
    "numpy float": (lambda: _numpy("float64", float), r"numpy's float64 .* store value.item\(\)"),
    "numpy array": (lambda: _numpy("ndarray", object), r"numpy's ndarray .*\.tolist\(\)"),
    "lazy string": (LazyString, r"LazyString is a lazy text.*store str\(value\)"),
    "local proxy": (lambda: _local(int), r"store value\._get_current_object\(\)"),
    "unbound proxy": (lambda: _local(_no_request), "LocalProxy stands for"),
    "hostile class": (_proxy, "Proxy is not a type that comes back"),
    "complex": (lambda: 1j, "complex is not a type that comes back"),
    "object": (object, "object is not a type that comes back"),
    "type": (lambda: int, "type is not a type that comes back"),
    "function": (lambda: len, "builtin_function_or_method is not a type"),
    "generator": (lambda: (x for x in "ab"), "generator is not a type that comes back"),
    "range": (lambda: range(3), "range is not a type that comes back"),
    "exception": (lambda: ValueError("x"), "ValueError is not a type that comes back"),
    "timezone": (lambda: UTC, "timezone is not a type that comes back"),
    "lone surrogate": (lambda: "ab\ud800", "lone surrogate at position 2"),
    "low surrogate": (lambda: "\udc00\ud800", "lone surrogate at position 0"),
    "surrogate key": (lambda: {"\ud83d": 1}, "lone surrogate"),
    "surrogate in markup": (lambda: Markup("\ud800"), "lone surrogate"),
    "long int": (lambda: 1 << 2048, "the int has more than 2048 bits"),
    "long negative int": (lambda: -(1 << 2048), "the int has more than 2048 bits"),
    "huge int": (lambda: 1 << 400_000, "the int has more than 2048 bits"),
    "foreign tzinfo": (
        lambda: datetime(2026, 1, 1, tzinfo=Zone()),
        "Zone, which would come back as another one: use datetime.timezone or zoneinfo.ZoneInfo",
    ),
    "foreign zone": (
        lambda: datetime(2026, 1, 1, tzinfo=_zone("Europe/Warsaw")),
        r"not the one that ZoneInfo\(key\) gives",
    ),
    "nameless zone": (
        lambda: datetime(2026, 1, 1, tzinfo=_zone(None)),
        r"not the one that ZoneInfo\(key\) gives",
    ),
    "offset below a second": (
        lambda: datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=1))),
        "its UTC offset is not whole seconds",
    ),
    "surrogate in the name of a zone": (
        lambda: datetime(2026, 1, 1, tzinfo=timezone(timedelta(0), "\ud800")),
        "lone surrogate",
    ),
}


@both
@pytest.mark.parametrize("name", REFUSED)
def test_refused(codec: Codec, name: str) -> None:
    """What would not come back the same is refused on its own, with the reason and the remedy."""
    make, reason = REFUSED[name]
    with pytest.raises(UnserializableValue, match=reason) as caught:
        codec.encode({"fine": 1, "bad": make()})
    assert caught.value.key == "bad"
    with pytest.raises(UnserializableValue, match=reason):
        codec.encode_value("bad", make())


@both
@pytest.mark.parametrize("name", REFUSED)
def test_refused_inside(codec: Codec, name: str) -> None:
    """The same is refused deep inside any container, and the path leads there."""
    make, reason = REFUSED[name]
    for wrap, path in INSIDE:
        with pytest.raises(UnserializableValue, match=reason) as caught:
            codec.encode({"fine": {1: (2, {3})}, "bad": wrap(make())})
        assert caught.value.path.startswith("['bad']" + path)
        assert str(caught.value).startswith(f"session['bad']{path}")


INSIDE: list[tuple[Callable[[Any], Any], str]] = [
    (lambda value: [0, {"price": value}], "[1]['price']"),
    (lambda value: (0, (value,)), "[1][0]"),
    (lambda value: {1: {"a": [value]}}, "[1]['a'][0]"),
    (lambda value: {(1, 2): value}, "[<tuple>]"),
    (lambda value: {None: {b"k": {1.5: value}}}, "[None][b'k'][1.5]"),
    (lambda value: {"x" * 100: value}, f"['{'x' * 61}'...]"),
    (lambda value: {"a": [(value,)]}, "['a'][0][0]"),
]


@both
def test_refused_in_keys_and_sets(codec: Codec) -> None:
    """Keys and elements are looked at as values are."""
    for value in (Role.ADMIN, Point(), _subclass(str, "x"), _subclass(int), "\ud800", 1 << 2048):
        with pytest.raises(UnserializableValue) as caught:
            codec.encode({"k": [{value: 1}]})
        assert caught.value.path.startswith("['k'][0][")
        for group in ({value}, frozenset({(value,)}), {1, frozenset({value})}):
            with pytest.raises(UnserializableValue) as caught:
                codec.encode({"k": group})
            assert caught.value.path.startswith("['k']{...}")


@both
@pytest.mark.parametrize(
    ("key", "shown"),
    [(1, "1"), (None, "None"), ((1,), "<tuple>"), (b"k", "b'k'"), (Name.JAN, "<Name>")],
)
def test_keys_of_the_session_are_strings(codec: Codec, key: Any, shown: str) -> None:
    """A key of the session itself that is not exactly a string is refused, and named."""
    with pytest.raises(
        UnserializableValue, match="the keys of a session are plain strings"
    ) as caught:
        codec.encode({"a": 1, key: 2})
    assert (caught.value.key, caught.value.path) == (shown, f"[{shown}]")
    with pytest.raises(UnserializableValue, match="surrogate"):
        codec.encode({"\ud800": 1})


def _cycles() -> list[Any]:
    simple: list[Any] = []
    simple.append(simple)
    wide: list[Any] = []
    wide.extend([wide, wide, wide])
    mapping: dict[str, Any] = {}
    mapping["self"] = [mapping]
    keys: dict[int, Any] = {}
    keys[1] = keys
    through: list[Any] = []
    through.append(({"t": (through,)},))
    return [simple, wide, mapping, keys, through]


@both
@pytest.mark.parametrize("index", range(5))
def test_cycles_are_refused(codec: Codec, index: int) -> None:
    """A value that contains itself is refused, at once and by name."""
    with pytest.raises(UnserializableValue, match="or it contains itself") as caught:
        codec.encode({"a": 1, "loop": _cycles()[index]})
    assert caught.value.key == "loop"
    assert len(str(caught.value)) < 200


@both
def test_session_that_contains_itself(codec: Codec) -> None:
    """Even the session itself may not lie in the session."""
    session: dict[str, Any] = {"a": 1}
    session["me"] = session
    with pytest.raises(UnserializableValue, match="or it contains itself"):
        codec.encode(session)


DEEP: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "list": (lambda inner: [inner], lambda outer: outer[0]),
    "tuple": (lambda inner: (inner,), lambda outer: outer[0]),
    "dict": (lambda inner: {"k": inner}, lambda outer: outer["k"]),
    "keys": (lambda inner: {1: inner}, lambda outer: outer[1]),
}


@both
@pytest.mark.parametrize("name", DEEP)
def test_deep_values_are_refused(codec: Codec, name: str) -> None:
    """A depth of 100,000 is refused, whatever it is made of."""
    wrap, unwrap = DEEP[name]
    value: Any = 0
    for _ in range(100_000):
        value = wrap(value)
    with pytest.raises(UnserializableValue, match="255 containers"):
        codec.encode({"deep": value})
    with pytest.raises(UnserializableValue, match="255 containers"):
        codec.encode_value("deep", value)
    while value:  # Freed from the outside in, for CPython frees recursively.
        value = unwrap(value)


@both
def test_little_stack_left(codec: Codec) -> None:
    """With the stack nearly used up a deep value is refused, and never a RecursionError."""
    value: Any = {1}
    for _ in range(120):
        value = [{1: value}]

    def descend(levels: int) -> None:
        if levels:
            descend(levels - 1)
        else:
            with pytest.raises(UnserializableValue):
                codec.encode({"k": value})

    descend(sys.getrecursionlimit() - 250)


@both
def test_message_tells_no_values(codec: Codec) -> None:
    """The error names keys and types and never shows the value, which may be a secret."""
    secret = "hunter2-correct-horse"
    for value in (_subclass(str, secret), bytearray(secret.encode()), secret + "\ud800"):
        with pytest.raises(UnserializableValue) as caught:
            codec.encode({"password": value})
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None


@both
@pytest.mark.skipif(not hasattr(ormsgpack, "Fragment"), reason="came with ormsgpack 1.13")
def test_fragments_are_refused(codec: Codec) -> None:
    """A piece of MessagePack, which ormsgpack would write as it is, is not taken for a value."""
    for wrap, _ in INSIDE:
        with pytest.raises(UnserializableValue, match="Fragment is not a type that comes back"):
            codec.encode({"bad": wrap(ormsgpack.Fragment(b"\x01"))})
