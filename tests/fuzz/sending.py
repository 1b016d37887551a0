"""Rows 11 and 12: what is sent: Set-Cookie in every combination, and pages through a cache."""

from __future__ import annotations

from datetime import timedelta
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from hypothesis import given

from coatcheck.cookies import MAX_AGE_LIMIT
from tests.core.test_cookies import ID, PREFIXES, expect_meaning
from tests.fuzz.target import Feed, Fuzz, Target, of_hypothesis, random_bytes
from tests.security.test_shared_cache import DOOR_NAMES, SITES, VISITS, expect_apart

_NAMES: Final = ("", "", "", *PREFIXES, "__host-", "__HTTP-", "__Secure-__Host-")
_OPTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "path": ("/", "/app", "/a%20b?#", "/a b", "/a;b", "/\n", "/é", None, "app", ""),
    "domain": ("example.org", "Www.Example.Org", None, "org", "1.2.3.4", "a.org;", "a.org\n"),
    "secure": (True, "auto", False, None, "yes", 1),
    "httponly": (True, False, None, "no"),
    "samesite": ("Lax", "strict", "NONE", None, "auto", "?", "Lax; Domain=a.org"),
    "partitioned": (True, False),
    "max_age": ("auto", None, 1, MAX_AGE_LIMIT, MAX_AGE_LIMIT + 1, timedelta(days=1), -1, "1"),
}
_TEXTS: Final = ("path", "domain")
"""The options that may also be any text."""


def set_cookie() -> Fuzz:
    """Make a cookie of any options: it is refused, or a strict parser reads what was meant."""

    def check(data: bytes) -> None:
        feed = Feed(data)
        options: dict[str, Any] = {}
        for option, values in _OPTIONS.items():
            if feed.number(3) == 0:
                free = option in _TEXTS and feed.number(4) == 0
                options[option] = f"/{feed.text(6)}" if free else feed.pick(values)
        name = feed.pick(_NAMES) + (feed.text(8) if feed.number(4) == 0 else "s")
        value = feed.text(80) if feed.number(2) else ID
        max_age = feed.pick((None, 0, 3600, 10**10))
        expect_meaning(name, options, value, max_age, bool(feed.number(2)))

    def make(dice: Random) -> bytes:
        return dice.randbytes(dice.choice((12, 30, 110)))

    return Fuzz(make, check)


def caches() -> Fuzz:
    """Let two clients do anything behind a shared cache, at one door after the other."""

    @given(visits=VISITS, setting=SITES)
    def case(
        visits: list[tuple[str, str, int, float]], setting: tuple[dict[str, Any], bool, list[str]]
    ) -> None:
        expect_apart(DOOR_NAMES[len(visits) % len(DOOR_NAMES)], visits, setting)

    return Fuzz(random_bytes((200, 400, 800)), of_hypothesis(case))


TARGETS: Final = (
    Target(
        name="set-cookie",
        row=11,
        full=500_000,
        quick=1_000,
        promise="options are refused, or the header means what they said",
        build=set_cookie,
        guided=True,
    ),
    Target(
        name="cache",
        row=12,
        full=20_000,
        quick=5,
        promise="no cache gives one client's page or cookie to another",
        build=caches,
    ),
)
