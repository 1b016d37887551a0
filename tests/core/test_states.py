"""The built-in States: the contract, and what each promises besides (SEC-62 to SEC-69, S-65 on)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from coatcheck.errors import ConfigurationError
from coatcheck.request import (
    ASGIRequest,
    PlainRequest,
    Request,
    ResponseHeaders,
    WSGIHeaders,
    WSGIRequest,
)
from coatcheck.state import BearerState, CallbackState, CookieState, FirstOf, HeaderState, State
from coatcheck.testing.state_contract import (
    Client,
    CookieClient,
    HeaderClient,
    StateContract,
    cleared,
    offered,
    sent,
)
from tests.core.cookiejar import Jar, Page, parse

A = "A" * 68
B = "b-_9" * 17


def cookie_callbacks() -> CallbackState:
    """A State of three functions around a cookie, as the seed's document shows it."""
    cookie = CookieState("session")

    def extract(request: Request) -> str | Sequence[str] | None:
        return cookie.extract(request)

    def inject(headers: ResponseHeaders, session_id: str, options: Mapping[str, Any]) -> None:
        cookie.inject(
            options["request"],
            headers,
            session_id,
            carried=options["carried"],
            max_age=options["max_age"],
        )

    def clear(headers: ResponseHeaders, options: Mapping[str, Any]) -> None:
        cookie.clear(options["request"], headers, carried=options["carried"])

    return CallbackState(extract, inject, clear, vary=["Cookie"])


# The cases that do not apply are left out rather than skipped: a skip is for a person to act on.


class Sending(StateContract):
    """The contract for States that send the ID."""

    test_a_state_that_cannot_send_adds_no_header = None  # type: ignore[assignment]
    test_what_the_client_holds_is_read = None  # type: ignore[assignment]


class Reading(StateContract):
    """The contract for States that cannot send it."""

    test_what_is_sent_comes_back = None  # type: ignore[assignment]
    test_a_new_id_takes_the_place_of_the_carried_one = None  # type: ignore[assignment]
    test_clear_empties_the_client = None  # type: ignore[assignment]


class TestCookieState(Sending):
    """The contract for cookies."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """The default."""
        return CookieState


class TestHostCookieState(Sending):
    """The contract for cookies that browsers hold fast to one host."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """A name that forces Secure."""
        return lambda: CookieState("__Host-id")

    @pytest.fixture
    def make_client(self) -> Callable[[], Client]:
        """A browser that has a cookie of that name."""
        return lambda: CookieClient("__Host-id")


class TestHeaderState(Reading):
    """The contract for headers."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """The whole value is the ID."""
        return lambda: HeaderState("X-Session-ID")


class TestHeaderStateWithPattern(Reading):
    """The contract for headers of which a part is the ID."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """The ID stands behind a word."""
        return lambda: HeaderState("X-Auth", r"^Token (\S+)\Z")

    @pytest.fixture
    def make_client(self) -> Callable[[], Client]:
        """A program that writes the word."""
        return lambda: HeaderClient("X-Auth", "Token ")


class TestBearerState(Reading):
    """The contract for bearer tokens."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """The only way to make one."""
        return BearerState


class TestCallbackState(Sending):
    """The contract for functions of the application."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """All three functions."""
        return cookie_callbacks


class TestReadOnlyCallbackState(Reading):
    """The contract for one function that reads."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """Only `extract`."""
        return lambda: CallbackState(lambda request: request.header("x-id"), vary=("X-ID",))


class TestFirstOfWithBrowser(Sending):
    """The contract for two ways, for a browser."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """The State that sends comes second."""
        return lambda: FirstOf(BearerState(), CookieState())

    @pytest.fixture
    def make_client(self) -> Callable[[], Client]:
        """A browser."""
        return CookieClient


class TestFirstOfHeaders(Reading):
    """The contract for two ways of which none sends."""

    @pytest.fixture
    def make_state(self) -> Callable[[], State]:
        """Neither sends."""
        return lambda: FirstOf(BearerState(), HeaderState("X-Session-ID"))


# Cookies


def browser(cookie: str, **more: str) -> PlainRequest:
    """Make a request with that Cookie header, over https."""
    return PlainRequest({"Cookie": cookie, **more}, scheme="https")


def test_s_65_the_default_cookie() -> None:
    """HttpOnly, Path=/, SameSite=Lax, and Secure as the request came."""
    attributes = "; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
    state = CookieState()
    assert sent(state, PlainRequest(scheme="http"), A, max_age=60) == [
        ("Set-Cookie", f"session={A}{attributes}")
    ]
    for scheme in ("https", "wss"):
        assert sent(state, PlainRequest(scheme=scheme), A, max_age=60) == [
            ("Set-Cookie", f"session={A}{attributes}; Secure")
        ]


def test_s_66_options_merge_into_the_defaults() -> None:
    """What is not named stays as it is, and a false value turns an option off."""
    state = CookieState("id", options={"samesite": "strict", "httponly": 0})
    assert sent(state, browser(""), A, max_age=60) == [
        ("Set-Cookie", f"id={A}; Path=/; SameSite=Strict; Max-Age=60; Secure")
    ]


@pytest.mark.parametrize(
    "state", [CookieState(expire=60), CookieState(expire=timedelta(minutes=1))]
)
def test_s_67_expire_sets_max_age_by_hand(state: CookieState) -> None:
    """`expire` counts, whatever is left of the session's lifetime."""
    for max_age in (None, 3600):
        ((_, cookie),) = sent(state, browser(""), A, max_age=max_age)
        assert parse(cookie).attributes["max-age"] == "60"


def test_s_67_expire_beside_max_age_is_an_error() -> None:
    """They are one setting under two names."""
    with pytest.raises(ConfigurationError, match="max_age"):
        CookieState(expire=60, options={"max_age": 60.0})
    with pytest.raises(ConfigurationError, match="max_age"):
        CookieState(expire=60, options={"max_age": None})


def test_s_66_max_age_can_be_turned_off() -> None:
    """`max_age=None` gives a cookie that ends with the browser."""
    ((_, cookie),) = sent(CookieState(options={"max_age": None}), browser(""), A, max_age=60)
    assert "max-age" not in parse(cookie).attributes


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("same_site", "samesite"),
        ("SameSite", "samesite"),
        ("http_only", "httponly"),
        ("HttpOnly", "httponly"),
        ("max-age", "max_age"),
        ("maxage", "max_age"),
        ("secured", "secure"),
        ("pth", "path"),
    ],
)
def test_an_unknown_option_names_the_nearest(option: str, meant: str) -> None:
    """The message has what was probably meant, and all the names that there are."""
    with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'") as caught:
        CookieState(options={option: True})
    assert "partitioned" in str(caught.value)


def test_an_option_like_no_other_is_an_error_all_the_same() -> None:
    """Without a near name only the list is shown."""
    with pytest.raises(ConfigurationError, match="unknown cookie option 'zzz': the options are"):
        CookieState(options={"zzz": True})


def test_options_of_cookies_are_checked_at_construction() -> None:
    """What browsers would refuse is an error before the first request."""
    with pytest.raises(ConfigurationError, match="__Host-"):
        CookieState("__Host-id", options={"domain": "example.org"})
    with pytest.raises(ConfigurationError, match="shorter"):
        CookieState("n" * 4029)
    assert CookieState("n" * 4028).name == "n" * 4028


def test_the_options_given_are_not_changed() -> None:
    """The mapping stays the caller's, and later changes of it have no effect."""
    options = {"path": "/app"}
    state = CookieState(expire=60, options=options)
    assert options == {"path": "/app"}
    options["path"] = "/other"
    assert "; Path=/app;" in sent(state, browser(""), A)[0][1]


def test_s_101_the_right_cookie_among_several() -> None:
    """Only the configured name, and only values in the form of an ID."""
    state = CookieState()
    assert offered(state, browser(f"a={B}; session={A}; b={B}")) == [A]
    assert offered(state, browser(f"a={B}")) == []
    assert offered(state, browser("session=short")) == []
    assert offered(state, browser("session=")) == []
    assert offered(state, PlainRequest()) == []
    assert offered(state, WSGIRequest({"HTTP_COOKIE": f"session={A}"})) == [A]
    assert offered(state, ASGIRequest({"headers": [(b"CooKie", f"session={A}".encode())]})) == [A]


@pytest.mark.parametrize(
    "cookie",
    [
        f'session="{A}"',
        f"session={A}=",
        f"session={A[:-1]}+",
        f"session={A[:-1]}/",
        f"session=%41{A[1:]}",
        f"session={A[:-3]}%41",
        f"$Version=1; session={A} ; session",
        f"session={A},{B}",
        f"Session={B}",
        f"\xa0session={B}",
    ],
)
def test_sec_64_what_is_not_exactly_an_id_is_none(cookie: str) -> None:
    """Quotes, padding, other alphabets and percent signs are no ID; blanks around one are fine."""
    expected = [A] if cookie.startswith("$Version") else []
    assert offered(CookieState(), browser(cookie)) == expected


def test_sec_62_candidates_are_distinct_and_in_order() -> None:
    """Copies count once, and what has not the form of an ID not at all."""
    cookies = f"session={B}; session=x; session={A}; session={B}; session={A}"
    assert offered(CookieState(), browser(cookies)) == [B, A]


def test_sec_62_at_most_nine_candidates_are_offered() -> None:
    """Whoever asks refuses more than eight, so the ninth is the last, in one header or many."""
    ids = [f"{number:068d}" for number in range(100)]
    one = "; ".join(f"session={each}" for each in ids)
    assert offered(CookieState(), browser(one)) == ids[:9]
    many = [(b"cookie", f"session={each}".encode()) for each in ids]
    assert offered(CookieState(), ASGIRequest({"headers": many})) == ids[:9]
    both = FirstOf(CookieState(), CookieState("other"))
    assert offered(both, browser(f"{one}; other={A}")) == ids[:9]


@pytest.mark.parametrize("number", [2, 5])
def test_sec_65_several_cookie_headers_are_read(number: int) -> None:
    """HTTP/2 splits cookies into headers; WSGI servers join them with semicolons again."""
    lines = [f"c{index}={B}" for index in range(number - 1)]
    for place in range(number):
        cookies = [*lines[:place], f"session={A}", *lines[place:]]
        split = [(b"cookie", line.encode()) for line in cookies]
        assert offered(CookieState(), ASGIRequest({"headers": split})) == [A]
        assert offered(CookieState(), WSGIRequest({"HTTP_COOKIE": "; ".join(cookies)})) == [A]


def test_sec_67_an_id_elsewhere_is_ignored() -> None:
    """Query, path and other headers are not looked at."""
    environ = {
        "PATH_INFO": f"/;jsessionid={A}",
        "QUERY_STRING": f"session={A}",
        "HTTP_REFERER": f"http://example.org/?session={A}",
        "HTTP_AUTHORIZATION": f"Bearer {A}",
        "HTTP_X_SESSION_ID": A,
    }
    assert offered(CookieState(), WSGIRequest(environ)) == []
    del environ["HTTP_X_SESSION_ID"]
    assert offered(HeaderState("X-Session-ID"), WSGIRequest(environ)) == []


def test_s_103_clear_uses_the_configured_attributes() -> None:
    """Name and path are those of the cookie, and HttpOnly only if it has it."""
    state = CookieState("id", options={"path": "/app", "httponly": False})
    ((name, cookie),) = cleared(state, browser(f"id={A}"), carried=A)
    assert name == "Set-Cookie"
    assert cookie == (
        "id=; Path=/app; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure"
    )


def test_a_browser_keeps_and_drops_the_cookie() -> None:
    """Set, sent back, deleted: in the model of a browser after RFC 6265bis."""
    for name in ("session", "__Host-session"):
        state, jar, page = CookieState(name), Jar(), Page(path="/login")
        ((_, cookie),) = sent(state, browser(""), A, max_age=60)
        assert jar.receive(cookie, page)
        assert offered(state, browser(jar.header(Page(path="/other")))) == [A]
        ((_, cookie),) = cleared(state, browser(jar.header(page)), carried=A)
        assert jar.receive(cookie, Page(path="/logout"))
        assert jar.cookies == []


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [({"X-Forwarded-Proto": "https"}, "http"), ({"X-Forwarded-Proto": "http"}, "https")],
)
def test_sec_54_forwarded_headers_decide_nothing(headers: dict[str, str], scheme: str) -> None:
    """Whoever is the client may send them; the server's own word counts."""
    request = PlainRequest({**headers, "Host": "evil.example"}, scheme=scheme)
    ((_, cookie),) = sent(CookieState(), request, A)
    attributes = parse(cookie).attributes
    assert ("secure" in attributes) == (scheme == "https")
    assert "domain" not in attributes


def test_sec_54_secure_is_never_dropped() -> None:
    """`secure=True` holds over plain http too, without a word in the log."""
    ((_, cookie),) = sent(
        CookieState(options={"secure": True}), PlainRequest(client="203.0.113.9"), A
    )
    assert "secure" in parse(cookie).attributes


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of the `coatcheck` logger, and forget them."""
    messages = [
        record.getMessage()
        for record in caplog.records
        if record.name == "coatcheck" and record.levelno == logging.WARNING
    ]
    caplog.clear()
    return messages


@pytest.mark.parametrize("client", ["203.0.113.9", "10.0.0.7", "2001:db8::1", "::ffff:10.0.0.7"])
def test_sec_54_the_first_insecure_cookie_to_another_machine_warns(
    client: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each State, naming what to set behind a proxy, and without the client's address."""
    state = CookieState()
    for _ in range(3):
        sent(state, PlainRequest(client=client), A)
    (message,) = warnings_in(caplog)
    for remedy in ("ProxyFix", "--proxy-headers", "--forwarded-allow-ips", "forwarded_allow_ips"):
        assert remedy in message
    assert client not in message
    assert A not in message


@pytest.mark.parametrize(
    "client",
    ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None, "", "unix:", "testclient"],
)
def test_a_local_client_may_have_an_insecure_cookie(
    client: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """On a developer's machine there is nothing to warn of."""
    for secure in ("auto", False):
        sent(CookieState(options={"secure": secure}), PlainRequest(client=client), A)
    assert warnings_in(caplog) == []


def test_a_local_client_does_not_use_up_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The first request of a health check on the machine leaves the warning for a real client."""
    state = CookieState()
    sent(state, PlainRequest(client="127.0.0.1"), A)
    sent(state, PlainRequest(client="203.0.113.9"), A)
    assert len(warnings_in(caplog)) == 1


def test_clients_that_were_looked_at_are_kept_in_bounds(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of local addresses neither fill the memory nor hide the first real client."""
    state = CookieState()
    for number in range(2_000):
        sent(state, PlainRequest(client=f"127.0.{number // 250}.{number % 250}"), A)
    assert len(cast("Any", state)._examined) <= 256
    sent(state, PlainRequest(client="203.0.113.9"), A)
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-Proto": "https"}, {"Forwarded": 'for=1.2.3.4;Proto=https;by="x"'}]
)
def test_a_proxy_on_this_machine_that_says_https_warns(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The client of a proxied server is local, but then the proxy says how the browser came."""
    state = CookieState()
    for _ in range(2):
        ((_, cookie),) = sent(state, PlainRequest(headers, client="127.0.0.1"), A)
        assert "secure" not in parse(cookie).attributes
    assert len(warnings_in(caplog)) == 1


def test_secure_turned_off_warns_too(caplog: pytest.LogCaptureFixture) -> None:
    """Even over https: the cookie is then sent over http as well."""
    state = CookieState(options={"secure": False})
    for _ in range(2):
        sent(state, PlainRequest(scheme="https", client="203.0.113.9"), A)
    (message,) = warnings_in(caplog)
    assert "'auto'" in message


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_a_secure_cookie_warns_of_nothing(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither does deleting one."""
    state = CookieState()
    sent(state, PlainRequest(scheme=scheme, client="203.0.113.9"), A)
    cleared(state, PlainRequest(client="203.0.113.9"))
    assert warnings_in(caplog) == []


# Headers


@pytest.mark.parametrize("missing", [None, ""])
def test_s_104_header_name_is_required(missing: str | None) -> None:
    """The text is the seed's."""
    with pytest.raises(ConfigurationError, match="header_name is required"):
        HeaderState(missing)
    with pytest.raises(ConfigurationError, match="header_name is required"):
        HeaderState()


@pytest.mark.parametrize("name", ["X_Session_ID", "X Session", "X:", "X\n", "X-Sitzungä", "X;"])
def test_sec_69_a_header_name_is_letters_digits_and_dashes(name: str) -> None:
    """An underscore would be the same WSGI variable as a dash (CVE-2015-0219)."""
    with pytest.raises(ConfigurationError, match="underscores"):
        HeaderState(name)


def test_sec_69_a_header_with_underscores_is_another_header() -> None:
    """ASGI tells them apart; in WSGI, joined by the server, the two are no ID."""
    state = HeaderState("X-Session-ID")
    assert offered(state, ASGIRequest({"headers": [(b"x_session_id", A.encode())]})) == []
    assert offered(state, WSGIRequest({"HTTP_X_SESSION_ID": f"{A},{B}"})) == []


def test_s_105_the_name_is_compared_without_case() -> None:
    """Configured and sent in any case."""
    for name in ("X-Session-ID", "x-session-id", "X-SESSION-ID"):
        state = HeaderState(name)
        assert state.vary == (name,)
        assert offered(state, PlainRequest({"x-sEssion-iD": A})) == [A]
        assert offered(state, WSGIRequest({"HTTP_X_SESSION_ID": A})) == [A]
        assert offered(state, ASGIRequest({"headers": [(b"X-Session-Id", A.encode())]})) == [A]


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        (r"Token (\S+)", f"Token {A}", [A]),
        (re.compile(r"token (\S+)", re.IGNORECASE), f"TOKEN {A}", [A]),
        (r"Token (\S+)", f"Basic {A}", []),
        (r"Token (\S+)", A, []),
        (r"[A-Za-z0-9_-]{68}", f"id={A};", [A]),
        (r"(x)?y", "y", []),
        (r"id=(\w+);v=(\d)", f"id={A};v=1", [A]),
        (r"", A, []),
        (r"(.*)", f"{A} ", []),
    ],
)
def test_s_105_a_pattern_picks_the_id(pattern: Any, value: str, found: list[str]) -> None:
    """Its first group, or the whole match; no match, or no form of an ID, is none."""
    assert offered(HeaderState("X-Auth", pattern), PlainRequest({"X-Auth": value})) == found


@pytest.mark.parametrize("pattern", ["(", "[", rb"(x)", re.compile(rb"(x)"), 7, ["x"]])
def test_a_pattern_that_is_none_is_an_error(pattern: Any) -> None:
    """At construction, not at the first request."""
    with pytest.raises(ConfigurationError, match="pattern"):
        HeaderState("X-Auth", pattern)


def test_sec_68_a_header_sent_twice_is_none() -> None:
    """Which of two would count is up to servers and proxies, so none does."""
    for state, name in ((HeaderState("X-Id"), b"x-id"), (BearerState(), b"authorization")):
        value = (b"Bearer " if name == b"authorization" else b"") + A.encode()
        assert offered(state, ASGIRequest({"headers": [(name, value)]})) == [A]
        assert offered(state, ASGIRequest({"headers": [(name, value)] * 2})) == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_s_107_the_scheme_is_compared_without_case(scheme: str) -> None:
    """RFC 9110, 11.1."""
    assert offered(BearerState(), PlainRequest({"Authorization": f"{scheme} {A}"})) == [A]


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer  {A}",
        f"Bearer\t{A}",
        f"Bearer {A} ",
        f" Bearer {A}",
        f"Bearer {A} {B}",
        f"Bearer {A},{B}",
        f"Bearer {A}, Bearer {B}",
        f"Bearer {A}=",
        f'Bearer "{A}"',
        f"Bearer{A}",
        f"Basic {A}",
        f"Digest {A}",
        f"Bearer: {A}",
        "Bearer",
        "Bearer ",
        A,
        "",
    ],
)
def test_sec_68_anything_else_is_no_bearer_token(value: str) -> None:
    """Exactly the scheme, one space and one ID."""
    for request in (
        PlainRequest({"Authorization": value}),
        WSGIRequest({"HTTP_AUTHORIZATION": value}),
        ASGIRequest({"headers": [(b"authorization", value.encode())]}),
    ):
        assert offered(BearerState(), request) == []


# Callbacks


def nothing(request: Request) -> None:
    """Extract nothing."""


async def later(request: Request) -> None:
    """Extract nothing, later."""


@pytest.mark.parametrize("wrong", [None, "x-id", 7, later])
def test_s_108_what_is_no_function_is_an_error(wrong: Any) -> None:
    """Nor is a coroutine function: nobody would await it."""
    with pytest.raises(ConfigurationError, match="extract must be a"):
        CallbackState(wrong)
    if wrong is not None:
        with pytest.raises(ConfigurationError, match="inject must be a"):
            CallbackState(nothing, wrong)
        with pytest.raises(ConfigurationError, match="clear must be a"):
            CallbackState(nothing, None, wrong)


def test_s_108_the_callbacks_are_given_what_the_seed_gives() -> None:
    """`extract` the request, `inject` headers, ID and options, `clear` headers and options."""
    calls: list[tuple[Any, ...]] = []

    def inject(*arguments: Any) -> None:
        calls.append(arguments)

    state = CallbackState(nothing, inject, inject)
    request, headers = PlainRequest(), WSGIHeaders([])
    state.inject(request, headers, B, carried=A, max_age=60)
    state.clear(request, headers, carried=A)
    assert calls == [
        (headers, B, {"request": request, "carried": A, "max_age": 60}),
        (headers, {"request": request, "carried": A}),
    ]


@pytest.mark.parametrize(
    ("extracted", "found"),
    [
        (None, []),
        (A, [A]),
        ("junk", []),
        ("", []),
        ([A, "junk", B, A], [A, B]),
        ((), []),
        ((f"{number:068d}" for number in range(100)), [f"{number:068d}" for number in range(9)]),
    ],
)
def test_what_a_callback_extracts_is_filtered(extracted: Any, found: list[str]) -> None:
    """Only distinct strings in the form of an ID, at most nine, get through."""
    assert offered(CallbackState(lambda request: extracted), PlainRequest()) == found


@pytest.mark.parametrize("wrong", [A.encode(), [A.encode()], [7], [A, None], 7])
def test_a_callback_that_returns_no_text_is_a_mistake(wrong: Any) -> None:
    """It is told as a `TypeError` of the program, and not taken for "no session"."""
    with pytest.raises(TypeError):
        CallbackState(lambda request: wrong).extract(PlainRequest())


def test_an_exception_of_a_callback_passes_through() -> None:
    """A mistake in the program is not swallowed."""

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    state = CallbackState(cast("Any", broken), broken, broken)
    with pytest.raises(ZeroDivisionError):
        state.extract(PlainRequest())
    with pytest.raises(ZeroDivisionError):
        sent(state, PlainRequest(), A)
    with pytest.raises(ZeroDivisionError):
        cleared(state, PlainRequest())


def test_a_callback_state_sends_if_it_can() -> None:
    """By default if there is `inject`; it may be turned off, but not claimed without."""
    inject = cast("Any", nothing)
    assert not CallbackState(nothing).sends
    assert CallbackState(nothing, inject).sends
    assert not CallbackState(nothing, inject, sends=False).sends
    with pytest.raises(ConfigurationError, match="inject"):
        CallbackState(nothing, sends=True)


def test_vary_of_a_callback_is_a_list() -> None:
    """A bare string would be a list of letters."""
    assert CallbackState(nothing, vary=["X-Id"]).vary == ("X-Id",)
    assert CallbackState(nothing).vary == ()
    with pytest.raises(ConfigurationError, match=r"vary=\['X-Id'\]"):
        CallbackState(nothing, vary="X-Id")


def test_s_109_bearer_else_cookie_by_callback() -> None:
    """The document's own example of a fallback, with one middleware."""
    bearer, cookie = BearerState(), CookieState("session", expire=3600)

    def inject(headers: ResponseHeaders, session_id: str, options: Mapping[str, Any]) -> None:
        cookie.inject(options["request"], headers, session_id, carried=None, max_age=None)

    state = CallbackState(
        lambda request: bearer.extract(request) or cookie.extract(request), inject
    )
    assert offered(state, browser(f"session={B}", Authorization=f"Bearer {A}")) == [A]
    assert offered(state, browser(f"session={B}")) == [B]
    assert "Max-Age=3600" in sent(state, browser(""), A)[0][1]


# Several ways


def both() -> FirstOf:
    """Browsers by cookie, programs by bearer."""
    return FirstOf(CookieState(), BearerState())


def test_first_of_offers_the_candidates_of_all() -> None:
    """In the order of the States, each once, so that cookie and header have to agree (SEC-68)."""
    request = browser(f"session={B}", Authorization=f"Bearer {A}")
    assert offered(both(), request) == [B, A]
    assert offered(FirstOf(BearerState(), CookieState()), request) == [A, B]
    assert offered(both(), browser(f"session={A}", Authorization=f"Bearer {A}")) == [A]
    assert offered(both(), PlainRequest()) == []


def test_first_of_never_sends_a_cookie_to_a_bearer_client() -> None:
    """The answer goes the way that the candidate came."""
    request = PlainRequest({"Authorization": f"Bearer {A}"}, scheme="https")
    assert sent(both(), request, B, carried=A) == []
    assert cleared(both(), request, carried=A) == []
    request = browser(f"session={B}", Authorization=f"Bearer {A}")
    assert sent(both(), request, B, carried=A) == []
    assert len(sent(both(), request, A, carried=B)) == 1
    assert len(cleared(both(), request, carried=B)) == 1


@pytest.mark.parametrize("states", [(BearerState, CookieState), (CookieState, BearerState)])
def test_first_of_leaves_no_dead_cookie_beside_a_token(states: tuple[type[State], ...]) -> None:
    """Where cookie and token are one ID, the cookie gets the new one, whichever is asked first."""
    state = FirstOf(*(make() for make in states))
    request = browser(f"session={A}", Authorization=f"Bearer {A}")
    ((_, cookie),) = sent(state, request, B, carried=A)
    assert cookie.startswith(f"session={B};")
    ((_, cookie),) = cleared(state, request, carried=A)
    assert cookie.startswith("session=;")


def test_first_of_clears_by_a_state_that_only_clears() -> None:
    """A State that cannot send may still have the client drop its ID."""

    def clear(headers: Any, _: Any) -> None:
        headers.add("X-Session", "gone")

    only_clears = CallbackState(lambda request: request.header("x-session"), None, clear)
    state = FirstOf(BearerState(), only_clears, CookieState())
    request = PlainRequest({"X-Session": A}, scheme="https")
    assert cleared(state, request, carried=A) == [("X-Session", "gone")]


def test_first_of_answers_a_newcomer_by_the_first_that_sends() -> None:
    """Without a candidate, or with one that nobody knows, through the first State that sends."""
    state = FirstOf(BearerState(), CookieState("one"), CookieState("two"))
    for carried in (None, B):
        ((_, cookie),) = sent(state, browser(""), A, carried=carried)
        assert cookie.startswith(f"one={A};")
        ((_, cookie),) = cleared(state, browser(""), carried=carried)
        assert cookie.startswith("one=;")
    ((_, cookie),) = sent(state, browser(f"two={A}"), B, carried=A)
    assert cookie.startswith(f"two={B};")


def test_first_of_varies_by_all_headers_and_sends_if_any_does() -> None:
    """Each header is named once, whatever its case."""
    state = FirstOf(BearerState(), HeaderState("authorization", "x"), CookieState())
    assert state.vary == ("Authorization", "Cookie")
    assert state.sends
    assert not FirstOf(BearerState(), HeaderState("X-Id")).sends
    nested = FirstOf(FirstOf(BearerState()), both())
    assert nested.vary == ("Authorization", "Cookie")
    assert offered(nested, browser(f"session={A}")) == [A]


@pytest.mark.parametrize("states", [(), (CookieState,), (None,), ("cookie",), (BearerState(), 7)])
def test_first_of_takes_states_only(states: tuple[Any, ...]) -> None:
    """Nothing, a class and anything else are refused, with the remedy."""
    with pytest.raises(ConfigurationError, match="State"):
        FirstOf(*states)


def test_sec_84_no_state_shows_an_id() -> None:
    """`repr` says what a State is, and nothing that went through it."""
    for state in (both(), HeaderState("X-Id"), CallbackState(nothing), CookieState("id")):
        sent(state, browser(f"id={A}; session={A}"), B, carried=A)
        assert A not in repr(state)
        assert B not in repr(state)
        assert repr(state).startswith(type(state).__name__)
