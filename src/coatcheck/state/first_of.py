"""Several ways for the ID to travel: browsers by cookie and programs by bearer, say."""

from __future__ import annotations

from collections.abc import Sequence

from coatcheck.errors import ConfigurationError
from coatcheck.request import Request, ResponseHeaders
from coatcheck.state.candidates import MOST_CANDIDATES, as_values, collect
from coatcheck.state.protocol import State


class FirstOf:
    """Offers the candidates of all its States, and answers the way that the client came.

    The answer goes through the first State that yields the candidate which opened the session, so a
    bearer client is never sent a cookie. Where several yield it, it is the first of these that can
    send: a client that brings its cookie too keeps one that is of use. A client that brought none
    is answered through the first State that sends.

    Raises `ConfigurationError` without any State, or for what is none.
    """

    __slots__ = ("_states", "sends", "vary")

    vary: Sequence[str]
    """The headers that any of the States reads, each named once."""
    sends: bool
    """Whether any of the States can send."""

    def __init__(self, *states: State) -> None:
        if not states:
            raise ConfigurationError(
                "FirstOf needs States: FirstOf(BearerState(), CookieState('session'))"
            )
        for state in states:
            _check_state(state)
        self._states = states
        names: dict[str, str] = {}
        for state in states:
            for name in state.vary:
                names.setdefault(name.lower(), name)
        self.vary = tuple(names.values())
        self.sends = any(state.sends for state in states)

    def extract(self, request: Request, /) -> Sequence[str]:
        """Return the distinct candidates of all States, in their order."""
        found: list[str] = []
        for state in self._states:
            collect(found, as_values(state.extract(request)))
            if len(found) > MOST_CANDIDATES:
                break
        return found

    def reaches(self, request: Request, carried: str | None, /) -> bool:
        """Say whether what is sent to who brought `carried` can reach it: not a bearer client."""
        state = self._way(request, carried)
        further = getattr(state, "reaches", None)
        if state is None or further is None:
            return state is not None and state.sends
        return bool(further(request, carried))

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
        """Send the ID the way that `carried` came."""
        state = self._way(request, carried)
        if state is not None:
            state.inject(request, headers, session_id, carried=carried, max_age=max_age)

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Have the ID dropped where `carried` came from."""
        state = self._way(request, carried)
        if state is not None:
            state.clear(request, headers, carried=carried)

    def _way(self, request: Request, carried: str | None) -> State | None:
        ways: Sequence[State] = ()
        if carried is not None:
            ways = [one for one in self._states if carried in as_values(one.extract(request))]
        for state in ways or self._states:
            if state.sends:
                return state
        return ways[0] if ways else None

    def __repr__(self) -> str:
        return f"FirstOf({', '.join(map(repr, self._states))})"


def _check_state(state: object) -> None:
    if isinstance(state, type):
        raise ConfigurationError(f"FirstOf needs States, not classes: {state.__name__}()")
    for method in ("extract", "inject", "clear"):
        if not callable(getattr(state, method, None)):
            raise ConfigurationError(f"{state!r:.80} is no State: it must have {method}()")
    for attribute in ("vary", "sends"):
        if not hasattr(state, attribute):
            raise ConfigurationError(f"{state!r:.80} is no State: it must have {attribute}")
