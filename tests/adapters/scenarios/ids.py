"""What a client may send for an ID, and what becomes of it."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from itertools import permutations
from typing import Any

from coatcheck.events import (
    AmbiguousID,
    IDRejected,
    UnknownID,
)
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import (
    LIFETIME,
    Answer,
    Site,
    View,
    look,
    put,
    read,
    sign_in,
    untouched,
)


@scenario()
def sec_04_forged_ids_never_reach_the_store(site: Site) -> None:
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
def sec_10_a_session_under_an_old_secret_is_reissued_with_its_next_save(site: Site) -> None:
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
def sec_62_of_several_ids_exactly_one_may_be_live(site: Site) -> None:
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
def sec_65_the_same_cookie_twice_is_one(site: Site) -> None:
    """HTTP/2 splits Cookie headers, and proxies repeat them."""
    browser = site.browser()
    browser.get(put(a=1))
    cookie = f"session={browser.id}"
    reply = site.browser().get(look, headers=[("Cookie", "x=1"), ("Cookie", cookie)])
    assert reply.body == "{'a': 1}"
    reply = site.browser().get(look, headers=[("Cookie", f"{cookie}; {cookie}")])
    assert reply.body == "{'a': 1}"


@scenario()
def sec_26_an_unknown_id_is_never_adopted(site: Site) -> None:
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


def not_found(session: Any) -> Answer:
    """A view that looks, and finds nothing."""
    return Answer(str(session.user_id), 404)


@scenario()
def sec_20_all_ids_that_are_worth_nothing_look_the_same(site: Site) -> None:
    """Whatever the reason, the answer is the same to the last byte (SEC-20)."""
    browser = site.browser()
    browser.get(put(a=1))
    good = browser.id or ""
    values = ["", "garbage", "A" * 68, good[:-1] + ("A" if good[-1] != "A" else "B"), good + "A"]
    for how in ("destroyed", "replaced", "expired", "corrupt"):
        other = site.browser()
        other.get(put(a=how))
        values.append(other.id or "")
        if how == "destroyed":
            other.get(lambda session: session.destroy())
        elif how == "replaced":
            other.get(sign_in("ann"))
        elif how == "expired":
            other.get(lambda session: session.set_expiry(idle=1))
        else:

            async def spoil(session: Any) -> None:
                await site.call("update", session.handle, b"?", version=1, expires_at=2e9)

            other.get(spoil)
    site.clock.advance(10)
    for view in (look, untouched, not_found):
        replies = [
            site.browser().get(view, headers=[("Cookie", f"session={value}")]) for value in values
        ]
        assert all(reply == replies[0] for reply in replies)


@scenario()
def sec_54_sec_55_what_a_client_claims_changes_no_cookie(site: Site) -> None:
    """Neither its Host nor its X-Forwarded headers are believed (SEC-54, SEC-55)."""
    claims = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "proto=https;host=evil.example"),
        ("X-Forwarded-Prefix", "/evil"),
    ]
    for https, more in ((False, ""), (True, "; Secure")):
        browser = site.browser(https=https)
        reply = browser.get(put(a=1), headers=[*claims, ("X-Forwarded-Proto", "http")])
        assert reply.cookie == site.set_cookie(browser.id, more=more)


@scenario()
def sec_67_an_id_in_an_address_or_a_form_is_nothing(site: Site) -> None:
    """Only the State decides where an ID may stand (SEC-67)."""
    browser = site.browser()
    browser.get(put(a=1))
    value = browser.id or ""
    site.tap.take()
    for path in (f"/?session={value}", f"/;session={value}", f"/{value}"):
        reply = site.browser().get(look, path=path, headers=[("Referer", f"http://x/{path}")])
        assert reply.body == "{}"
    for name in ("Authorization", "X-Session", "Session", "Set-Cookie"):
        for text in (value, f"session={value}", f"Bearer {value}"):
            assert site.browser().get(look, headers=[(name, text)]).body == "{}"
    assert site.tap.take() == []


@scenario()
def sec_72_neither_an_address_nor_a_browser_s_name_is_a_credential(site: Site) -> None:
    """A phone changes both on its way; and what a client says of itself opens nothing either."""
    browser = site.browser()
    browser.get(put(a=1))
    told = len(site.events)
    for client, agent, forwarded in (
        ("127.0.0.1", "Firefox/144", "127.0.0.1"),
        ("203.0.113.7", "Safari/26", "10.0.0.1"),
        (None, "", "for=127.0.0.1;by=evil"),
    ):
        headers = [
            ("User-Agent", agent),
            ("X-Forwarded-For", forwarded),
            ("Forwarded", forwarded),
            ("X-Real-IP", forwarded),
        ]
        cookie = ("Cookie", browser.cookies)
        reply = browser.get(read("a"), client=client, headers=[*headers, cookie])
        assert (reply.body, reply.cookie) == ("1", None)
        assert site.browser().get(look, client=client, headers=headers).body == "{}"
    assert len(site.events) == told


def set_and_clear(session: Any) -> None:
    """A view that stores something and takes it back."""
    session["a"] = 1
    session.clear()


@scenario()
def sec_44_a_flood_stores_nothing(site: Site) -> None:
    """Whoever comes without a session, with junk or with a dead ID leaves nothing in the store."""
    browser = site.browser()
    browser.get(put(a=1))
    dead = browser.id or ""
    browser.get(lambda session: session.destroy())
    site.clock.advance(10)
    site.tap.take()
    cookies = ("", "session=junk", f"session={'A' * 68}", f"session={dead}", "session=")
    views: tuple[View, ...] = (look, untouched, set_and_clear, lambda session: session.logout())
    for method in ("GET", "POST"):
        for view in views:
            for cookie in cookies:
                headers = [("Cookie", cookie)] if cookie else []
                reply = site.browser().get(view, method=method, headers=headers)
                assert reply.status == 200
                assert reply.sent is None, (view, cookie)
    assert set(site.tap.take()) <= {"get", "delete"}


@scenario(index=True)
def sec_15_no_record_holds_an_id(site: Site) -> None:
    """Whatever the store is: none of its records has an ID or the secret half of one in it."""
    browser = site.browser()
    browser.get(put(a=1))
    browser.get(sign_in("ann"))
    browser.get(lambda session: session.regenerate())

    async def payloads() -> dict[str, bytes]:
        handles, _ = await site.call("scan", None, count=100)
        found = {handle: await site.call("get", handle) for handle in handles}
        return {handle: stored.payload for handle, stored in found.items() if stored}

    kept = site.run(payloads())
    assert len(kept) == len(site.issued) == 3
    for session_id in site.issued:
        secret = urlsafe_b64decode(session_id)[19:35]
        for handle, payload in kept.items():
            assert session_id.encode() not in payload
            assert secret not in payload
            assert secret.hex().encode() not in payload.lower()
            assert b64encode(secret)[:20] not in payload
            assert urlsafe_b64encode(secret)[:20] not in payload
            assert secret.hex() not in handle
