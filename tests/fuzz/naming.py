"""Row 15: names and keys that become part of paths, patterns, statements and headers."""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any, Final

from coatcheck import checks
from coatcheck.cookies import CookieTemplate
from coatcheck.errors import ConfigurationError
from coatcheck.store.protocol import check_key
from coatcheck.store.redis import RedisStore
from coatcheck.store.sql.tables import Tables
from tests.fuzz.target import Fuzz, Target, edited
from tests.security.test_names import BREAKS, HANDLE, NO_KEYS

_LOWER: Final = frozenset(string.ascii_lowercase + "_")
_SPACES: Final = frozenset(string.ascii_letters + string.digits + ":_.-")
_TOKENS: Final = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
_GOOD: Final = ("coatcheck_", "shop", "a", HANDLE, "a" * 32, "A:z_0.-9", "__Host-id", "x" * 64)
_BAD: Final = (*BREAKS, "../", "..\\", "CON", "*", "?", "[a-z]", "{a,b}", "\r\nKEYS *", "'; DROP")
_PREFIXES: Final = ("__secure-", "__host-", "__http-")


def _is_identifier(text: str) -> bool:
    tail = _LOWER | set(string.digits)
    return 1 <= len(text) <= 32 and text[0] in _LOWER and set(text) <= tail


def _is_space(text: str) -> bool:
    return 1 <= len(text) <= 64 and set(text) <= _SPACES


def _is_handle(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def _is_cookie_name(text: str) -> bool:
    return 1 <= len(text) <= 4096 and set(text) <= _TOKENS


RULES: Final[dict[str, tuple[Callable[[str], Any], Callable[[str], bool]]]] = {
    "table": (lambda text: Tables(text), _is_identifier),
    "schema": (lambda text: Tables("ab_", text), _is_identifier),
    "namespace": (lambda text: checks.namespace("namespace", text), _is_space),
    "redis": (lambda text: RedisStore("redis://localhost:1", namespace=text), _is_space),
    "key": (check_key, _is_handle),
    "cookie": (CookieTemplate, _is_cookie_name),
}
"""What takes a name, before it does anything else, and the grammar of what it may take."""


def names() -> Fuzz:
    """Offer names to whatever takes one: each is refused, or follows the grammar to the letter."""
    keys = [key for key in NO_KEYS if isinstance(key, str)]

    def make(dice: Random) -> bytes:
        text = dice.choice(_GOOD) if dice.getrandbits(1) else dice.choice(keys)
        for _ in range(dice.randrange(3)):
            place = dice.choice((0, dice.randrange(len(text) + 1), len(text)))
            text = text[:place] + dice.choice(_BAD) + text[place:]
        data = text.encode("utf-8", "surrogatepass")
        return data if dice.getrandbits(2) else edited(dice, data)

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        for name, (take, fits) in RULES.items():
            try:
                take(text)
            except (ConfigurationError, ValueError, TypeError):
                prefixed = name == "cookie" and text.lower().startswith(_PREFIXES)
                assert prefixed or not fits(text), f"{name} refuses {text!r}"
            else:
                assert fits(text), f"{name} takes {text!r}"

    return Fuzz(make, check)


TARGETS: Final = (
    Target(
        name="names",
        row=15,
        full=100_000,
        quick=300,
        promise="a name or a key is refused before it is used, or follows its grammar",
        build=names,
    ),
)
