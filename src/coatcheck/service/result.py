"""What the methods of `SessionService` and its sessions return, in place of raising."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from coatcheck.errors import (
    CoatcheckError,
    CorruptRecord,
    SessionEnded,
    SessionTooLarge,
    StoreError,
    TooManySessions,
    UnserializableValue,
)
from coatcheck.events import logger

if TYPE_CHECKING:
    from coatcheck.service.session import ServiceSession

P = ParamSpec("P")
S = TypeVar("S")

WHOLE: Final = "\0whole"
"""The key under which data is stored that is not a mapping of strings, or has this very key."""

Code = Literal[
    "", "argument", "not-found", "ended", "value", "limit", "store", "damaged", "internal"
]
"""Why a `Result` failed, for programs: `"argument"`, an argument is missing or wrong;
`"not-found"`, there is no such session, or it has expired; `"ended"`, another program ended this
one, or it has expired; `"value"`, the data cannot be stored; `"limit"`, there are too many sessions
or too much data; `"store"`, the store is broken or out of reach; `"damaged"`, what is stored is no
session; `"internal"`, a bug, which is logged. Of a success it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Result(Mapping[str, Any]):
    """What a method of `SessionService` or of its sessions came to.

    True where it succeeded; its fields are attributes and keys: `result.session` is
    `result["session"]`. Those that the method has nothing for are `None`, 0 or empty.
    """

    success: bool
    """Whether it was done."""
    message: str = ""
    """What is wrong and what to do about it; never empty for a failure."""
    code: Code = ""
    """What is wrong, for programs; see `Code`."""
    session: ServiceSession | None = None
    """The session, of `new_session` and `get_session`."""
    value: Any = None
    """The data, of `get_data`."""
    deleted_count: int = 0
    """How many sessions ended, of the methods that end sessions."""
    active: tuple[str, ...] = ()
    """The handles of the live sessions, of `cleanup_sessions`."""
    damaged: tuple[str, ...] = ()
    """The handles of records that cannot be read, of `cleanup_sessions`."""

    def __bool__(self) -> bool:
        return self.success

    def __getitem__(self, name: str) -> Any:
        if name not in _FIELDS:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def __repr__(self) -> str:
        # Only what the method said, and never the data.
        said = {name: self[name] for name in _FIELDS if name != "value"}
        shown = [f"{name}={value!r}" for name, value in said.items() if value or name == "success"]
        return f"Result({', '.join(shown)})"


_FIELDS: Final = tuple(one.name for one in fields(Result))
DONE: Final = Result(success=True)


def refused(method: str, message: str, code: Code) -> Result:
    """Return the failure of a method, for a reason that no exception tells."""
    return Result(success=False, message=f"{method}: {message}", code=code)


def failed(method: str, error: Exception) -> Result:
    """Return the failure of a method that an exception ended; a bug is logged as well."""
    if isinstance(error, UnserializableValue):
        where = error.path.removeprefix(f"[{WHOLE!r}]")
        return refused(method, f"data{where} cannot be stored: {error.reason}", "value")
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return refused(method, _text(error), code)
    logger.error("%s failed unexpectedly", method, exc_info=error)
    return refused(method, f"{type(error).__name__}: {_text(error)}", "internal")


_CODES: Final[Mapping[type[Exception], Code]] = {
    SessionEnded: "ended",
    SessionTooLarge: "limit",
    TooManySessions: "limit",
    CorruptRecord: "damaged",
    StoreError: "store",
    CoatcheckError: "argument",
    TypeError: "argument",
    ValueError: "argument",
}


def _text(error: Exception) -> str:
    """Return what the error says; those of values that are not ours may say nothing, or raise."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 : its `__str__` is anybody's
        return type(error).__name__


def told(
    called: str = "",
) -> Callable[[Callable[Concatenate[S, P], Result]], Callable[Concatenate[S, P], Result]]:
    """Make whatever a method raises a failed `Result`: the contract is that none ever raises.

    `called` is how its messages begin, where that is not the method's own name.
    """

    def decorate(
        method: Callable[Concatenate[S, P], Result],
    ) -> Callable[Concatenate[S, P], Result]:
        name = called or method.__name__

        @wraps(method)
        def tell(self: S, /, *args: P.args, **options: P.kwargs) -> Result:
            try:
                return method(self, *args, **options)
            except Exception as error:  # noqa: BLE001 : the result says it, and a bug is logged
                return failed(name, error)

        return tell

    return decorate
