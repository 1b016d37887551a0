"""Which origins may open a WebSocket with a session, whatever a client makes up."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import ConfigurationError, SessionConfig
from coatcheck.origins import OriginTest, origins
from coatcheck.request import ASGIRequest, PlainRequest
from tests.core.harness import SECRET

DEFAULT = ("same", "missing")


def allowed(
    *wanted: str, origin: str | None, host: str = "example.org", scheme: str = "ws"
) -> bool:
    """Say whether a handshake is let in where `wanted` is configured."""
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    test = OriginTest(origins("websocket_origins", list(wanted or DEFAULT)))
    return test(PlainRequest(headers, scheme=scheme))


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://example.org", "example.org", "ws"),
        ("http://example.org", "example.org:80", "ws"),
        ("http://example.org:80", "example.org", "http"),
        ("HTTP://Example.ORG", "example.org", "ws"),
        ("http://example.org", "EXAMPLE.org", "ws"),
        ("https://example.org", "example.org", "wss"),
        ("https://example.org", "example.org:443", "https"),
        ("https://example.org", "example.org", "ws"),
        ("http://localhost:8000", "localhost:8000", "ws"),
        ("http://[::1]:8000", "[::1]:8000", "ws"),
    ],
)
def test_sec_71_the_same_origin_is_let_in(origin: str, host: str, scheme: str) -> None:
    """Scheme, host and port; also behind a proxy that ends TLS without saying so."""
    assert allowed(origin=origin, host=host, scheme=scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://evil.example", "example.org", "ws"),
        ("http://example.org.evil.example", "example.org", "ws"),
        ("http://evil-example.org", "example.org", "ws"),
        ("http://sub.example.org", "example.org", "ws"),
        ("http://example.org", "sub.example.org", "ws"),
        ("http://example.org:8000", "example.org", "ws"),
        ("http://example.org", "example.org:8000", "ws"),
        ("http://example.org:443", "example.org", "ws"),
        ("https://example.org", "example.org:80", "ws"),
        ("http://example.org", "example.org", "wss"),
        ("http://example.org", "example.org", "https"),
        ("http://user@example.org", "example.org", "ws"),
        ("http://example.org/", "example.org", "ws"),
        ("http://example.org/path", "example.org", "ws"),
        ("http://example.org\x00", "example.org", "ws"),
        (" http://example.org", "example.org", "ws"),
        ("http://example.org\n", "example.org", "ws"),
        ("ws://example.org", "example.org", "ws"),
        ("file://example.org", "example.org", "ws"),
        ("example.org", "example.org", "ws"),
        ("//example.org", "example.org", "ws"),
        ("same", "example.org", "ws"),
        ("missing", "example.org", "ws"),
        ("any", "example.org", "ws"),
        ("null", "example.org", "ws"),
        ("null", "null", "ws"),
        ("", "", "ws"),
        ("http://", "", "ws"),
        ("http://a", "", "ws"),
        ("http://\xe9xample.org", "\xe9xample.org", "ws"),
    ],
)
def test_sec_71_another_origin_is_not(origin: str, host: str, scheme: str) -> None:
    """Nor what only looks like the same, nor a page of plain http that reaches for https."""
    assert not allowed(origin=origin, host=host, scheme=scheme)


def test_sec_71_no_origin_is_no_browser() -> None:
    """It is let in by default, and refused where origins are listed without `missing`."""
    assert allowed(origin=None)
    assert not allowed("same", origin=None)
    assert not allowed("https://app.example.org", origin=None)
    assert allowed("https://app.example.org", "missing", origin=None)


def test_sec_71_two_origins_or_hosts_are_refused() -> None:
    """No browser sends two, and who reads the other one is fooled."""
    origin, host = (b"origin", b"http://example.org"), (b"host", b"example.org")
    test = OriginTest(DEFAULT)
    for headers, let_in in (
        ([host, origin], True),
        ([host, origin, origin], False),
        ([host, origin, (b"Origin", b"http://evil.example")], False),
        ([host, host, origin], False),
        ([origin], False),
        ([host], True),
    ):
        assert (
            test(ASGIRequest({"type": "websocket", "scheme": "ws", "headers": headers})) is let_in
        )


def test_sec_71_what_is_listed_is_let_in_and_nothing_else() -> None:
    """In the spelling of browsers, whatever the spelling of the list."""
    listed = ("https://App.Example.org:443", "http://localhost:3000", "app-extension://abc")
    for origin in ("https://app.example.org", "http://localhost:3000", "app-extension://abc"):
        assert allowed(*listed, origin=origin)
    for origin in (
        "http://app.example.org",
        "https://app.example.org:444",
        "http://localhost:3001",
        "http://example.org",
        "null",
        "same",
    ):
        assert not allowed(*listed, origin=origin)
    assert allowed("null", origin="null")
    assert allowed("same", "https://app.example.org", origin="http://example.org")
    assert not OriginTest(("any",)).is_needed
    assert OriginTest(()).is_needed


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.org",
        "same",
        None,
        True,
        [None],
        [""],
        ["*"],
        ["https://*.example.org"],
        ["https://app.example.org/"],
        ["https://app.example.org/path"],
        ["https://user@example.org"],
        ["https://app.example.org\n"],
        ["app.example.org"],
        ["//app.example.org"],
        ["Same"],
        ["https://b\xfccher.example"],
        [b"https://app.example.org"],
    ],
)
def test_a_list_that_would_never_fit_is_refused(value: Any) -> None:
    """The error names the option and says what to write."""
    with pytest.raises(ConfigurationError, match=r"websocket_origins.*https://app\.example\.org"):
        SessionConfig(secret=SECRET, websocket_origins=value)


def test_the_list_is_an_option_like_others() -> None:
    """By keyword, from a mapping and from the environment."""
    listed = ["https://app.example.org", "same"]
    assert SessionConfig(secret=SECRET).websocket_origins == DEFAULT
    for config in (
        SessionConfig(secret=SECRET, websocket_origins=listed),
        SessionConfig.from_mapping({"SESSION_WEBSOCKET_ORIGINS": listed}, secret=SECRET),
        SessionConfig.from_env(
            {"COATCHECK_WEBSOCKET_ORIGINS": "https://app.example.org, same"}, secret=SECRET
        ),
        SessionConfig(secret=SECRET).replace(websocket_origins=listed),
    ):
        assert config.websocket_origins == tuple(listed)
    with pytest.raises(ConfigurationError, match="COATCHECK_WEBSOCKET_ORIGINS"):
        SessionConfig.from_env({"COATCHECK_WEBSOCKET_ORIGINS": "*"}, secret=SECRET)
