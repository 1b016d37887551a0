"""From a value to what a format can hold: the careful way, which knows where it is.

Codecs try a quick way first and come here when it fails, either for a value that needs it or to
find out what to say, and where, about one that is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from coatcheck.codecs.protocol import MAX_DEPTH, CustomType, Register, kind_of
from coatcheck.codecs.refusal import Refused, explain, sound, step
from coatcheck.codecs.scalars import BYTES, COMMON, FLOAT, INT, MARKUP, Scalar, markup_type
from coatcheck.errors import CorruptRecord

NATIVE: Final[frozenset[type]] = frozenset({type(None), bool, int, float, str, bytes})
CONTAINERS: Final[frozenset[type]] = frozenset({list, dict, tuple, set, frozenset})
BUILT_IN: Final = NATIVE | CONTAINERS | {scalar.cls for scalar in COMMON}

_TOO_DEEP: Final = f"more than {MAX_DEPTH} containers lie within one another, or it contains itself"


class Lowering(ABC):
    """The walk that both codecs share; a codec says how its format writes each kind of value."""

    scalar_levels: ClassVar[int]
    """How many containers the format opens for a scalar ..."""
    group_levels: ClassVar[int]
    """... for a tuple or a set ..."""
    pairs_levels: ClassVar[int]
    """... and for a dictionary that it cannot write as one."""

    def __init__(self, types: Iterable[CustomType[Any]]) -> None:
        self._register = Register(types, BUILT_IN)
        scalars = (*COMMON, INT, FLOAT, BYTES)
        self._scalars: dict[type, Scalar[Any]] = {scalar.cls: scalar for scalar in scalars}

    @abstractmethod
    def _holds(self, value: float | bytes) -> bool:
        """Say whether the format has this int, float or bytes itself."""

    @abstractmethod
    def _holds_keys(self, value: dict[Any, Any]) -> bool:
        """Say whether the format can write this dictionary as one."""

    @abstractmethod
    def _scalar(self, name: str, text: str) -> Any: ...

    @abstractmethod
    def _group(self, name: str, items: list[Any]) -> Any: ...

    @abstractmethod
    def _pairs(self, pairs: list[list[Any]]) -> Any: ...

    @abstractmethod
    def _custom(self, name: str, plain: Any) -> Any: ...

    @abstractmethod
    def _dump(self, lowered: Any) -> bytes:
        """Return the bytes of what `_lower` returned."""

    def _lower_session(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Return `data` lowered, its keys as they are; raise `UnserializableValue`."""
        own = dict(data)
        room = MAX_DEPTH - (1 if self._holds_keys(own) else self.pairs_levels)
        return {self._lower_key(key): self._lower_at(key, own[key], room) for key in own}

    def _lower_key(self, key: Any) -> str:
        try:
            if type(key) is not str:
                raise Refused(
                    f"the key is a {type(key).__qualname__}, and the keys of a session are plain"
                    " strings: convert it (dictionaries inside the session may have any keys)"
                )
            return sound(key)
        except Refused as refused:
            raise refused.under(key) from None

    def _lower_at(self, key: str, value: Any, room: int) -> Any:
        """Return one of the session's values lowered; raise `UnserializableValue`."""
        try:
            return self._lower(value, room)
        except Refused as refused:
            raise refused.under(key) from refused.__cause__
        except RecursionError:
            raise Refused(_TOO_DEEP).under(key) from None

    def _lower(self, value: Any, room: int) -> Any:
        """Return `value` lowered; `room` is how many containers may still be opened."""
        kind = kind_of(value)
        if kind is str:
            return sound(value)
        if value is None or kind is bool:
            return value
        scalar = self._scalars.get(kind)
        if scalar is None and kind is markup_type():
            scalar = MARKUP
        if scalar is not None:
            if kind in NATIVE and self._holds(value):
                return value
            _enter(room, self.scalar_levels)
            return self._scalar(scalar.name, sound(scalar.write(value)))
        if kind is list:
            return self._lower_items(value, _enter(room, 1), "[{}]")
        if kind is dict:
            return self._lower_dict(value, room)
        if kind in CONTAINERS:
            inner = _enter(room, self.group_levels)
            if kind is tuple:
                return self._group("tuple", self._lower_items(value, inner, "[{}]"))
            items = self._lower_items(value, inner, "{{...}}")
            items.sort(key=self._dump)
            return self._group(kind.__name__, items)
        custom = self._register.by_class.get(kind)
        if custom is None:
            raise Refused(explain(value))
        return self._lower_custom(custom, value, _enter(room, 1))

    def _lower_items(self, items: Iterable[Any], room: int, form: str) -> list[Any]:
        lowered: list[Any] = []
        for index, item in enumerate(items):
            try:
                lowered.append(self._lower(item, room))
            except Refused as refused:
                refused.steps.append(form.format(index))
                raise
        return lowered

    def _lower_dict(self, value: dict[Any, Any], room: int) -> Any:
        plain = self._holds_keys(value)
        inner = _enter(room, 1 if plain else self.pairs_levels)
        pairs: list[list[Any]] = []
        for key, item in value.items():
            try:
                pairs.append([self._lower(key, inner), self._lower(item, inner)])
            except Refused as refused:
                refused.steps.append(step(key))
                raise
        return dict(pairs) if plain else self._pairs(pairs)

    def _lower_custom(self, custom: CustomType[Any], value: Any, room: int) -> Any:
        try:
            plain = custom.to_plain(value)
        except Exception as error:
            # The value is the program's own, and so is the function: the cause helps, and stays.
            raise Refused(f"to_plain of {custom.name!r} raised {type(error).__name__}") from error
        try:
            return self._custom(custom.name, self._lower(plain, room))
        except Refused as refused:
            refused.steps.append(f"<{custom.name}>")
            raise

    def _revive(self, name: str, plain: Any) -> Any:
        """Return the value of the custom type called `name`; raise `CorruptRecord`."""
        custom = self._register.by_name.get(name)
        if custom is None:
            raise CorruptRecord("a value is of a custom type that is not registered")
        try:
            value = custom.from_plain(plain)
        except Exception as error:
            raise CorruptRecord(f"from_plain of {name!r} raised {type(error).__name__}") from error
        if type(value) is not custom.cls:
            raise CorruptRecord(f"from_plain of {name!r} returned a {type(value).__qualname__}")
        return value


def _enter(room: int, levels: int) -> int:
    if room < levels:
        raise Refused(_TOO_DEEP)
    return room - levels


def gather(name: str, items: list[Any]) -> Any:
    """Return the tuple, set or frozenset of `items`; raise `CorruptRecord` where two are equal."""
    if name == "tuple":
        return tuple(items)
    group = set(items) if name == "set" else frozenset(items)
    if len(group) != len(items):
        raise CorruptRecord("a set holds an element twice")
    return group


def pair_up(pairs: Iterable[tuple[Any, Any]], count: int) -> dict[Any, Any]:
    """Return the dictionary of `pairs`; raise `CorruptRecord` unless it has `count` keys."""
    made = dict(pairs)
    if len(made) != count:
        raise CorruptRecord("a key occurs twice")
    return made
