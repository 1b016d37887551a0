"""The mapping part of a session: keys and values, nothing loaded before the first use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from typing import Any, Final, NoReturn, Self

from coatcheck.face import Face
from coatcheck.lifecycle.visit import IMMUTABLE, Phase

_LOST: Final = Phase.LOST
_NO_DEFAULT: Final = object()
_STRINGS: Final[frozenset[type]] = frozenset({str})


class SessionMapping(Face, MutableMapping[str, Any]):
    """The data of a session. Keys are strings; values are what the codec can keep.

    Nested changes are seen: what is handed out and can change is compared with what was saved.
    """

    def __getitem__(self, key: str) -> Any:
        visit = self._visit or self._first_look()
        if visit.phase is _LOST:
            self._look()
        view = visit.view
        if view is None:
            view = visit.data()
        try:
            value = view[key]
        except KeyError:
            raise KeyError(_missing(key, view)) from None
        if value.__class__ not in IMMUTABLE:
            visit.shared = True
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if key.__class__ is not str:
            raise _no_key(key)
        visit = self._changing()
        view = visit.view
        (visit.data() if view is None else view)[key] = value
        visit.written = True
        if value.__class__ not in IMMUTABLE:
            visit.shared = True

    def __delitem__(self, key: str) -> None:
        visit = self._changing()
        view = visit.data()
        if key not in view:
            raise KeyError(_missing(key, view))
        del view[key]
        visit.written = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._view())

    def __len__(self) -> int:
        return len(self._view())

    def __bool__(self) -> bool:
        return bool(self._view())

    def __contains__(self, key: object) -> bool:
        return key in self._view()

    def get(self, key: str, /, default: Any = None) -> Any:
        """Return the value of the key, or `default`."""
        value = self._view().get(key, default)
        if value.__class__ not in IMMUTABLE:
            self._look().shared = True
        return value

    def pop(self, key: str, /, default: Any = _NO_DEFAULT) -> Any:
        """Remove the key and return its value; without a default a missing key is a `KeyError`."""
        visit = self._changing()
        view = visit.data()
        if key in view:
            visit.written = True
            return view.pop(key)
        if default is _NO_DEFAULT:
            raise KeyError(_missing(key, view))
        return default

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Return the value of the key, after storing `default` there if it was missing."""
        if key not in self._view():
            self[key] = default
        return self[key]

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Set every key of a mapping, of pairs, or of keywords; all of them or, on error, none."""
        new: dict[str, Any] = dict(other, **values)
        if not _STRINGS.issuperset(map(type, new)):
            raise next(_no_key(key) for key in new if type(key) is not str)
        visit = self._changing()
        visit.data().update(new)
        visit.written = visit.shared = True

    def clear(self) -> None:
        """Empty the data; ID and user stay. What other requests have in flight is dropped."""
        visit = self._changing()
        visit.data().clear()
        visit.written = visit.cleared = True

    def copy(self) -> dict[str, Any]:
        """Return the data as a plain dict."""
        self._look().shared = True
        return dict(self._view())

    def slice(self, *keys: str) -> dict[str, Any]:
        """Return those of the keys that are there, with their values, as a plain dict."""
        return {key: self[key] for key in keys if key in self}

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self.copy()

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SessionMapping):
            return self is other
        return self._view() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        visit = self._visit
        if visit is None:
            return f"<{type(self).__name__} unopened>"
        return f"<{type(self).__name__} {visit.phase.name.lower()} handle={visit.handle}>"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(
            "a session cannot be copied or pickled, for it stands for one request: take its data"
            " with session.copy()"
        )

    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = _refuse


def _no_key(key: object) -> TypeError:
    return TypeError(f"session keys are strings, not {type(key).__name__}: write str(key)")


def _missing(key: object, view: Mapping[str, Any]) -> str:
    near = get_close_matches(key, view, n=1) if isinstance(key, str) else []
    hint = f": did you mean {near[0]!r}?" if near else ""
    return f"{key!r} is not in the session{hint}"
