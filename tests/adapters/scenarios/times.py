"""How long sessions last: idle, absolute, and of their own."""

from __future__ import annotations

from tests.adapters.scenarios.identity import who
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    Site,
    look,
    put,
    read,
    sign_in,
)

HOUR, DAY = 3600, 86_400


@scenario()
def sec_34_idle_sessions_expire_at_the_deadline(site: Site) -> None:
    """At that very moment, and whatever the cookie says."""
    browser = site.browser()
    browser.get(put(a=1))
    site.clock.advance(HOUR - 0.001)
    assert browser.get(read("a")).body == "1"
    site.clock.advance(HOUR)
    reply = browser.get(look)
    assert (reply.body, reply.cookie) == ("{}", None)
    old = browser.id
    assert browser.get(put(b=1)).sent not in (None, old)


@scenario(lifetime=DAY)
def sec_34_sessions_in_use_expire_at_the_end_of_their_lifetime(site: Site) -> None:
    """Activity moves the idle deadline only; a login begins anew."""
    browser = site.browser()
    browser.get(put(a=1))
    for _ in range(47):
        site.clock.advance(HOUR / 2)
        assert browser.get(read("a")).body == "1"
    browser.get(sign_in("ann"))
    site.clock.advance(HOUR / 2)
    assert browser.get(who).body == "ann {'a': 1}"
    for _ in range(46):
        site.clock.advance(HOUR / 2)
        browser.get(read("a"))
    assert browser.get(who).body == "ann {'a': 1}"
    site.clock.advance(HOUR / 2)
    assert browser.get(who).body == "None {}"


@scenario(expire="indefinite", lifetime=None)
def indefinite_sessions_never_expire(site: Site) -> None:
    """Not in a hundred years; their cookie lasts as long as browsers allow."""
    browser = site.browser()
    reply = browser.get(put(a=1))
    assert reply.cookie == site.set_cookie(browser.id, age=400 * DAY)
    held = browser.id or ""
    site.clock.advance(100 * 365 * DAY)
    browser.id = held
    assert browser.get(read("a")).body == "1"


@scenario()
def a_remembered_login_lasts_and_its_cookie_persists(site: Site) -> None:
    """`remember` is idle timeout and lifetime of that session."""
    browser = site.browser()
    reply = browser.get(sign_in("ann", remember=90 * DAY))
    age = f"; Max-Age={90 * DAY}"
    assert reply.cookie == f"session={browser.id}; Path=/; HttpOnly; SameSite=Lax{age}"
    site.clock.advance(89 * DAY)
    assert browser.get(who).body == "ann {}"
    site.clock.advance(DAY)
    assert browser.get(who).body == "None {}"


@scenario()
def a_session_can_have_times_of_its_own(site: Site) -> None:
    """A changed lifetime is told to the client; a changed idle timeout is the server's business."""
    browser = site.browser()
    browser.get(put(a=1))
    assert browser.get(lambda session: session.set_expiry(idle=10)).cookie is None
    site.clock.advance(9)
    reply = browser.get(lambda session: session.set_expiry(idle=2 * HOUR, lifetime=3 * HOUR))
    assert reply.cookie == site.set_cookie(browser.id, age=3 * HOUR - 9)
    site.clock.advance(2 * HOUR - 1)
    assert browser.get(read("a")).body == "1"
    site.clock.advance(HOUR)
    assert browser.get(read("a")).body == ""
