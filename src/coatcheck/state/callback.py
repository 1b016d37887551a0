"""The session ID wherever the application says: three functions are a State."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, TypeAlias

from coatcheck.errors import ConfigurationError
from coatcheck.request import Request, ResponseHeaders
from coatcheck.state.candidates import as_values, collect

Extract: TypeAlias = Callable[[Request], str | Sequence[str] | None]
"""Given the request, returns what may be the ID, one or several."""
Inject: TypeAlias = Callable[[ResponseHeaders, str, Mapping[str, Any]], object]
"""Given the response's headers, the ID and `{"request": ..., "carried": ..., "max_age": ...}`."""
Clear: TypeAlias = Callable[[ResponseHeaders, Mapping[str, Any]], object]
"""Given the response's headers and `{"request": ..., "carried": ...}`."""


class CallbackState:
    """Leaves reading, and if wished sending, to functions of the application.

    Of what `extract` returns, only what is in the form of an ID counts. `inject` and `clear` are
    optional; the mapping that they are given has the arguments of `State.inject` and `State.clear`
    by name. An exception of a function passes through: it is a mistake in the program.

    `vary` names the request headers that `extract` looks at: caches must know them. `sends` says
    whether `inject` can reach the client; by default, whether there is one. Raises
    `ConfigurationError` for what is no function, for a coroutine function, and where `sends` is
    claimed without `inject`.
    """

    __slots__ = ("_clear", "_extract", "_inject", "sends", "vary")

    vary: Sequence[str]
    sends: bool

    def __init__(
        self,
        extract: Extract,
        inject: Inject | None = None,
        clear: Clear | None = None,
        *,
        vary: Sequence[str] = (),
        sends: bool | None = None,
    ) -> None:
        _check_function("extract", extract)
        if inject is not None:
            _check_function("inject", inject)
        if clear is not None:
            _check_function("clear", clear)
        if isinstance(vary, str):
            raise ConfigurationError(f"vary must be a list of header names: vary=[{vary!r:.80}]")
        if sends and inject is None:
            raise ConfigurationError("sends=True needs inject: without it no ID can be sent")
        self._extract = extract
        self._inject = inject
        self._clear = clear
        self.vary = tuple(vary)
        self.sends = inject is not None if sends is None else sends

    def extract(self, request: Request, /) -> Sequence[str]:
        """Return what `extract` found, distinct, as far as it is in the form of an ID.

        Raises `TypeError` if it returned anything but strings.
        """
        extracted = self._extract(request)
        values = list(as_values(extracted))
        for value in values:
            if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(
                    f"extract must return str, a sequence of str, or None; it returned"
                    f" {type(extracted).__name__} with {type(value).__name__}"
                )
        return collect([], values)

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        """Call `inject(headers, session_id, options)`, if there is one."""
        if self._inject is not None:
            options = {"request": request, "carried": carried, "max_age": max_age}
            self._inject(headers, session_id, options)

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Call `clear(headers, options)`, if there is one."""
        if self._clear is not None:
            self._clear(headers, {"request": request, "carried": carried})

    def __repr__(self) -> str:
        return f"CallbackState({getattr(self._extract, '__qualname__', '...')})"


def _check_function(name: str, function: object) -> None:
    if not callable(function):
        raise ConfigurationError(f"{name} must be a function, not {function!r:.80}")
    if iscoroutinefunction(function):
        raise ConfigurationError(f"{name} must be a plain function: write def, not async def")
