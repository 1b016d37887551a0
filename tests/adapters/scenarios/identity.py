"""Who is who: sign-in, renewal and the end of sessions, planted and stolen IDs."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from coatcheck import SessionEnded, TooManySessions
from coatcheck.events import (
    AmbiguousID,
    IDRejected,
    SessionDestroyed,
    SessionReplaced,
    SessionRevoked,
    UnknownID,
)
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    DELETION,
    LIFETIME,
    Answer,
    Site,
    look,
    put,
    read,
    saved,
    sign_in,
)

HOUR, DAY = 3600, 86_400


def who(session: Any) -> str:
    """A view that shows who is signed in, and what is stored."""
    return f"{session.user_id} {dict(session)}"


@scenario()
def login_begins_a_new_session_with_the_data_of_the_old(site: Site) -> None:
    """Under a new ID, and the response is for nobody else; the old ID is worth nothing."""
    browser, thief = site.browser(), site.browser()
    browser.get(put(cart=[1]))
    old = browser.id
    thief.id = old or ""

    def view(session: Any) -> str:
        session.login("ann")
        session["seen"] = True
        return str(session.id)

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(reply.body)
    assert reply.body not in (None, old)
    assert reply.cache_control == ["private, no-cache"]
    assert browser.get(who).body == "ann {'cart': [1], 'seen': True}"
    assert thief.get(who).body == "None {}"
    assert [event.reason for event in site.told(SessionReplaced)] == ["login"]


@scenario(index=True)
def what_login_costs(site: Site) -> None:
    """A visitor's: three calls. With an old session: the read, and the tombstone in its place."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    assert site.tap.take() == ["admit", "create", "confirm"]
    browser = site.browser()
    browser.get(put(a=1))
    site.tap.take()
    browser.get(sign_in("ann"))
    assert site.tap.take() == ["get", "admit", "create", "update", "confirm"]


@scenario()
def a_planted_id_is_worth_nothing_after_sign_in(site: Site) -> None:
    """Whoever planted it neither reads nor writes nor ends the victim's session (fixation)."""
    attacker, victim = site.browser(), site.browser()
    attacker.get(put(planted=True))
    victim.id = planted = attacker.id or ""
    victim.get(sign_in("ann", keep=()))
    assert victim.get(who).body == "ann {}"
    assert victim.id != planted
    assert attacker.get(who).body == "None {}"
    attacker.id = planted
    reply = attacker.get(lambda session: session.logout())
    assert reply.deleted or reply.cookie is None
    assert victim.get(who).body == "ann {}"


@scenario()
def login_keeps_what_it_is_told_to_keep(site: Site) -> None:
    """And of another user's data never anything."""
    browser = site.browser()
    browser.get(put(cart=[1], secret=2))
    browser.get(sign_in("ann", keep=["cart"]))
    assert browser.get(who).body == "ann {'cart': [1]}"
    browser.get(sign_in("ann"))
    assert browser.get(who).body == "ann {'cart': [1]}"
    browser.get(sign_in("bob", keep=["cart"]))
    assert browser.get(who).body == "bob {}"


@scenario()
def regenerate_keeps_everything_but_the_id(site: Site) -> None:
    """Data, this request's changes, user and times; twice is once."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    old, born = browser.id, site.clock()
    site.clock.advance(100)

    def view(session: Any) -> None:
        session["a"] = 1
        session.regenerate()
        session["b"] = 2
        session.regenerate()

    reply = browser.get(view)
    assert reply.cookie == site.set_cookie(browser.id, age=LIFETIME - 100)
    assert browser.get(who).body == "ann {'a': 1, 'b': 2}"
    assert browser.get(lambda session: session.created_at).body == str(born)
    thief = site.browser()
    thief.id = old or ""
    assert thief.get(who).body == "None {}"


@scenario()
def requests_in_flight_under_the_old_id_are_mute(site: Site) -> None:
    """They neither write into the new session nor overwrite its cookie; later ones are visitors."""
    browser, slow = site.browser(), site.browser()
    browser.get(put(a=1))
    slow.id = old = browser.id or ""

    async def view(session: Any) -> str:
        before = dict(session)
        await browser.meanwhile(sign_in("ann"))
        session["b"] = 2
        return repr(before)

    reply = slow.get(view)
    assert (reply.body, reply.cookie) == ("{'a': 1}", None)
    assert site.dropped() == [("replaced", ("b",))]
    reply = slow.get(put(c=3))
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("replaced", ("b",)), ("replaced", ("c",))]
    assert browser.get(who).body == "ann {'a': 1}"
    site.clock.advance(5)
    reply = slow.get(put(d=4))
    assert reply.sent not in (None, old, browser.id)
    assert browser.get(who).body == "ann {'a': 1}"


@scenario()
def a_double_clicked_sign_in_is_one_session(site: Site) -> None:
    """The slower click joins the session of the faster, and is sent its ID."""
    browser, twice = site.browser(), site.browser()
    browser.get(put(a=1))
    twice.id = browser.id or ""

    async def view(session: Any) -> None:
        session.login("ann")
        session["second"] = True
        await browser.meanwhile(sign_in("ann"))

    twice.get(view)
    assert twice.id == browser.id
    assert browser.get(who).body == "ann {'a': 1, 'second': True}"


@scenario()
def destroy_ends_the_session_and_deletes_the_cookie(site: Site) -> None:
    """The object takes no more changes, and the old ID is worth nothing, however often it comes."""
    browser, thief = site.browser(), site.browser()
    browser.get(put(a=1))
    thief.id = old = browser.id or ""

    def view(session: Any) -> str:
        session.destroy()
        with pytest.raises(SessionEnded, match="destroyed"):
            session["b"] = 2
        with pytest.raises(SessionEnded):
            session.login("ann")
        return repr(dict(session))

    reply = browser.get(view)
    assert (reply.body, reply.cookie, reply.vary) == ("{}", DELETION, ["Cookie"])
    assert reply.cache_control == ["private, no-cache"]
    assert browser.cookies == ""
    assert [event.reason for event in site.told(SessionDestroyed)] == ["destroy"]
    for _ in range(3):
        assert thief.get(look).body == "{}"
    reply = thief.get(put(x=1))
    assert reply.sent not in (None, old)


@scenario()
def logout_goes_on_with_a_new_empty_session(site: Site) -> None:
    """What is stored in that gets an ID of its own; one cookie says both."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    old = browser.id

    def view(session: Any) -> None:
        session.logout()
        assert (session.user_id, dict(session)) == (None, {})
        session["flash"] = "bye"

    reply = browser.get(view)
    assert reply.sent == browser.id != old
    assert browser.get(who).body == "None {'flash': 'bye'}"
    assert browser.get(lambda session: session.logout()).cookie == DELETION


@scenario()
def logout_of_who_was_not_signed_in_says_nothing(site: Site) -> None:
    """A visitor without a cookie has none to delete, and who has a dead one loses it."""
    visitor, dead = site.browser(), site.browser()
    dead.get(put(a=1))
    gone = dead.id or ""
    dead.get(lambda session: session.destroy())
    dead.id = gone
    site.tap.take()
    assert visitor.get(lambda session: session.logout()).cookie is None
    assert site.tap.take() == []
    assert dead.get(lambda session: session.logout()).cookie == DELETION
    assert site.tap.take() == ["get"]


@scenario()
def everything_in_one_request_sends_one_cookie(site: Site) -> None:
    """login, save, regenerate, destroy: the last word counts."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session.login("ann")
        await saved(session)
        session.regenerate()
        session["b"] = 1
        session.destroy()

    assert browser.get(view).cookie == DELETION
    assert site.live() == 0 if "keyvalue" not in site.kind else True


@scenario()
def what_ends_a_session_ends_it_whatever_happens(site: Site) -> None:
    """An error response and an exception keep no data, but a session that was ended is ended."""

    def crash(session: Any) -> None:
        session["b"] = 1
        session.destroy()
        raise ZeroDivisionError

    def fail(session: Any) -> Answer:
        session.logout()
        session["b"] = 1
        return Answer(status=500)

    for view in (crash, fail):
        browser, thief = site.browser(), site.browser()
        browser.get(put(a=1))
        thief.id = browser.id or ""
        reply = browser.get(view)
        assert (reply.status, reply.sent) == (500, None)
        assert thief.get(look).body == "{}"
    assert len(site.told(SessionDestroyed)) == 2


@scenario()
def destroy_is_final(site: Site) -> None:
    """No save of a request in flight brings the session back, and no cookie points to it."""
    browser = site.browser()
    browser.get(put(a=1))

    async def view(session: Any) -> None:
        session["a"] = 2
        await browser.meanwhile(lambda session: session.destroy())

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("gone", ("a",))]
    assert browser.get(look).body == "{}"
    assert site.tap.calls.count("create") == 1


@scenario()
def a_touch_does_not_bring_a_session_back(site: Site) -> None:
    """A reader whose touch comes too late is anonymous the next time."""
    browser, other = site.browser(), site.browser()
    browser.get(put(a=1))
    other.id = browser.id or ""
    site.clock.advance(100)

    async def view(session: Any) -> str:
        value = session["a"]
        await other.meanwhile(lambda session: session.destroy())
        return str(value)

    reply = browser.get(view)
    assert (reply.body, reply.cookie) == ("1", None)
    assert browser.get(look).body == "{}"


@scenario()
def signing_out_works_whatever_is_in_flight(site: Site) -> None:
    """A logout that finds its session replaced ends the replacement too."""
    browser, other = site.browser(), site.browser()
    browser.get(sign_in("ann"))
    other.id = browser.id or ""

    async def view(session: Any) -> None:
        assert session.user_id == "ann"
        await other.meanwhile(lambda session: session.regenerate())
        session.logout()

    assert browser.get(view).cookie == DELETION
    assert other.get(who).body == "None {}"


@scenario()
def idle_sessions_expire_at_the_deadline(site: Site) -> None:
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
def sessions_in_use_expire_at_the_end_of_their_lifetime(site: Site) -> None:
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


@scenario()
def forged_ids_never_reach_the_store(site: Site) -> None:
    """No call, no exception, no cookie, and an anonymous session."""
    browser = site.browser()
    browser.get(put(a=1))
    good = browser.id or ""
    site.tap.take()
    forged = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good[:40] + "AAAA" + good[44:],
        good.swapcase(),
        good[:-1],
        good + "A",
        "",
        "A" * 68,
        "../../etc/passwd",
        '"' + good + '"',
        good.replace(good[5], "%", 1),
        "x" * 5000,
    ]
    for value in forged:
        reply = site.browser().get(look, headers=[("Cookie", f"session={value}")])
        assert (reply.status, reply.body, reply.cookie) == (200, "{}", None), value
        assert site.tap.take() == [], value
    assert {event.reason for event in site.told(IDRejected)} == {"signature"}


@scenario()
def ids_of_another_secret_or_namespace_never_reach_the_store(site: Site) -> None:
    """The same store, another key: a visitor."""
    browser = site.browser()
    browser.get(put(a=1))
    other = site.twin(secret="an0ther-Hq7vX2mZ9pL4wT8yB3nD6fH1jR5sG0a").browser()
    other.id = browser.id or ""
    site.tap.take()
    assert other.get(look).body == "{}"
    assert site.tap.take() == []


@scenario()
def a_session_under_an_old_secret_is_reissued_with_its_next_save(site: Site) -> None:
    """Same session, new signature; a read before its touch is due sends nothing."""
    browser = site.browser()
    browser.get(put(a=1))
    old = browser.id or ""
    now = site.twin(
        secret="n3w-s3cr3t-Hq7vX2mZ9pL4wT8yB3nD6fH1jR5s", old_secrets=[site.options["secret"]]
    )
    mover = now.browser()
    mover.id = old
    assert mover.get(read("a")).cookie is None
    now.clock.advance(61)
    reply = mover.get(read("a"))
    assert reply.cookie == site.set_cookie(mover.id, age=LIFETIME - 61)
    assert mover.id != old
    reader = now.twin(secret=now.options["secret"]).browser()
    reader.id = mover.id or ""
    assert reader.get(read("a")).body == "1"
    mover.id = old
    assert mover.get(put(a=2)).sent == reader.id


@scenario()
def of_several_ids_exactly_one_may_be_live(site: Site) -> None:
    """Wherever the live one stands it wins; two live ones are an attack, and nobody wins."""
    live, dead, other = site.browser(), site.browser(), site.browser()
    live.get(put(a="live"))
    other.get(put(a="other"))
    dead.get(put(a="dead"))
    ids = [live.id, dead.id, "A" * 68]
    dead.get(lambda session: session.destroy())
    for order in permutations(ids):
        cookies = "; ".join(f"session={value}" for value in order)
        reply = site.browser().get(read("a"), headers=[("Cookie", cookies)])
        assert (reply.body, reply.cookie) == ("live", None), order
    site.tap.take()
    cookies = f"session={live.id}; session={other.id}"
    assert site.browser().get(look, headers=[("Cookie", cookies)]).body == "{}"
    assert len(site.told(AmbiguousID)) == 1
    assert site.tap.take() == ["get", "get"]
    cookies += f"; session={ids[1]}"
    assert site.browser().get(look, headers=[("Cookie", cookies)]).body == "{}"
    assert site.tap.take() == []
    many = "; ".join(f"session={number:068d}" for number in range(8)) + f"; session={live.id}"
    assert site.browser().get(look, headers=[("Cookie", many)]).body == "{}"
    assert site.tap.take() == []


@scenario()
def the_same_cookie_twice_is_one(site: Site) -> None:
    """HTTP/2 splits Cookie headers, and proxies repeat them."""
    browser = site.browser()
    browser.get(put(a=1))
    cookie = f"session={browser.id}"
    reply = site.browser().get(look, headers=[("Cookie", "x=1"), ("Cookie", cookie)])
    assert reply.body == "{'a': 1}"
    reply = site.browser().get(look, headers=[("Cookie", f"{cookie}; {cookie}")])
    assert reply.body == "{'a': 1}"


@scenario()
def an_unknown_id_is_never_adopted(site: Site) -> None:
    """A well-signed ID without a record gets a new one when something is stored."""
    browser = site.browser()
    browser.get(put(a=1))
    old = browser.id or ""
    browser.get(lambda session: session.destroy())
    browser.id = old
    reply = browser.get(put(b=2))
    assert reply.sent not in (None, old)
    assert site.told(UnknownID)
    assert browser.get(look).body == "{'b': 2}"


@scenario()
def the_id_of_a_new_session_is_known_before_it_is_stored(site: Site) -> None:
    """And so is its handle; both become valid with the response."""
    browser = site.browser()

    def view(session: Any) -> str:
        before = session.id, session.handle
        session["a"] = 1
        assert (session.id, session.handle) == before
        return str(session.id)

    assert browser.get(view).body == browser.id
    reply = site.browser().get(lambda session: session.handle)
    assert (len(reply.body), reply.cookie) == (32, None)


@scenario(index=True, max_sessions_per_user=2)
def the_oldest_session_of_a_user_makes_room(site: Site) -> None:
    """A third sign-in ends the first."""
    browsers = [site.browser() for _ in range(3)]
    for browser in browsers:
        browser.get(sign_in("ann"))
    assert [browser.get(who).body for browser in browsers] == ["None {}", "ann {}", "ann {}"]
    assert [event.reason for event in site.told(SessionRevoked)] == ["evicted"]


@scenario(index=True, max_sessions_per_user=1, evict="refuse")
def a_sign_in_too_many_is_refused(site: Site) -> None:
    """It fails the response, or `save()`, where the application can say so; nobody is signed in."""
    first, second = site.browser(), site.browser()
    first.get(sign_in("ann"))
    second.get(put(cart=1))
    held = second.id
    reply = second.get(sign_in("ann"))
    assert (reply.status, reply.cookie) == (500, None)
    if site.door != "flask":
        assert isinstance(reply.error, TooManySessions)

    async def view(session: Any) -> str:
        session.login("ann")
        with pytest.raises(TooManySessions):
            await saved(session)
        return who(session)

    reply = second.get(view)
    assert (reply.body, reply.cookie) == ("None {'cart': 1}", None)
    assert second.id == held
    first.get(lambda session: session.logout())
    second.get(sign_in("ann"))
    assert second.get(who).body == "ann {'cart': 1}"


@scenario(index=True)
def revoking_a_user_ends_what_is_in_flight_too(site: Site) -> None:
    """A sign-in under way is told, and no response sends a cookie for what was revoked."""
    browser = site.browser()
    browser.get(sign_in("ann"))

    async def view(session: Any) -> None:
        session["a"] = 1
        for handle in await site.call("revoke", "ann"):
            await site.call("delete", handle, user_id="ann")

    reply = browser.get(view)
    assert (reply.status, reply.cookie) == (200, None)
    assert site.dropped() == [("gone", ("a",))]
    assert browser.get(who).body == "None {}"
