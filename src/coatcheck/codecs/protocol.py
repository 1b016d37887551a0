"""What a codec is: session data to bytes and back, with every value's type kept or refused.

Both codecs know these types, and match them exactly, so that a subclass is refused and never comes
back as its base: None, bool, int (of at most `MAX_INT_BITS`), float, str, bytes, list, dict, tuple,
set, frozenset, datetime, date, time, timedelta, UUID, Decimal and `markupsafe.Markup`. Keys of the
session are strings; keys of dictionaries inside it may be of any hashable type named here. NaN,
the infinities and -0.0 are kept, bit for bit. A `CustomType` adds a type of one's own.

What is not kept, because no value shows it: that one object was in two places, the `is_safe` mark
of a UUID, and the name of a `timezone` where it is the one that Python would make up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from coatcheck.errors import ConfigurationError, UnserializableValue

T = TypeVar("T")

MAX_DEPTH: Final = 255
"""How many containers may lie within one another, the session's own dictionary included.

What counts is the encoded form: a tuple or a set is one level in the binary form and two in JSON,
a dictionary whose keys are not all strings one and three, a value of a custom type one and what
`to_plain` makes of it. 255 is also as deep as ormsgpack encodes.
"""
MAX_INT_BITS: Final = 2048
"""The longest int. Its 617 digits stay below any limit of `sys.set_int_max_str_digits`, which
can be no less than 640, so that no setting of the interpreter makes a record unreadable."""

kind_of: Final[Callable[[Any], type[Any]]] = type
"""`type(value)`, for type checkers, which make of that and of `is` what they cannot know."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class Codec(Protocol):
    """Turns session data into bytes and back."""

    @property
    def name(self) -> str:
        """What the form is called in records and in configuration: `"binary"` or `"json"`."""
        ...

    def encode(self, data: Mapping[str, Any], /) -> bytes:
        """Return the one encoding of `data`: the same in every process, in the order of its keys.

        Raises `UnserializableValue`, naming key and path, for what would not come back the same.
        """
        ...

    def decode(self, data: bytes, /) -> dict[str, Any]:
        """Return fresh objects.

        Raises `CorruptRecord` for anything that is not the encoding of exactly one mapping.
        """
        ...

    def decode_own(self, data: bytes, /) -> dict[str, Any]:
        """Return what `decode` does, of bytes that a checksum shows to be as `encode` wrote them.

        What only proves that need not be repeated.
        """
        return self.decode(data)

    def is_encoding_of(self, encoded: bytes, data: Mapping[str, Any], /) -> bool:
        """Say whether `encode` would write `data` so; `False` too for what it would refuse."""
        try:
            return self.encode(data) == encoded
        except UnserializableValue:
            return False

    def encode_value(self, key: str, value: Any, /) -> bytes:
        """Return the one encoding of the value under `key`, to compare; raises as `encode`."""
        ...


@dataclass(frozen=True, slots=True)
class CustomType(Generic[T]):
    """Makes a codec keep a type of one's own, such as an Enum or a dataclass.

        CustomType(Role, "role", lambda role: role.value, Role)
        CustomType(Money, "money", lambda m: (m.amount, m.currency), lambda p: Money(*p))

    Raises `ConfigurationError` for a name or a class that cannot serve.
    """

    cls: type[T]
    """Matched exactly: subclasses are types of their own."""
    name: str
    """What stands for the class in stored records, so it must stay while any of them lives:
    a letter or `_`, then at most 63 letters, digits, `_`, `.` or `-`."""
    to_plain: Callable[[T], Any]
    """Returns a value that the codec knows; other custom types may occur in it."""
    from_plain: Callable[[Any], T]
    """Returns a `cls` from a fresh copy of what `to_plain` returned. The session is lost to its
    visitor where it raises: let it accept what earlier versions of the program have stored."""

    def __post_init__(self) -> None:
        # Annotations bind nobody at run time, and a mistake here would surface as lost sessions.
        cls: Any = self.cls
        name: Any = self.name
        if not isinstance(cls, type):
            raise ConfigurationError(f"CustomType.cls is {cls!r}: give the class itself")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"CustomType.name is {name!r}: give a letter or '_', then at most 63 letters,"
                " digits, '_', '.' or '-'"
            )
        if not callable(self.to_plain) or not callable(self.from_plain):
            raise ConfigurationError(f"CustomType {name!r}: to_plain and from_plain are functions")


class Register:
    """The custom types of one codec, by class and by name."""

    __slots__ = ("by_class", "by_name")

    def __init__(self, types: Iterable[CustomType[Any]], built_in: Iterable[type]) -> None:
        """Raises `ConfigurationError` for a class or name given twice, or a class in `built_in`."""
        self.by_class: dict[type, CustomType[Any]] = {}
        self.by_name: dict[str, CustomType[Any]] = {}
        known = frozenset(built_in)
        for custom in _checked(types):
            cls = custom.cls
            if cls in known or (cls.__module__, cls.__qualname__) == ("markupsafe", "Markup"):
                raise ConfigurationError(
                    f"{cls.__qualname__} is built in: leave it out, or register a subclass of it"
                )
            if cls in self.by_class:
                raise ConfigurationError(f"{cls.__qualname__} is registered twice: leave one out")
            if custom.name in self.by_name:
                raise ConfigurationError(
                    f"two custom types are named {custom.name!r}: rename the newer one"
                )
            self.by_class[cls] = self.by_name[custom.name] = custom


def _checked(types: Any) -> Iterable[CustomType[Any]]:
    try:
        given = tuple(types)
    except TypeError:
        raise ConfigurationError("types is not a sequence: write types=[CustomType(...)]") from None
    for custom in given:
        if kind_of(custom) is not CustomType:
            raise ConfigurationError(
                f"types contains a {kind_of(custom).__name__}, not a CustomType"
            )
    return given
