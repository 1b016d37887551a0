"""The mutations: each breaks something on purpose, and names the tests that must notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.prove import (
    adapters,
    codecs,
    cookie_store,
    copying,
    encryption,
    fuzzing,
    guards,
    outages,
    promises,
    redis,
    rotation,
    schedules,
    security,
    service,
    sql,
    stores,
    travel,
)
from tests.prove.mutation import Mutation as Mutation

MUTATIONS: Final[tuple[Mutation, ...]] = (
    *promises.MUTATIONS,
    *service.MUTATIONS,
    *stores.MUTATIONS,
    *copying.MUTATIONS,
    *outages.MUTATIONS,
    *redis.MUTATIONS,
    *sql.MUTATIONS,
    *travel.MUTATIONS,
    *codecs.MUTATIONS,
    *adapters.MUTATIONS,
    *guards.MUTATIONS,
    *security.MUTATIONS,
    *fuzzing.MUTATIONS,
    *cookie_store.MUTATIONS,
    *encryption.MUTATIONS,
    *schedules.MUTATIONS,
    *rotation.MUTATIONS,
)
LEAST: Final[Mapping[str, int]] = {
    **dict.fromkeys("1234567", 2),
    **dict.fromkeys(("memory", "file", "sqlite", "async-sqlite", "keyvalue"), 1),
    "redis": 8,
    "async-redis": 3,
    "sql": 8,
    "async-sql": 1,
    "index": 2,
    "copying": 8,
    "outage": 6,
    "cookies": 2,
    "state": 1,
    "session": 1,
    **dict.fromkeys(
        ("cookie state", "header state", "bearer state", "callback state", "first-of state"), 1
    ),
    "codec": 2,
    **dict.fromkeys(("wsgi", "flask", "asgi"), 4),
    "nesting": 1,
    "service": 6,
    "response": 2,
    "fresh": 2,
    "ending": 2,
    "csrf": 6,
    "caches": 6,
    "fuzz": 8,
    "encryption": 12,
    "lookup": 2,
    "records": 4,
    "flood": 2,
    "told": 4,
    "names": 2,
    "schedules": 5,
    "rotation": 13,
    "websocket": 5,
    "cookie-store": 16,
}
"""All that must be broken, and in how many ways at least."""
