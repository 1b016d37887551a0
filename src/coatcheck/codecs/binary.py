"""The default codec: MessagePack, with extension types for what MessagePack does not have.

    None, bool, int (64 bits), float, str, bytes, list, dict of str    as MessagePack has them
    longer int, Decimal, datetime, date, time, timedelta, UUID,
    Markup                                                             ext, its body a text
    tuple, set, frozenset                                              [mark, item, ...]
    dict with other keys                                               [mark, key, value, ...]
    custom type                                                        [mark, name, plain]

A mark is an extension without a body, which no value is, so no application data can look like one.
Sets are in the order of their encoded elements. Whatever is decoded is encoded again and compared:
duplicate keys, trailing bytes, and every spelling but the one that `encode` writes are no records.

ormsgpack turns some types silently (bytearray and memoryview into bytes, and `Ext` and `Fragment`
are written as what they carry), and no option stops that. So `encode` lets ormsgpack work at full
speed and looks at the exact type of every value afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from ormsgpack import (
    OPT_PASSTHROUGH_BIG_INT,
    OPT_PASSTHROUGH_DATACLASS,
    OPT_PASSTHROUGH_DATETIME,
    OPT_PASSTHROUGH_ENUM,
    OPT_PASSTHROUGH_SUBCLASS,
    OPT_PASSTHROUGH_TUPLE,
    OPT_PASSTHROUGH_UUID,
    Ext,
    packb,
    unpackb,
)

from coatcheck.codecs.lowering import NATIVE, Lowering, gather, pair_up
from coatcheck.codecs.protocol import MAX_DEPTH, Codec, CustomType, kind_of
from coatcheck.codecs.scalars import COMMON, INT, MARKUP, Scalar, markup_type
from coatcheck.errors import CorruptRecord

OPTIONS: Final = (
    OPT_PASSTHROUGH_BIG_INT
    | OPT_PASSTHROUGH_DATACLASS
    | OPT_PASSTHROUGH_DATETIME
    | OPT_PASSTHROUGH_ENUM
    | OPT_PASSTHROUGH_SUBCLASS
    | OPT_PASSTHROUGH_TUPLE
    | OPT_PASSTHROUGH_UUID
)
"""With these ormsgpack leaves to others, or refuses, nearly all that it would turn; see above."""

# The numbers are in every stored record: they never change, and a removed one is never reused.
_MARKS: Final = {"tuple": 1, "set": 2, "frozenset": 3, "dict": 4, "custom": 5}
_TEXTS: Final = {
    "int": 16,
    "decimal": 17,
    "datetime": 18,
    "date": 19,
    "time": 20,
    "timedelta": 21,
    "uuid": 22,
    "markup": 23,
}
_EXT8: Final = 0xC7
_MARK_START: Final = b"\xc7\x00"
"""How every mark begins in MessagePack: ext 8, no body."""


class _Mark:
    """What a mark is read as."""

    __slots__ = ("ext", "name")

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.ext = Ext(code, b"")


_MARK_OF: Final = {code: _Mark(name, code) for name, code in _MARKS.items()}
_EXT_OF: Final = {mark.name: mark.ext for mark in _MARK_OF.values()}
_READ: Final = {_TEXTS[scalar.name]: scalar.read for scalar in (*COMMON, INT, MARKUP)}
_NESTED: Final[frozenset[type]] = frozenset({list, dict, _Mark})


def _read(code: int, body: bytes) -> Any:
    """Return the value of an extension; what it raises, ormsgpack makes a `ValueError`."""
    read = _READ.get(code)
    if read is not None:
        return read(body.decode())
    return _MARK_OF[code]


class BinaryCodec(Lowering, Codec):
    """MessagePack with extension types; see the module for the form."""

    scalar_levels: ClassVar = 0
    group_levels: ClassVar = 1
    pairs_levels: ClassVar = 1

    def __init__(self, types: Iterable[CustomType[Any]] = ()) -> None:
        """`types` are the application's own. Raises `ConfigurationError` if two of them clash."""
        super().__init__(types)
        customs = self._register.by_class
        texts = {scalar.cls: _text_writer(scalar) for scalar in (*COMMON, INT)}
        elements = NATIVE | texts.keys()
        # What ormsgpack turns never reaches a writer, so it takes the careful way where registered.
        called = {cls for cls in customs if not _is_turned(cls)}
        self._known: frozenset[type] = elements | {set, frozenset} | called
        self._default: Callable[[Any], Any]
        writers: dict[type[Any], Callable[[Any], Any]] = {**texts, tuple: _write_tuple}
        self._default = _default_for(writers)
        writers[_Mark] = _write_mark
        for cls in (set, frozenset):
            writers[cls] = self._set_writer(cls.__name__, elements)
        for custom in customs.values():
            writers[custom.cls] = self._custom_writer(custom)

    @property
    def name(self) -> str:
        return "binary"

    def encode(self, data: Mapping[str, Any], /) -> bytes:
        try:
            encoded = packb(data, self._default, OPTIONS)
            kind = kind_of(data)
            if kind is dict and _only_known(data.values(), self._known):
                return encoded
        except (TypeError, RecursionError):
            pass  # The careful way handles it or knows what is wrong.
        return self._dump(self._lower_session(data))

    def is_encoding_of(self, encoded: bytes, data: Mapping[str, Any], /) -> bool:
        try:
            # Without a look at the types: bytes that became a bytearray of the same octets are no
            # change that anybody would miss.
            if packb(data, self._default, OPTIONS) == encoded:
                return True
        except (TypeError, RecursionError):
            pass
        return super().is_encoding_of(encoded, data)

    def encode_value(self, key: str, value: Any, /) -> bytes:
        try:
            encoded = packb(value, self._default, OPTIONS)
            if _only_known((value,), self._known):
                return encoded
        except (TypeError, RecursionError):
            pass
        return self._dump(self._lower_at(key, value, MAX_DEPTH - 1))

    def decode(self, data: bytes, /) -> dict[str, Any]:
        try:
            value = unpackb(data, ext_hook=_read)
            # Costs a third of the decoding and answers for all that ormsgpack lets pass.
            canonical = packb(value, self._default, OPTIONS) == data
        except (ValueError, TypeError) as error:
            raise CorruptRecord(f"the record cannot be decoded: {error}") from error
        kind = kind_of(value)
        if not canonical or kind is not dict:
            raise CorruptRecord("the record is not the encoding of exactly one mapping")
        session: dict[str, Any] = value
        # One byte is found six times faster than two, and is hardly ever there.
        if _EXT8 in data and _MARK_START in data:
            try:
                self._raise(session)
            except CorruptRecord:
                raise
            except Exception as error:
                # Values of custom types are hashed and compared here, by code that is not ours.
                name = type(error).__name__
                raise CorruptRecord(f"the record cannot be put together: {name}") from error
        return session

    def decode_own(self, data: bytes, /) -> dict[str, Any]:
        # Marks, whose places must be looked at, begin with this byte.
        if _EXT8 in data:
            return self.decode(data)
        try:
            value = unpackb(data, ext_hook=_read)
        except ValueError as error:
            raise CorruptRecord(f"the record cannot be decoded: {error}") from error
        if value.__class__ is not dict:
            raise CorruptRecord("the record is not the encoding of exactly one mapping")
        session: dict[str, Any] = value
        return session

    def _raise(self, value: Any) -> Any:
        """Undo `_lower` in place: marked lists become what they stand for."""
        kind = kind_of(value)
        if kind is list:
            if value and type(value[0]) is _Mark:
                return self._build(value[0].name, value[1:])
            for index, item in enumerate(value):
                if type(item) in _NESTED:
                    value[index] = self._raise(item)
        elif kind is dict:
            for key, item in value.items():
                if type(item) in _NESTED:
                    value[key] = self._raise(item)
        elif kind is _Mark:
            raise CorruptRecord("a mark stands where none can")
        return value

    def _build(self, name: str, lowered: list[Any]) -> Any:
        if name in ("set", "frozenset"):
            order = [packb(item, self._default, OPTIONS) for item in lowered]
            if order != sorted(order):
                raise CorruptRecord("a set is out of order")
        items = list(map(self._raise, lowered))
        if name == "custom":
            type_name, plain = items
            return self._revive(type_name, plain)
        if name != "dict":
            return gather(name, items)
        made = pair_up(zip(items[::2], items[1::2], strict=True), len(items) // 2)
        if self._holds_keys(made):
            raise CorruptRecord("a dictionary of strings is marked as one of other keys")
        return made

    # How the careful way writes ...

    def _holds(self, value: float | bytes) -> bool:
        return not isinstance(value, int) or -(1 << 63) <= value < 1 << 64

    def _holds_keys(self, value: dict[Any, Any]) -> bool:
        return all(type(key) is str for key in value)

    def _scalar(self, name: str, text: str) -> Any:
        return Ext(_TEXTS[name], text.encode())

    def _group(self, name: str, items: list[Any]) -> Any:
        return [_EXT_OF[name], *items]

    def _pairs(self, pairs: list[list[Any]]) -> Any:
        return [_EXT_OF["dict"], *(part for pair in pairs for part in pair)]

    def _custom(self, name: str, plain: Any) -> Any:
        return [_EXT_OF["custom"], name, plain]

    def _dump(self, lowered: Any) -> bytes:
        return packb(lowered, None, OPTIONS)

    # ... and how the quick way writes the same, called by ormsgpack for what it does not know.
    # Whatever is raised in there, ormsgpack raises a `TypeError`.

    def _set_writer(self, name: str, elements: frozenset[type]) -> Callable[[Any], Any]:
        mark = _EXT_OF[name]

        def write(value: Iterable[Any]) -> list[Any]:
            # Sorting sets inside sets by what they encode to would double the work at each level.
            if not elements.issuperset(map(type, value)):
                raise TypeError(name)
            return [mark, *sorted(value, key=lambda item: packb(item, self._default, OPTIONS))]

        return write

    def _custom_writer(self, custom: CustomType[Any]) -> Callable[[Any], Any]:
        mark = _EXT_OF["custom"]
        name, to_plain, known = custom.name, custom.to_plain, self._known

        def write(value: Any) -> list[Any]:
            plain = to_plain(value)
            if not _only_known((plain,), known):
                raise TypeError(name)
            return [mark, name, plain]

        return write


def _only_known(values: Iterable[Any], known: frozenset[type]) -> bool:
    """Say whether everything in there was written as what it is.

    In the path of every save: about a microsecond for a session of 500 bytes. Keys need no look,
    ormsgpack refuses all that are not exactly `str`.
    """
    for value in values:
        kind = kind_of(value)
        if kind in known:
            continue
        # By recursion, which ends where a plain form contains itself.
        if kind is dict:
            if not _only_known(value.values(), known):
                return False
        elif kind is list or kind is tuple:
            if not _only_known(value, known):
                return False
        elif kind is not markup_type():
            return False
    return True


def _is_turned(cls: type) -> bool:
    # `Fragment` came with ormsgpack 1.13 only.
    return cls in (bytearray, memoryview) or cls.__module__.partition(".")[0] == "ormsgpack"


def _write_mark(mark: _Mark) -> Ext:
    return mark.ext


def _write_tuple(value: tuple[Any, ...]) -> list[Any]:
    return [_EXT_OF["tuple"], *value]


def _text_writer(scalar: Scalar[Any]) -> Callable[[Any], Any]:
    code, write = _TEXTS[scalar.name], scalar.write
    return lambda value: Ext(code, write(value).encode())


def _default_for(writers: Mapping[type, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    write_markup = _text_writer(MARKUP)

    def default(value: Any) -> Any:
        kind = kind_of(value)
        write = writers.get(kind)
        if write is None:
            if kind is not markup_type():
                raise TypeError
            write = write_markup
        return write(value)

    return default
