"""S-62 to S-68: what the middleware is told, and what it does where it is told nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coatcheck import ConfigurationError, CookieState
from tests.adapters import site as sites
from tests.adapters.doors import DOORS
from tests.adapters.site import LIFETIME, SECRET, Request, Site, put, read
from tests.seeds.middleware import ALL, configured, everywhere


@pytest.mark.parametrize("door", ALL)
def test_s_62_a_secret_is_required(door: str) -> None:
    """Without one the construction fails, and the message says how to make one."""
    with pytest.raises(ConfigurationError, match=r"(?i)secret.* must be given.*token_urlsafe"):
        configured(door)
    with pytest.raises(ConfigurationError, match="must be given"):
        configured(door, secret="")
    configured(door, secret=SECRET)


@everywhere()
def test_s_63_expire_is_3600_by_default(site: Site) -> None:
    """A session unused for an hour is over, and one second earlier it is not."""
    early, late = site.browser(), site.browser()
    early.get(put(a=1))
    late.get(put(a=1))
    site.clock.advance(3599)
    assert early.get(read("a")).body == "1"
    site.clock.advance(1)
    assert late.get(read("a")).body == ""


@pytest.mark.parametrize("door", ALL)
def test_s_64_the_defaults_are_a_cookie_named_session_and_memory(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is this process's alone, which is warned of where several workers are likely."""

    def no_store(*_: object) -> None: ...

    monkeypatch.setattr(sites, "make_store", no_store)
    monkeypatch.setattr(sys, "argv", ["server"])
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)
    with DOORS[door]("none", tmp_path) as site:
        browser, elsewhere = site.browser(), site.twin().browser()
        reply = browser.get(put(a=1))
        assert reply.cookie is not None
        assert reply.cookie.startswith("session=")
        elsewhere.id = browser.id or ""
        assert browser.get(read("a")).body == "1"
        assert elsewhere.get(read("a")).body == ""
        monkeypatch.setenv("WEB_CONCURRENCY", "2")
        with pytest.warns(UserWarning, match=r"several worker.*sqlite:///"):
            site.twin()


@everywhere()
def test_s_65_the_default_cookie_is_safe(site: Site) -> None:
    """HttpOnly, Path=/, SameSite=Lax; Secure over https, where demanded, and by a __Host- name."""

    def cookie_of(at: Site, *, https: bool) -> str:
        return at.run(at.ask(Request(put(a=1), https=https))).cookie or ""

    age = f"; Max-Age={LIFETIME}" if site.persistent else ""
    plain = f"; Path=/; HttpOnly; SameSite=Lax{age}"
    assert cookie_of(site, https=False).endswith(plain)
    assert cookie_of(site, https=True).endswith(f"{plain}; Secure")
    demanded = site.twin(cookie_options={"secure": True})
    assert cookie_of(demanded, https=False).endswith(f"{plain}; Secure")
    host = cookie_of(site.twin(cookie_name="__Host-id"), https=False)
    assert host.startswith("__Host-id=")
    assert host.endswith(f"{plain}; Secure")


@everywhere(cookie_options={"path": "/shop", "httponly": False})
def test_s_66_cookie_options_merge_into_the_defaults(site: Site) -> None:
    """What is not named stays as it was, and a false value turns an attribute off."""
    age = f"; Max-Age={LIFETIME}" if site.persistent else ""
    browser = site.browser(path="/shop")
    reply = browser.get(put(a=1))
    assert reply.cookie == f"session={browser.id}; Path=/shop; SameSite=Lax{age}"


@everywhere(expire=600, lifetime=7200)
def test_s_67_max_age_is_what_is_left_of_the_lifetime(site: Site) -> None:
    """Idle time is the server's business; `CookieState(expire=...)` sets Max-Age by hand."""
    browser = site.browser()
    assert browser.get(put(a=1)).cookie == site.set_cookie(browser.id, age=7200)
    site.clock.advance(500)
    reply = browser.get(lambda session: session.regenerate())
    assert reply.cookie == site.set_cookie(browser.id, age=6700)
    site.clock.advance(600)
    assert browser.id is not None
    assert browser.get(read("a")).body == ""
    by_hand = site.twin(state=CookieState(expire=60)).browser()
    reply = by_hand.get(put(a=1))
    assert reply.cookie == f"session={by_hand.id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"


@pytest.mark.parametrize("door", ALL)
def test_s_68_a_cookie_option_beside_a_state_is_refused(door: str) -> None:
    """It would have no effect: the error says to leave it out, or to give it to the State."""
    for name, value in (("cookie_name", "id"), ("cookie_options", {"samesite": "Strict"})):
        remedy = rf"{name} has no effect beside state: leave it out.*state=CookieState\("
        with pytest.raises(ConfigurationError, match=remedy):
            configured(door, secret=SECRET, state=CookieState("mine"), **{name: value})
