"""The names under which things lie in Redis, and the time they have to live there.

A namespace has no slash in it, so the first slash of a name ends the namespace, whatever follows:
no two namespaces share a name, and no user's index has the name of a session.
"""

from __future__ import annotations

import re
from typing import Final

from coatcheck.store.protocol import GARBAGE_AFTER

HORIZON: Final = 86_400.0
"""Seconds by which a user's index outlives what its sessions' deadlines were when it was told."""
ADMISSION_TIME: Final = 86_400_000
"""Milliseconds for which an index is kept that no record has been created for."""

_LONGEST: Final = 1 << 53
"""Milliseconds, some 285,000 years: more than any session needs, and no overflow in the server."""
_GLOB: Final = re.compile(rb"[\\*?\[\]^-]")


class Names:
    """The names of one namespace."""

    def __init__(self, namespace: str) -> None:
        start = namespace.encode("ascii")
        self.sessions = b"%b/s/" % start
        self.users = b"%b/u/" % start
        self.purge = b"%b/purge" % start

    def session(self, key: str) -> bytes:
        """Return the name of a record."""
        return self.sessions + key.encode("ascii")

    def user(self, user_id: str) -> bytes:
        """Return the name of a user's index."""
        return self.users + user_id.encode("utf-8", "surrogatepass")

    def key(self, name: bytes) -> str:
        """Return the key of the record of that name."""
        return name[len(self.sessions) :].decode("ascii", "replace")


def everything_under(start: bytes) -> bytes:
    """Return the pattern that matches all names beginning so, and no others."""
    return _GLOB.sub(rb"\\\g<0>", start) + b"*"


def time_to_live(deadline: float | None, now: float) -> bytes:
    """Return how many milliseconds a name is to last that is needed until the deadline.

    Empty where it is to last for ever. Relative, because the server's clock is not ours, and with
    the time added for which other applications may find the record live by clocks that are behind.
    """
    if deadline is None:
        return b""
    left = (deadline - now + GARBAGE_AFTER) * 1000
    return b"%d" % (left if 1 <= left <= _LONGEST else max(1, min(left, _LONGEST)))
