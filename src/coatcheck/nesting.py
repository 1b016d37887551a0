"""Sessions within sessions: what an adapter does where another one around it already has one.

One request has one session of a namespace and store, whoever is asked for it, and the outermost
adapter commits it; so a response never carries two cookies of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coatcheck.errors import ConfigurationError
from coatcheck.face import Face, lifecycle_of
from coatcheck.runtime import Runtime


def session_around(carrier: Mapping[str, Any], key: str, runtime: Runtime) -> Face | None:
    """Return the session that an adapter further out put into an environ or a scope, if any.

    An environ that was made of an ASGI scope is searched as far as the scope, where it is under
    `"asgi.scope"`, as a2wsgi has it. Raises `ConfigurationError` for a session of other kind, which
    must not be hidden.
    """
    outer = carrier.get(key)
    if outer is None:
        scope = carrier.get("asgi.scope")
        outer = None if scope is None else scope.get(key)
        if outer is None:
            return None
    if isinstance(outer, Face) and runtime.same_sessions(lifecycle_of(outer).runtime):
        return outer
    raise ConfigurationError(
        f"{key!r} already holds a session of another store or namespace: give one of the two"
        " middlewares a key of its own, for example key='my.session'"
    )
