"""What caches are told: `Vary`, and that nobody else is shown a page for one session."""

from __future__ import annotations

from typing import Any

from coatcheck.events import ResponseMadePrivate
from tests.adapters.scenarios.table import scenario
from tests.adapters.site import Answer, Site, View, put, read, sign_in, untouched

_read = read("a")


def answering(*headers: tuple[str, str], view: View = _read) -> View:
    """A view that looks at the session and says something to caches itself."""

    def look(session: Any) -> Answer:
        view(session)
        return Answer(headers=headers)

    return look


@scenario()
def sec_56_vary_is_merged_with_what_the_application_says(site: Site) -> None:
    """No name twice, whatever its case, and `*` says it all."""
    browser = site.browser()
    for given, expected in (
        ([], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["cookie"], ["cookie"]),
        (["Accept, COOKIE ,Origin"], ["Accept, COOKIE ,Origin"]),
        (["Accept", "Origin"], ["Accept, Origin, Cookie"]),
        (["Accept", "Cookie"], ["Accept", "Cookie"]),
        (["*"], ["*"]),
        (["Accept", "*"], ["Accept", "*"]),
        ([""], ["Cookie"]),
    ):
        reply = browser.get(answering(*(("Vary", value) for value in given)))
        assert reply.vary == expected, given


@scenario()
def sec_57_a_page_for_a_user_is_for_nobody_else(site: Site) -> None:
    """Without a word of the application it is `private, no-cache`; an anonymous read is not."""
    browser, visitor = site.browser(), site.browser()
    assert visitor.get(put(a=1)).cache_control == ["private, no-cache"]
    assert visitor.get(read("a")).cache_control == []
    assert visitor.get(put(a=2)).cache_control == []
    browser.get(sign_in("ann"))
    assert browser.get(read("a")).cache_control == ["private, no-cache"]
    assert browser.get(untouched).cache_control == []
    assert browser.get(lambda session: session.logout()).cache_control == ["private, no-cache"]
    assert browser.get(read("a")).cache_control == []


@scenario()
def sec_57_what_the_application_says_to_caches_stands(site: Site) -> None:
    """But it is private, for a shared cache may keep what has an age; `public` is told."""
    browser = site.browser()
    browser.get(sign_in("ann"))
    for given, expected in (
        (["no-store"], ["no-store"]),
        (["max-age=60"], ["private, max-age=60"]),
        (["private, max-age=60"], ["private, max-age=60"]),
    ):
        reply = browser.get(answering(*(("Cache-Control", value) for value in given)))
        assert reply.cache_control == expected
    assert site.told(ResponseMadePrivate) == []
    for given, expected in (
        (["public"], ["private"]),
        (["Public, max-age=60"], ["private, max-age=60"]),
        (["max-age=60", "public"], ["private, max-age=60"]),
    ):
        reply = browser.get(answering(*(("Cache-Control", value) for value in given)))
        assert reply.cache_control == expected
        assert len(site.told(ResponseMadePrivate)) == 1
        site.events.clear()


@scenario()
def sec_57_a_public_page_that_nobody_s_session_is_on_stays_public(site: Site) -> None:
    """An anonymous look may be cached, by Cookie; a response that sets a cookie may not."""
    public = ("Cache-Control", "public, max-age=60")
    assert site.browser().get(answering(public)).cache_control == ["public, max-age=60"]
    reply = site.browser().get(answering(public, view=put(a=1)))
    assert reply.cache_control == ["private, max-age=60"]
    assert len(site.told(ResponseMadePrivate)) == 1


@scenario(cache="no-store")
def sec_57_pages_can_be_kept_off_every_disk(site: Site) -> None:
    """`cache="no-store"`, where the application says nothing."""
    browser = site.browser()
    assert browser.get(sign_in("ann")).cache_control == ["no-store"]
    assert browser.get(read("a")).cache_control == ["no-store"]
    assert browser.get(answering(("Cache-Control", "private"))).cache_control == ["private"]
