"""Values as they were read last, so that the server itself can compare them: `SET ... IFEQ`.

A request that saves has read the record before. Where its value is still at hand, no script is
needed: version and token lie in it, so what is equal to it is that very version. Valkey 8.1 and
Redis 8.4 do that in one command, without Lua, which saves a seventh of a request that writes. All
else goes by script.
"""

from __future__ import annotations

from typing import Final

from coatcheck.errors import CorruptRecord
from coatcheck.store.protocol import Conflict, UpdateOutcome, make_updated
from coatcheck.store.redis import records
from coatcheck.store.redis.keys import time_to_live
from coatcheck.store.redis.link import Command, Reply

MOST: Final = 128
"""Values that are kept; with more all are forgotten, which costs a script each."""
LARGEST: Final = 2048
"""Bytes of a value that is kept: one that is compared is sent, and sent back."""


class Recent:
    """The values read last, each until the record is updated, touched or deleted."""

    __slots__ = ("_values", "usable")

    def __init__(self, usable: bool) -> None:
        self.usable = usable
        self._values: dict[bytes, bytes] = {}

    def keep(self, name: bytes, value: bytes) -> None:
        """Keep the value of a live record."""
        # Threads may do so at once: each step is one that a dict does in one go.
        values = self._values
        if self.usable and len(value) <= LARGEST:
            if len(values) >= MOST:
                values.clear()
            values[name] = value

    def forget(self, name: bytes) -> None:
        """Forget a value that is about to change otherwise."""
        self._values.pop(name, None)

    def refused(self) -> None:
        """Keep nothing any more: the server does not know the command."""
        self.usable = False
        self._values.clear()

    def swap(
        self, name: bytes, payload: bytes, version: int, expires_at: float | None, now: float
    ) -> Command | None:
        """Return the command that updates the record; `None` where a script has to decide."""
        known = self._values.pop(name, None)
        if known is None:
            return None
        value = records.successor(known, payload, version, expires_at, now)
        if value is None:
            return None
        life = time_to_live(expires_at, now)
        if life:
            return ("SET", name, value, "IFEQ", known, "GET", "PX", life)
        return ("SET", name, value, "IFEQ", known, "GET")


def swapped(swap: Command, reply: Reply, version: int, now: float) -> UpdateOutcome | None:
    """Return what the reply to a swap means; `None` where a script has to decide.

    It is the value that was there: our own where something in between has sent the command twice.
    Where that is another one of the same version, it was touched; where there is none the record is
    gone, unless that is how a server says that it was another.
    """
    if reply in (swap[4], swap[2]):
        return make_updated((version + 1,))
    if not isinstance(reply, bytes):
        return None
    try:
        current = records.live(reply, now)
    except CorruptRecord:
        return None
    return None if current is None or current.version == version else Conflict(current)
