"""JSON for people to read: what JSON does not have is an object with one key, its tag.

    None, bool, int, finite float, str, list, dict of str    as JSON has them
    other floats, bytes (base64), Decimal, datetime, date,
    time, timedelta, UUID, Markup                            {"!decimal": "12.50"}
    tuple, set, frozenset                                    {"!tuple": [1, 2]}
    dict with other keys                                     {"!dict": [[1, "one"], ...]}
    custom type                                              {"!!money": ...}

A dictionary of the application's that has one key only, and that begins with "!", is written as
`{"!dict": [["!tuple", ...]]}`, so it is never taken for a tag. The text is ASCII and one line, and
goes through any column, terminal or line-based tool unharmed. Reading is lenient where a person
may have edited the record: white space, escapes and the order of a set do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from math import isfinite
from typing import Any, ClassVar, Final, NoReturn

from ormsgpack import packb

from coatcheck.codecs.binary import OPTIONS
from coatcheck.codecs.lowering import Lowering, gather, pair_up
from coatcheck.codecs.protocol import MAX_DEPTH, MAX_INT_BITS, Codec, CustomType, kind_of
from coatcheck.codecs.refusal import Refused
from coatcheck.codecs.scalars import BYTES, COMMON, FLOAT, MARKUP, Scalar, read_int
from coatcheck.errors import CorruptRecord

_INT_LIMIT: Final = 1 << MAX_INT_BITS
_SCALARS: Final[dict[str, Scalar[Any]]] = {
    "!" + scalar.name: scalar for scalar in (*COMMON, FLOAT, BYTES, MARKUP)
}
_GROUPS: Final = frozenset({"!tuple", "!set", "!frozenset"})
_PLAIN: Final[frozenset[type]] = frozenset({str, bool, float, type(None)})
_TAG_OF: Final = {scalar.cls: ("!" + scalar.name, scalar.write) for scalar in (*COMMON, BYTES)}
_STR: Final[frozenset[type]] = frozenset({str})

_STRINGS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_ESCAPES: Final = re.compile(r"\\[^u]")
_LONE: Final = re.compile(
    r"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)


def _tag(value: Any) -> dict[str, str]:
    name, write = _TAG_OF[kind_of(value)]
    return {name: write(value)}


# A walk has seen to cycles and depth before these are called. NaN makes them raise `ValueError`,
# and what JSON does not have, the second one, `TypeError`.
_encode: Final = JSONEncoder(
    separators=(",", ":"), check_circular=False, allow_nan=False, default=_tag
).encode
_encode_strictly: Final = JSONEncoder(
    separators=(",", ":"), check_circular=False, allow_nan=False
).encode


_decode_plain: Final = JSONDecoder().decode


class JSONCodec(Lowering, Codec):
    """JSON with type tags; see the module for the form."""

    scalar_levels: ClassVar = 1
    group_levels: ClassVar = 2
    pairs_levels: ClassVar = 3

    def __init__(self, types: Iterable[CustomType[Any]] = ()) -> None:
        """`types` are the application's own. Raises `ConfigurationError` if two of them clash."""
        super().__init__(types)
        self._parse = JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=read_int,
            parse_float=_read_float,
            parse_constant=_refuse_constant,
        ).decode

    @property
    def name(self) -> str:
        return "json"

    def encode(self, data: Mapping[str, Any], /) -> bytes:
        kind = kind_of(data)
        if kind is dict:
            try:
                # ormsgpack is as strict as `_is_plain` in a tenth of its time, but knows no tags.
                packb(data, None, OPTIONS)
                text = _encode_strictly(data)
                if '{"!' not in text:
                    return text.encode()
            except (TypeError, ValueError, RecursionError):
                pass
        if kind is dict and _is_plain(data, MAX_DEPTH):
            try:
                text = _encode(data)
                if not _has_lone_surrogate(text):
                    return text.encode()
            except (ValueError, RecursionError, Refused):
                pass  # The careful way handles it or knows what is wrong.
        lowered = self._lower_session(data)
        return self._dump(lowered if self._holds_keys(lowered) else self._pairs(_listed(lowered)))

    def encode_value(self, key: str, value: Any, /) -> bytes:
        return self._dump(self._lower_at(key, value, MAX_DEPTH - 1))

    def decode(self, data: bytes, /) -> dict[str, Any]:
        try:
            text = data.decode()
            value = self._parse(text)
        except CorruptRecord:
            raise
        except JSONDecodeError as error:
            # The error itself carries the whole text.
            raise CorruptRecord(f"the record is not JSON: {error.msg} at {error.pos}") from None
        except Exception as error:
            # Many things raise for a text that is none of theirs, and values of custom types are
            # hashed and compared by code that is not ours.
            name = type(error).__name__
            raise CorruptRecord(f"the record holds what cannot be read: {name}") from error
        if _has_lone_surrogate(text):
            raise CorruptRecord("the record holds a lone surrogate")
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise CorruptRecord(f"the record is nested more than {MAX_DEPTH} levels deep")
        kind = kind_of(value)
        if kind is not dict or not _STR.issuperset(map(type, value)):
            raise CorruptRecord("the record is not a mapping with strings as its keys")
        session: dict[str, Any] = value
        return session

    def decode_own(self, data: bytes, /) -> dict[str, Any]:
        # A tag is a key that begins with an exclamation mark. Without the hooks for them, json
        # parses three times as fast.
        if b'"!' in data:
            return self.decode(data)
        try:
            value = _decode_plain(data.decode())
        except ValueError:
            return self.decode(data)  # which says what is wrong, and not the text itself
        if kind_of(value) is not dict:
            raise CorruptRecord("the record is not a mapping with strings as its keys")
        session: dict[str, Any] = value
        return session

    def _object(self, pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1 and pairs[0][0][:1] == "!":
            return self._untag(*pairs[0])
        return pair_up(pairs, len(pairs))

    def _untag(self, tag: str, body: Any) -> Any:
        scalar = _SCALARS.get(tag)
        kind = kind_of(body)
        if scalar is not None:
            if kind is str:
                value = scalar.read(body)
                if scalar.write(value) == body:
                    return value
        elif tag[:2] == "!!":
            return self._revive(tag[2:], body)
        elif kind is list:
            if tag in _GROUPS:
                return gather(tag[1:], body)
            if tag == "!dict" and all(kind_of(pair) is list for pair in body):
                return pair_up(body, len(body))
        raise CorruptRecord("the record holds an unknown tag, or one whose content does not fit it")

    # How the careful way writes.

    def _holds(self, value: float | bytes) -> bool:
        if isinstance(value, bytes):
            return False
        return -_INT_LIMIT < value < _INT_LIMIT if isinstance(value, int) else isfinite(value)

    def _holds_keys(self, value: dict[Any, Any]) -> bool:
        return _STR.issuperset(map(type, value)) and not _looks_tagged(value)

    def _scalar(self, name: str, text: str) -> Any:
        return {"!" + name: text}

    def _group(self, name: str, items: list[Any]) -> Any:
        return {"!" + name: items}

    def _pairs(self, pairs: list[list[Any]]) -> Any:
        return {"!dict": pairs}

    def _custom(self, name: str, plain: Any) -> Any:
        return {"!!" + name: plain}

    def _dump(self, lowered: Any) -> bytes:
        return _encode(lowered).encode()


def _listed(mapping: dict[str, Any]) -> list[list[Any]]:
    return [[key, value] for key, value in mapping.items()]


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value))[:1] == "!"


def _is_plain(value: Any, room: int) -> bool:
    """Say whether the JSON encoder, with `_tag`, writes this list or dictionary as what it is.

    It turns tuples, subclasses and keys of other types silently. Surrogates and NaN are for later.
    """
    if not room:
        return False
    items: Iterable[Any] = value
    kind = kind_of(value)
    if kind is dict:
        if not _STR.issuperset(map(type, value)) or _looks_tagged(value):
            return False
        items = value.values()
    for item in items:
        kind = kind_of(item)
        if kind in _PLAIN:
            continue
        if kind is int:
            if not -_INT_LIMIT < item < _INT_LIMIT:
                return False
        elif kind in _TAG_OF:
            if room == 1:
                return False
        elif (kind is not list and kind is not dict) or not _is_plain(item, room - 1):
            return False
    return True


def _read_float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("a float is too large")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and the infinities are tagged")


def _has_lone_surrogate(text: str) -> bool:
    """Say whether a JSON text escapes half of a surrogate pair."""
    if "\\ud" not in text and "\\uD" not in text:
        return False
    # With the two-character escapes gone, every backslash left begins `\uXXXX`.
    return _LONE.search(_ESCAPES.sub(".", text)) is not None


def _depth(text: str) -> int:
    """Return how deep the brackets of a text nest that has parsed as JSON."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
