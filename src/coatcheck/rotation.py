"""Periodic rotation: the secret half of a session's ID is swapped in place, now and then.

A record knows three secrets by their hashes, and nothing else opens it or raises the alarm:

    current    the one that signs in. It replaced
    previous   which is accepted until the current one is first seen, for the response that brought
               it may have been lost; and from then on only from requests that were under way. It is
               then the secret last retired.
    retired    the one before, which is the secret last retired as long as `previous` is accepted.

Who presents the secret last retired, when nothing honest does any more, holds a copy: either the
thief or the victim of a theft (RFC 6819, 5.2.2.3). Any other secret, one that is older or was never
this session's, is nobody's, and harms nobody.

The current secret lies in the record wrapped under the previous one (AES key wrap, RFC 3394). So
what a lost response should have brought is sent again, the same, however often it gets lost; who
has the store alone opens nothing. There is no second new secret in such a case, for a response that
was only late would then bring one that is worth nothing.
"""

from __future__ import annotations

from enum import Enum
from hmac import compare_digest
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from coatcheck.ids import secret_hash

IN_FLIGHT: Final = 60.0
"""A request begun before a secret was retired + this (s) was under way with it. That is long, for a
proxy hands a request on when it has all of it, and an upload takes its time."""
PARALLEL: Final = 10.0
"""For so long (s) after a new secret was sent the previous one is that of a parallel request."""
SEND_INTERVAL: Final = 60.0
"""Where nothing slides: the shortest time (s) between two tries to send a secret."""


class Standing(Enum):
    """What a secret is that is not the current one."""

    ACCEPTED = "the previous one, from a client that has not got the current one yet"
    LATE = "from a request that began before the last rotation: nobody's, and no alarm"
    STOLEN = "the one last retired, from somebody who has a copy of it"
    UNKNOWN = "any other"


class Rotation(NamedTuple):
    """What a record keeps of the secrets that it had."""

    previous: bytes
    """The SHA-256 of the previous secret."""
    wrapped: bytes
    """The current secret, wrapped under the previous one."""
    rotated_at: float
    """When the current secret was last sent, in seconds since the epoch."""
    seen_at: float | None
    """When the current secret was first presented, and the previous one so retired."""
    retired: bytes
    """The SHA-256 of the secret before the previous one; empty: there was none."""
    retired_at: float
    """When that one was retired; 0.0: there was none."""

    def standing(self, secret: bytes, begun: float) -> Standing:
        """Say what a secret is that a request begun at that time presents."""
        digest = secret_hash(secret)
        if compare_digest(digest, self.previous):
            if self.seen_at is None or begun < self.seen_at + IN_FLIGHT:
                return Standing.ACCEPTED
            return Standing.STOLEN
        if self.seen_at is None and self.retired and compare_digest(digest, self.retired):
            return Standing.LATE if begun < self.retired_at + IN_FLIGHT else Standing.STOLEN
        return Standing.LATE if begun < self.rotated_at + IN_FLIGHT else Standing.UNKNOWN

    def current(self, previous: bytes) -> bytes | None:
        """Return the current secret to who has the previous one."""
        try:
            return aes_key_unwrap(previous, self.wrapped)
        except (InvalidUnwrap, ValueError):
            return None


def rotated(before: Rotation | None, old: bytes, new: bytes, now: float) -> Rotation:
    """Return what is kept once `old`, the current secret, has made way for `new`."""
    wrapped = aes_key_wrap(old, new)
    if before is None:
        return Rotation(secret_hash(old), wrapped, now, None, b"", 0.0)
    retired_at = now if before.seen_at is None else before.seen_at
    return Rotation(secret_hash(old), wrapped, now, None, before.previous, retired_at)
