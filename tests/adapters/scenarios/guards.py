"""What is asked before something is done in a session's name."""

from __future__ import annotations

from typing import Any

from coatcheck import SignInRequired
from tests.adapters.scenarios.identity import who
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, put, sign_in


def pay(session: Any) -> Answer:
    """A view that wants a fresh sign-in."""
    try:
        session.require_recent_auth(300)
    except SignInRequired:
        return Answer("password, please", 403)
    return Answer(f"paid by {session.user_id}")


@scenario()
def sec_37_a_stale_sign_in_is_not_enough(site: Site) -> None:
    """The same answer for who is not signed in; signing in again goes on under a new ID."""
    browser = site.browser()
    assert browser.get(pay).status == 403
    browser.get(sign_in("ann"))
    browser.get(put(a=1))
    site.clock.advance(299)
    assert browser.get(pay).body == "paid by ann"
    site.clock.advance(1)
    reply = browser.get(pay)
    assert (reply.status, reply.vary) == (403, ["Cookie"])
    old = browser.id
    assert browser.get(sign_in("ann")).sent == browser.id != old
    assert browser.get(pay).body == "paid by ann"
    assert browser.get(who).body == "ann {'a': 1}"
