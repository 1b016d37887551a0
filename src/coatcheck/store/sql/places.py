"""How a database is called, in messages and to tell it from another: never with a password."""

from __future__ import annotations

import os

from sqlalchemy import URL


def name(url: URL) -> str:
    """Return how the database is called in a message."""
    return url.set(query={}).render_as_string(hide_password=True)


def location(url: URL, schema: str | None, prefix: str) -> str | None:
    """Return what is equal for stores of the same tables; `None` where the URL does not tell.

    An engine may be made so that it connects elsewhere than its URL says.
    """
    backend, database = url.get_backend_name(), url.database
    if not database or (backend == "sqlite" and "memory" in database):
        return None
    if backend == "sqlite":
        place = os.path.realpath(database)
    elif url.host or url.query.get("host") or url.query.get("unix_socket"):
        host = url.host or url.query.get("host") or url.query.get("unix_socket")
        place = f"{host}:{url.port or ''}/{database}"
    else:
        return None
    family = "mysql" if backend == "mariadb" else backend
    return f"sql:{family}:{place}:{schema or ''}.{prefix}"
