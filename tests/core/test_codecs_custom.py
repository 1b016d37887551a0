"""Types of one's own: registered, kept by both codecs, and told when they cannot be."""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from coatcheck.codecs import MAX_DEPTH, BinaryCodec, Codec, CustomType, JSONCodec
from coatcheck.codecs.protocol import kind_of
from coatcheck.errors import ConfigurationError, CorruptRecord, UnserializableValue
from tests.core.portrait import values


class Role(enum.Enum):
    """An Enum."""

    ADMIN = "admin"
    USER = "user"


class Level(enum.IntEnum):
    """An Enum whose members are ints."""

    LOW = 1
    HIGH = 3


@dataclass(frozen=True)
class Money:
    """A dataclass that can be a key."""

    amount: Decimal
    currency: str


@dataclass
class Cart:
    """A dataclass that holds values of other registered types, and others like itself."""

    total: Money
    roles: set[Role] = field(default_factory=set[Role])
    saved: list[Cart] = field(default_factory=list["Cart"])
    extra: Any = None


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int


class Name(str):
    """A subclass of a built-in type."""


class Box:
    """A box around any value."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and other.content == self.content

    __hash__ = None  # type: ignore[assignment]


def _role(role: Role) -> str:
    return role.value


def _plain_cart(cart: Cart) -> dict[str, Any]:
    return {"total": cart.total, "roles": cart.roles, "saved": cart.saved, "extra": cart.extra}


def _cart(plain: dict[str, Any]) -> Cart:
    return Cart(**plain)


def _money(plain: tuple[Decimal, str]) -> Money:
    return Money(*plain)


def _point(plain: list[int]) -> Point:
    return Point(*plain)


def _items(mapping: collections.OrderedDict[str, int]) -> list[tuple[str, int]]:
    return list(mapping.items())


TYPES: list[CustomType[Any]] = [
    CustomType(Role, "role", _role, Role),
    CustomType(Level, "level", int, Level),
    CustomType(Money, "money", astuple, _money),
    CustomType(Cart, "shop.Cart", _plain_cart, _cart),
    CustomType(Point, "point", list[int], _point),
    CustomType(Name, "name", str.__str__, Name),
    CustomType(collections.OrderedDict, "ordered", _items, collections.OrderedDict[str, int]),
    CustomType(bytearray, "bytearray", bytes, bytearray),
    CustomType(Box, "box", lambda box: box.content, Box),
]
CODECS: list[Codec] = [BinaryCodec(TYPES), JSONCodec(TYPES)]
both = pytest.mark.parametrize("codec", CODECS, ids=["binary", "json"])
every_class = pytest.mark.parametrize("make", [BinaryCodec, JSONCodec])

PRICE = Money(Decimal("9.90"), "PLN")
KEPT: dict[str, Any] = {
    "enum": [Role.ADMIN, {Role.USER, Role.ADMIN}, {Role.USER: (Role.ADMIN,)}],
    "int enum": [Level.HIGH, {Level.LOW: 1}, 3, {1: Level.HIGH}],
    "dataclass": [PRICE, {PRICE}, {PRICE: {PRICE: PRICE}}, frozenset({(PRICE, 1)})],
    "nested": Cart(PRICE, {Role.USER}, [Cart(PRICE), Cart(PRICE, extra={1: (Level.LOW, b"x")})]),
    "namedtuple": [Point(1, 2), (1, 2), {Point(3, 4)}, {Point(1, 2): 1, "a": 2}],
    "str subclass": [Name("jan"), "jan", {Name("a"): 1, "b": 2}],
    "dict subclass": collections.OrderedDict(b=1, a=2),
    "bytearray": [bytearray(b"x"), b"x", {"a": (bytearray(),)}],
    "box": [Box(None), Box([Box({"!!box": 1})]), Box(Markup("x")), Box({1: {2}})],
}


def _types(value: Any) -> Any:
    kind = kind_of(value)
    if kind in (list, tuple):
        return (kind, [_types(item) for item in value])
    if kind is dict:
        return (kind, [(_types(key), _types(item)) for key, item in value.items()])
    if kind in (set, frozenset):
        return (kind, sorted(repr(_types(item)) for item in value))
    if kind is Cart:
        return (kind, _types(_plain_cart(value)))
    return (kind, _types(value.content) if kind is Box else repr(value))


@both
@pytest.mark.parametrize("name", KEPT)
def test_kept(codec: Codec, name: str) -> None:
    """A registered type comes back as itself: as a value, a key, an element, inside another one."""
    session = {"fine": 1, "custom": KEPT[name]}
    encoded = codec.encode(session)
    decoded = codec.decode(encoded)
    assert decoded == session
    assert _types(decoded) == _types(session)
    assert codec.encode(decoded) == encoded
    assert codec.encode_value("k", decoded["custom"]) == codec.encode_value("k", KEPT[name])


@both
@given(value=values, wraps=st.lists(st.sampled_from("[({b"), max_size=4))
def test_any_content(codec: Codec, value: Any, wraps: list[str]) -> None:
    """What `to_plain` returns may be any value that the codec knows."""
    for wrap in wraps:
        value = {"[": [value], "(": (value,), "{": {"k": value, 1: 2}, "b": Box(value)}[wrap]
    encoded = codec.encode({"box": Box(value)})
    assert codec.encode(codec.decode(encoded)) == encoded


@both
def test_subclasses_are_types_of_their_own(codec: Codec) -> None:
    """A subclass of a registered type is refused, since it would come back as its base."""
    for value in (type("Mine", (Box,), {})(1), type("MyName", (Name,), {})("x")):
        with pytest.raises(UnserializableValue):
            codec.encode({"k": value})


def test_forms() -> None:
    """Records carry the name, so that classes may move and be renamed."""
    binary, readable = CODECS
    assert binary.encode({"r": Role.ADMIN}) == ormsgpack.packb(
        {"r": [ormsgpack.Ext(5, b""), "role", "admin"]}
    )
    assert readable.encode({"r": Role.ADMIN}) == b'{"r":{"!!role":"admin"}}'


@every_class
def test_name_of_a_built_in_form_is_free(make: Callable[..., Codec]) -> None:
    """A custom type may have the name of a built-in form and is never mixed up with it."""
    codec = make([CustomType(Role, "set", _role, Role), CustomType(Box, "dict", _content, Box)])
    session = {"k": [Role.USER, {1}, Box({1: 2}), {1: 2}]}
    assert codec.decode(codec.encode(session)) == session


def _content(box: Box) -> Any:
    return box.content


@every_class
def test_old_records_are_read_after_a_change(make: Callable[..., Codec]) -> None:
    """`from_plain` may take what an earlier `to_plain` wrote, though another is written now."""
    old = make([CustomType(Money, "money", lambda money: str(money.amount), _no_money)])
    new = make([CustomType(Money, "money", astuple, _old_or_new_money)])
    encoded = old.encode({"m": [PRICE]})
    assert new.decode(encoded) == {"m": [PRICE]}
    assert new.decode(new.encode(new.decode(encoded))) == {"m": [PRICE]}


def _no_money(plain: Any) -> Money:
    raise NotImplementedError


def _old_or_new_money(plain: Any) -> Money:
    return Money(Decimal(plain), "PLN") if isinstance(plain, str) else Money(*plain)


@both
def test_refused_inside_a_custom_value(codec: Codec) -> None:
    """What `to_plain` returns is looked at like any value, and the path leads through it."""
    for bad in (object(), bytearray.__new__(type("Raw", (bytearray,), {})), memoryview(b"x"), 1j):
        for wrap in (Box, _boxed_list, _boxed_set):
            with pytest.raises(UnserializableValue) as caught:
                codec.encode({"k": [wrap(bad)]})
            assert caught.value.path.startswith("['k'][0]<box>")


def _boxed_list(value: Any) -> Box:
    return Box({"a": [value]})


def _boxed_set(value: Any) -> Box:
    return Box({1: (value,)})


@both
def test_value_that_contains_itself(codec: Codec) -> None:
    """A custom value that contains itself is refused, at once."""
    box = Box(None)
    box.content = [box]
    with pytest.raises(UnserializableValue, match="contains itself"):
        codec.encode({"k": box})
    content: list[Any] = []
    content.append(content)
    with pytest.raises(UnserializableValue, match="contains itself"):
        codec.encode({"k": Box(content)})
    parts: dict[str, Any] = {"number": 1}
    parts["lists"] = [parts, [parts]]
    with pytest.raises(UnserializableValue, match="contains itself"):
        codec.encode({"k": Box(parts)})


@both
def test_deep_custom_values(codec: Codec) -> None:
    """Each custom value takes one level of depth, and the last one that fits is kept."""
    value: Any = 0
    for _ in range(MAX_DEPTH - 1):
        value = Box(value)
        assert codec.decode(codec.encode({"k": value})) == {"k": value}
    with pytest.raises(UnserializableValue, match=str(MAX_DEPTH)):
        codec.encode({"k": Box(value)})


@every_class
def test_to_plain_that_raises(make: Callable[..., Codec]) -> None:
    """An exception in `to_plain` is an UnserializableValue that keeps it as its cause."""

    def broken(box: Box) -> Any:
        raise LookupError("hunter2")

    codec = make([CustomType(Box, "box", broken, Box)])
    with pytest.raises(UnserializableValue, match="to_plain of 'box' raised LookupError") as caught:
        codec.encode({"k": (1, Box(1))})
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.path == "['k'][1]"
    assert "hunter2" not in str(caught.value)


@every_class
def test_from_plain_that_raises(make: Callable[..., Codec]) -> None:
    """An exception in `from_plain` makes the record corrupt, which costs no request."""
    writer = make([CustomType(Role, "role", _role, Role)])
    reader = make([CustomType(Level, "role", int, Level)])
    encoded = writer.encode({"k": [Role.ADMIN]})
    with pytest.raises(CorruptRecord, match="from_plain of 'role' raised ValueError"):
        reader.decode(encoded)
    with pytest.raises(CorruptRecord, match="not registered"):
        make().decode(encoded)


@every_class
def test_from_plain_that_returns_another_type(make: Callable[..., Codec]) -> None:
    """A `from_plain` that does not return its class makes the record corrupt, and says so."""
    wrong: Any = str
    codec = make([CustomType(Role, "role", _role, wrong)])
    with pytest.raises(CorruptRecord, match="from_plain of 'role' returned a str"):
        codec.decode(codec.encode({"k": Role.ADMIN}))


@every_class
def test_hash_that_raises(make: Callable[..., Codec]) -> None:
    """A value that turns out not to be hashable makes the record corrupt."""
    hashable: Any = type("Flaky", (Box,), {"__hash__": _one})
    flaky: Any = type("Flaky", (Box,), {"__hash__": _unhashable})
    encoded = make([CustomType(hashable, "box", _content, hashable)]).encode({"k": {hashable(1)}})
    with pytest.raises(CorruptRecord):
        make([CustomType(flaky, "box", _content, flaky)]).decode(encoded)


def _one(_: object) -> int:
    return 1


def _unhashable(_: object) -> int:
    raise AttributeError("not today")


@every_class
@pytest.mark.parametrize(
    "cls",
    [
        *(int, str, bool, type(None), float, bytes, list, dict, tuple, set, frozenset),
        *(Decimal, UUID, datetime, date, time, timedelta, Markup),
    ],
)
def test_built_in_types_are_not_registered(make: Callable[..., Codec], cls: Any) -> None:
    """A type that is built in cannot be given another form."""
    with pytest.raises(ConfigurationError, match="is built in"):
        make([CustomType(cls, "mine", cls, cls)])


@every_class
def test_clashes(make: Callable[..., Codec]) -> None:
    """A class or a name that is registered twice is a mistake in the configuration."""
    role, level = TYPES[:2]
    with pytest.raises(ConfigurationError, match="Role is registered twice"):
        make([role, level, CustomType(Role, "other", _role, Role)])
    with pytest.raises(ConfigurationError, match="two custom types are named 'role'"):
        make([role, level, CustomType(Money, "role", astuple, _money)])
    for wrong in (role, 5, [Role], [("role", Role)], ["role"], None):
        with pytest.raises(ConfigurationError, match="CustomType"):
            make(wrong)


@pytest.mark.parametrize("name", ["", "a b", "!x", "ż", "1a", "x" * 65, "a\n", None, 5, b"a"])
def test_bad_names(name: Any) -> None:
    """A name is short and plain, for it stands in every record."""
    with pytest.raises(ConfigurationError, match=r"CustomType\.name"):
        CustomType(Role, name, _role, Role)


def test_bad_parts() -> None:
    """What is not a class or not a function is refused where it is written."""
    wrong: Any
    for wrong in (Role.ADMIN, "Role", None):
        with pytest.raises(ConfigurationError, match=r"CustomType\.cls"):
            CustomType(wrong, "role", _role, Role)
    wrong = "admin"
    with pytest.raises(ConfigurationError, match="are functions"):
        CustomType(Role, "role", wrong, Role)
    with pytest.raises(ConfigurationError, match="are functions"):
        CustomType(Role, "role", _role, wrong)
