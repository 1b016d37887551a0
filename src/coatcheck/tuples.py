"""Named tuples, made without their class's own `__new__`, which costs twice as much."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T", bound=tuple[Any, ...])


def maker(cls: type[T]) -> Callable[[tuple[Any, ...]], T]:
    """Return a function that makes one of a tuple of all its fields, which it does not check."""
    new: Any = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("Callable[[tuple[Any, ...]], T]", partial(new, cls))
