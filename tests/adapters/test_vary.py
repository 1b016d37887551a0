"""Every way to look at a session makes the response say so (SEC-56)."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251 - to see that it is refused
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coatcheck import AsyncSession, CoatcheckError, Session
from coatcheck_flask import FlaskSession
from tests.adapters.doors import DOORS
from tests.adapters.site import Site

View = Callable[[Any], object]

LOOKS: dict[str, View] = {
    "__bool__": bool,
    "__contains__": lambda session: "a" in session,
    "__delitem__": lambda session: session.__delitem__("a"),
    "__eq__": lambda session: session == {},
    "__getitem__": lambda session: session["a"],
    "__ior__": lambda session: session.__ior__({"b": 1}),
    "__iter__": list,
    "__len__": len,
    "__ne__": lambda session: session != {},
    "__or__": lambda session: session | {},
    "__reversed__": lambda session: list(reversed(list(session))),
    "__ror__": lambda session: {} | session,
    "__setitem__": lambda session: session.__setitem__("b", 1),
    "clear": lambda session: session.clear(),
    "copy": lambda session: session.copy(),
    "csrf_token": lambda session: session.csrf_token(),
    "verify_csrf": lambda session: session.verify_csrf("x" * 64),
    "signed_in_at": lambda session: session.signed_in_at,
    "slice": lambda session: session.slice("a"),
    "created_at": lambda session: session.created_at,
    "destroy": lambda session: session.destroy(),
    "expires_at": lambda session: session.expires_at,
    "get": lambda session: session.get("a"),
    "handle": lambda session: session.handle,
    "id": lambda session: session.id,
    "is_new": lambda session: session.is_new,
    "items": lambda session: list(session.items()),
    "keys": lambda session: list(session.keys()),
    "last_seen_at": lambda session: session.last_seen_at,
    "login": lambda session: session.login("ann"),
    "logout": lambda session: session.logout(),
    "modified": lambda session: setattr(session, "modified", True),
    "new": lambda session: session.new,
    "permanent": lambda session: session.permanent,
    "pop": lambda session: session.pop("a", None),
    "popitem": lambda session: session.popitem(),
    "refresh": lambda session: session.refresh(),
    "regenerate": lambda session: session.regenerate(),
    "save": lambda session: session.save(),
    "require_recent_auth": lambda session: session.require_recent_auth(60),
    "set_expiry": lambda session: session.set_expiry(idle=100),
    "setdefault": lambda session: session.setdefault("a", 2),
    "update": lambda session: session.update(b=1),
    "user_id": lambda session: session.user_id,
    "values": lambda session: list(session.values()),
    "load": lambda session: session.load(),
}
BLIND: dict[str, View] = {
    "__copy__": copy.copy,
    "__deepcopy__": copy.deepcopy,
    "__reduce__": pickle.dumps,
    "__reduce_ex__": lambda session: session.__reduce_ex__(2),
    "__repr__": repr,
    "__str__": str,
    "__format__": lambda session: f"{session}",
    "__hash__": lambda session: isinstance(session, dict),
    "accessed": lambda session: session.accessed,
    "prepare": lambda session: None,
    "committed_here": lambda session: None,
}
"""What shows nothing of the session: nothing is opened, and nothing is told to caches."""
_OF_EVERY_OBJECT = set(dir(object)) | {
    *("__abstractmethods__", "__annotations__", "__class_getitem__", "__dict__", "__module__"),
    *("__orig_bases__", "__parameters__", "__slots__", "__weakref__", "__match_args__"),
    *("__static_attributes__", "__firstlineno__", "__type_params__", "__subclasshook__"),
    *("__annotate__", "__annotate_func__", "__annotations_cache__", "__classdictcell__"),
}


@pytest.mark.parametrize("kind", [Session, AsyncSession, FlaskSession])
def test_no_way_to_look_is_forgotten_here(kind: type) -> None:
    """A new method has to be entered into one of the two tables."""
    public = {
        name
        for name in dir(kind)
        if (not name.startswith("_") or name.endswith("__")) and name not in _OF_EVERY_OBJECT
    }
    assert public - LOOKS.keys() - BLIND.keys() == set()


async def done(value: Any) -> None:
    """Await what must be awaited."""
    if hasattr(value, "__await__"):
        await value


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
def test_sec_56_every_look_gives_vary(door: str, tmp_path: Path) -> None:
    """Of a visitor and of somebody known, and whether or not it raises."""
    with DOORS[door]("memory", tmp_path) as site:
        for name, look in LOOKS.items():
            for known in (False, True):
                if not (name in {"new", "permanent"} and door != "flask") and not (
                    name == "load" and door != "asgi"
                ):
                    assert seen(site, look, known=known) == ["Cookie"], (name, known)


@pytest.mark.parametrize("door", ["wsgi", "flask", "asgi"])
def test_sec_56_what_shows_nothing_gives_none(door: str, tmp_path: Path) -> None:
    """`repr` among them, so that logging a session costs nothing."""
    with DOORS[door]("memory", tmp_path) as site:
        for name, look in BLIND.items():
            for known in (False, True):
                assert seen(site, look, known=known) == [], (name, known)


def seen(site: Site, look: View, *, known: bool) -> list[str]:
    """Return the Vary of a page that looks in one way."""
    browser = site.browser()
    if known:
        browser.get(lambda session: session.update(a=1))

    async def view(session: Any) -> None:
        with suppress(KeyError, TypeError, CoatcheckError, pickle.PicklingError):
            await done(look(session))

    reply = browser.get(view)
    assert (reply.status, reply.error) == (200, None)
    return reply.vary
