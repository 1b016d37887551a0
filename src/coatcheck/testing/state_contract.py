"""The suite that every State passes, published for the authors of other States.

    from coatcheck.testing.state_contract import CookieClient, StateContract

    class TestMyState(StateContract):
        @pytest.fixture
        def make_state(self):
            return lambda: MyState("shop")

        @pytest.fixture
        def make_client(self):
            return lambda: CookieClient("shop")

It needs pytest, which comes with `coatcheck[testing]`. `make_client` is only needed where the
client is neither a browser nor fills in the first header of `vary`; a `Client` is three short
methods.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Final, Protocol

import pytest

from coatcheck.ids import ID_LENGTH, has_form_of_id
from coatcheck.request import (
    ASGIHeaders,
    ASGIRequest,
    PlainRequest,
    Request,
    WSGIHeaders,
    WSGIRequest,
)
from coatcheck.state.protocol import State
from coatcheck.testing.expect import equal, holds

FIRST_ID: Final = "A" * ID_LENGTH
SECOND_ID: Final = "b-_9" * (ID_LENGTH // 4)

_HEADER_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
_PIECES: Final = (
    FIRST_ID,
    SECOND_ID,
    "",
    " ",
    "\t",
    "=",
    ";",
    "; ",
    ",",
    '"',
    "\\",
    "\x00",
    "\n",
    "\x85",
    "\xff",
    "%41",
    "session",
    "session=",
    "$Version=1; ",
    "Bearer ",
    "bearer",
    "Basic ",
    "é",
)
_LONG: Final = tuple(piece * 20_000 for piece in _PIECES)


class Client(Protocol):
    """The other side of a State: keeps an ID and shows it with each request."""

    def hold(self, session_id: str, /) -> None:
        """Come by an ID otherwise than by a response's headers: from a body, say."""
        ...

    def receive(self, headers: Sequence[tuple[str, str]], /) -> None:
        """Take note of the headers of a response."""
        ...

    def request(self) -> Request:
        """Make the next request."""
        ...


class CookieClient:
    """A browser, as far as it matters here: keeps cookies, and drops those with Max-Age=0."""

    def __init__(self, name: str = "session") -> None:
        """`name` is the cookie that `hold` sets."""
        self.name = name
        self.cookies: dict[str, str] = {}

    def hold(self, session_id: str, /) -> None:
        """Have the cookie, from wherever."""
        self.cookies[self.name] = session_id

    def receive(self, headers: Sequence[tuple[str, str]], /) -> None:
        """Set and drop cookies."""
        for header, text in headers:
            if header.lower() == "set-cookie":
                pair, *attributes = text.split("; ")
                name, _, value = pair.partition("=")
                if "max-age=0" in (attribute.lower() for attribute in attributes):
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value

    def request(self) -> Request:
        """Send all cookies."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return PlainRequest({"Cookie": cookies} if cookies else {}, scheme="https")


class HeaderClient:
    """A program that sends its ID in a header, after `before`, and ignores what responses say."""

    def __init__(self, header_name: str, before: str = "") -> None:
        self.header_name = header_name
        self.before = before
        self.session_id: str | None = None

    def hold(self, session_id: str, /) -> None:
        """Keep the ID."""
        self.session_id = session_id

    def receive(self, headers: Sequence[tuple[str, str]], /) -> None:
        """Ignore them."""

    def request(self) -> Request:
        """Send the header, if there is an ID."""
        if self.session_id is None:
            return PlainRequest(scheme="https")
        return PlainRequest({self.header_name: self.before + self.session_id}, scheme="https")


class StateContract:
    """Subclass it, give it a fixture `make_state`, and pytest runs what every State must do."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """Return what makes the State under test."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `make_state` that returns a callable which"
            " makes the State under test"
        )

    @pytest.fixture
    def make_client(self, make_state: Callable[[], State]) -> Callable[[], Client]:
        """Return what makes a client of that State: a browser where `vary` names Cookie."""
        headers = [name.lower() for name in make_state().vary]
        if "cookie" in headers or not headers:
            return CookieClient
        return lambda: HeaderClient(headers[0], "Bearer " if headers[0] == "authorization" else "")

    def test_vary_names_headers(self, make_state: Callable[[], State]) -> None:
        """`vary` is a sequence of header names, not one string."""
        vary = make_state().vary
        holds(not isinstance(vary, str), "vary is a sequence, not a string", vary)
        for name in vary:
            holds(bool(name) and set(name) <= _HEADER_CHARACTERS, "vary names headers", name)

    def test_sends_is_known(self, make_state: Callable[[], State]) -> None:
        """`sends` is true or false before any request."""
        sends: object = make_state().sends
        holds(sends is True or sends is False, "sends is a bool", sends)

    def test_no_header_is_no_id(self, make_state: Callable[[], State]) -> None:
        """A request without headers offers nothing."""
        for request in _requests([]):
            equal(offered(make_state(), request), [], "without headers there is no ID")

    def test_hostile_headers_offer_forms_only(self, make_state: Callable[[], State]) -> None:
        """Whatever a client sends, nothing is raised, and what is offered has the form of an ID."""
        state = make_state()
        names = {name.lower() for name in (*state.vary, "Cookie", "Authorization")}
        for text in (*map("".join, product(_PIECES, repeat=3)), *_LONG):
            for request in _requests([(name, text) for name in sorted(names)]):
                for candidate in offered(state, request):
                    holds(has_form_of_id(candidate), "candidates have the form of an ID", candidate)

    def test_repeated_headers_are_no_error(self, make_state: Callable[[], State]) -> None:
        """The same header several times raises nothing either."""
        state = make_state()
        headers = [(name.lower(), text) for name in state.vary for text in _PIECES]
        for request in _requests(headers):
            for candidate in offered(state, request):
                holds(has_form_of_id(candidate), "candidates have the form of an ID", candidate)

    def test_extract_can_be_repeated(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """Asking the same request twice gives the same answer."""
        state, client = make_state(), make_client()
        client.hold(FIRST_ID)
        request = client.request()
        equal(offered(state, request), offered(state, request), "extract changes nothing")

    def test_what_is_sent_comes_back(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """An ID that was sent is the ID that the client shows, with and without a lifetime."""
        state = sending(make_state())
        for max_age in (None, 3600):
            client = make_client()
            client.receive(sent(state, client.request(), FIRST_ID, max_age=max_age))
            equal(offered(state, client.request()), [FIRST_ID], "the ID sent comes back")

    def test_a_new_id_takes_the_place_of_the_carried_one(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """After a client that carries one ID was sent another, it shows the new one alone."""
        state, client = sending(make_state()), make_client()
        client.receive(sent(state, client.request(), FIRST_ID))
        client.receive(sent(state, client.request(), SECOND_ID, carried=FIRST_ID))
        equal(offered(state, client.request()), [SECOND_ID], "only the newest ID is left")

    def test_clear_empties_the_client(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """After `clear` the client shows no ID, and it can be sent another."""
        state, client = sending(make_state()), make_client()
        client.receive(sent(state, client.request(), FIRST_ID))
        client.receive(cleared(state, client.request(), carried=FIRST_ID))
        equal(offered(state, client.request()), [], "clear empties the client")
        client.receive(cleared(state, client.request()))
        equal(offered(state, client.request()), [], "there may be nothing to clear")
        client.receive(sent(state, client.request(), SECOND_ID))
        equal(offered(state, client.request()), [SECOND_ID], "a cleared client takes an ID again")

    def test_a_state_that_cannot_send_adds_no_header(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """Where `sends` is false, `inject` and `clear` leave the response alone."""
        state = make_state()
        if state.sends:
            pytest.skip("this State sends")
        client = make_client()
        for carried in (None, FIRST_ID):
            if carried:
                client.hold(carried)
            request = client.request()
            equal(sent(state, request, SECOND_ID, carried=carried), [], "nothing is sent")
            equal(cleared(state, request, carried=carried), [], "nothing is cleared")

    def test_what_the_client_holds_is_read(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """An ID that the client came by on its own is read like any other."""
        state, client = make_state(), make_client()
        if state.sends:
            pytest.skip("this State sends")
        client.hold(FIRST_ID)
        equal(offered(state, client.request()), [FIRST_ID], "the ID held is read")

    def test_other_headers_stay(
        self, make_state: Callable[[], State], make_client: Callable[[], Client]
    ) -> None:
        """Headers that are there already stay first and in order, and what is added is clean."""
        state, request = make_state(), make_client().request()
        before = [("content-type", "text/html"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        encoded = [(name.encode(), value.encode()) for name, value in before]
        for headers in (WSGIHeaders(list(before)), ASGIHeaders(encoded)):
            state.inject(request, headers, FIRST_ID, carried=None, max_age=3600)
            state.clear(request, headers, carried=FIRST_ID)
            after = [(name.lower(), value) for name, value in headers]
            equal(after[: len(before)], before, "headers that were there stay as they were")
            for name, value in after:
                holds((name + value).isprintable(), "header text is printable", name, value)


def offered(state: State, request: Request) -> list[str]:
    """Return what the State extracts from the request, as a list."""
    extracted = state.extract(request)
    if extracted is None:
        return []
    return [extracted] if isinstance(extracted, str) else list(extracted)


def sent(
    state: State,
    request: Request,
    session_id: str,
    *,
    carried: str | None = None,
    max_age: int | None = None,
) -> list[tuple[str, str]]:
    """Return the headers that `inject` adds to an empty response."""
    headers = WSGIHeaders([])
    state.inject(request, headers, session_id, carried=carried, max_age=max_age)
    return headers.native


def cleared(state: State, request: Request, *, carried: str | None = None) -> list[tuple[str, str]]:
    """Return the headers that `clear` adds to an empty response."""
    headers = WSGIHeaders([])
    state.clear(request, headers, carried=carried)
    return headers.native


def sending(state: State) -> State:
    """Return the State, or skip the case if it cannot send."""
    if not state.sends:
        pytest.skip("this State does not send")
    return state


def _requests(headers: Sequence[tuple[str, str]]) -> Iterator[Request]:
    """Yield a request with these headers as each kind of server would hand it over."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}; {value}" if name in joined else value
    yield PlainRequest(joined)
    yield WSGIRequest(
        {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in joined.items()}
    )
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    yield ASGIRequest({"type": "http", "headers": raw})
