"""A record that a request brings with it: the handle has it, and every store call is given that.

So each request has a copy of its own, which no other one sees, and nothing of it stays behind.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from coatcheck.checks import LONGEST
from coatcheck.layout import unpack
from coatcheck.record import Record
from coatcheck.store.protocol import Stored


class Place(Protocol):
    """What is the same for all records of one cookie's name."""

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        ...

    def check_room(self, payload: bytes, /) -> None:
        """Raise `SessionTooLarge` where the record would not fit into the cookie."""
        ...


class Slot:
    """The record of one session in one request: as it came, and as it is to be given back."""

    __slots__ = ("issued_at", "place", "signed_in_at", "stored", "text", "until", "user_id")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.stored: Stored | None = None
        self.issued_at = 0.0
        """When the record was given to the client as it is, in seconds since the epoch."""
        self.until = 0.0
        """Until when a copy of any state of this session may be good."""
        self.user_id: str | None = None
        self.signed_in_at = 0.0
        self.text: str | None = None
        """What the client holds, or is to hold: made when it is asked for."""

    def take(self, stored: Stored, issued_at: float, until: float) -> None:
        """Take over a record as the client had it; raises `CorruptRecord` for what is none."""
        content = unpack(stored.payload)
        self.stored, self.issued_at, self.text = stored, issued_at, None
        self.user_id = content.user_id
        self.until = max(self.until, until)
        if isinstance(content, Record):
            self.signed_in_at = content.signed_in_at or 0.0
            last = issued_at + LONGEST
            self.until = max(self.until, min(last, content.deadline or last))

    def put(self, stored: Stored) -> None:
        """Take over a record that the client is to have."""
        self.take(stored, self.place.now(), 0.0)

    def live(self) -> Stored | None:
        """Return the record, unless it has expired.

        None lives longer than a browser keeps it. So it is known when the last copy is worthless,
        and with it the note that a session was ended.
        """
        stored, now = self.stored, self.place.now()
        if stored is None or now >= self.issued_at + LONGEST:
            return None
        over = stored.expires_at is not None and now >= stored.expires_at
        return None if over else stored

    def __repr__(self) -> str:
        return "<Slot>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Slot holds a session's data, which stays in its request")


class CarriedKey(str):
    """A handle that has its record with it. Whatever is made of it is a plain string."""

    __slots__ = ("slot",)

    slot: Slot

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # An event that goes to another process takes no data of a session along.
        return str, (str(self),)


def carried(handle: str, slot: Slot) -> CarriedKey:
    """Return the handle, with its record."""
    key = CarriedKey(handle)
    key.slot = slot
    return key


def slot_of(key: str) -> Slot | None:
    """Return the slot of a handle; `None` for one that came some other way: from a log, say."""
    return key.slot if isinstance(key, CarriedKey) else None
