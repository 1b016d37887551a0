"""The ID that is the session: handle in the clear, record encrypted.

    base64url(handle 16 | envelope)        envelope: see `coatcheck.aead`
    in it: version 4 | deadline 8 | issued at 8 | good until 8 | secret 16 | record

The key is one for this purpose, made of the application's secret, the namespace, the cookie's name
and the handle; these are authenticated too. So what was sealed for another cookie or application,
or for anything else that this secret encrypts or signs, opens nothing here (CVE-2018-1000814).
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, b2a_base64
from math import inf
from secrets import token_bytes
from typing import Final, NoReturn

from coatcheck.aead import AEAD
from coatcheck.client_side.carried import Slot, carried, slot_of
from coatcheck.client_side.state import has_form
from coatcheck.clock import Clock
from coatcheck.errors import CorruptRecord, SessionError, SessionTooLarge
from coatcheck.ids import FROM_URL, HANDLE_SIZE, SECRET_SIZE, TO_URL, Identity
from coatcheck.keys import KeyRing
from coatcheck.store.protocol import Stored

BLOCK: Final = 64
"""Bytes: the length of a cookie tells the size of the data no better than that."""

_HEAD: Final = struct.Struct(f">Iddd{SECRET_SIZE}s")
_KEY_ID: Final = slice(HANDLE_SIZE + 1, HANDLE_SIZE + 3)


class CookieTooLarge(SessionTooLarge):
    """The session does not fit into its cookie; what the client holds is unharmed."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        message = (
            f"the session takes {size} characters of its cookie, and {limit} are left for it, for"
            " browsers drop a longer one: keep large data elsewhere and only its key in the"
            " session, or keep sessions on the server, for example store='sqlite:///sessions.db'"
        )
        self.args = (message,)


class SealedIDs:
    """Seals records into what a cookie holds, and opens them.

    `room` is how long that may be, in characters. Raises `ConfigurationError` for a weak secret.
    """

    __slots__ = ("_aead", "_clock", "_current", "_names", "_room", "_size")

    def __init__(
        self, keys: KeyRing, namespace: str, cookie: str, *, room: int, clock: Clock
    ) -> None:
        self._aead = AEAD(keys, "session-cookie", block=BLOCK)
        self._current = keys.keys[0].key_id
        names = (name.encode("ascii") for name in (namespace, cookie))
        self._names = b"".join(len(name).to_bytes(2, "big") + name for name in names)
        self._room = room
        self._size = self._aead.cipher(b"").size
        self._clock = clock

    def mint(self) -> Identity:
        """Return a new identity, whose record is still to be put in."""
        drawn = token_bytes(HANDLE_SIZE + SECRET_SIZE)
        return Identity(carried(drawn[:HANDLE_SIZE].hex(), Slot(self)), drawn[HANDLE_SIZE:])

    def sign(self, identity: Identity, /) -> str:
        """Return the record as it was last saved, sealed.

        Raises `SessionError` where nothing was saved yet: there is no ID without a record.
        """
        slot = slot_of(identity.handle)
        if slot is None or slot.stored is None:
            raise SessionError(
                "this session is kept in its cookie, and its ID holds it all: there is none before"
                " the session is saved, nor after it has ended"
            )
        if slot.text is None:
            slot.text = self._seal(identity, slot.stored, slot)
        return slot.text

    def verify(self, text: str, /) -> tuple[Identity, bool] | None:
        """Return the identity with its record, and whether the current secret has sealed it.

        `None` for whatever we did not seal, for this very cookie. Never raises for any string.
        """
        if not has_form(text):
            return None
        sealed = _decode(text)
        if sealed is None:
            return None
        handle, envelope = sealed[:HANDLE_SIZE], sealed[HANDLE_SIZE:]
        place = self._names + handle
        slot = Slot(self)
        try:
            body, _ = self._aead.open(envelope, place, place)
            version, expires_at, issued_at, until, secret = _HEAD.unpack_from(body)
            deadline = None if expires_at == inf else expires_at
            slot.take(Stored(version, deadline, body[_HEAD.size :]), issued_at, until)
        except (CorruptRecord, struct.error):
            return None
        current = sealed[_KEY_ID] == self._current
        slot.text = text if current else None
        return Identity(carried(handle.hex(), slot), secret), current

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._clock()

    def check_room(self, payload: bytes, /) -> None:
        """Raise `SessionTooLarge` where the sealed record would not fit into the cookie."""
        length = HANDLE_SIZE + self._size(_HEAD.size + len(payload))
        size = (length * 4 + 2) // 3
        if size > self._room:
            raise CookieTooLarge(size, self._room)

    def _seal(self, identity: Identity, stored: Stored, slot: Slot) -> str:
        handle = bytes.fromhex(identity.handle)
        place = self._names + handle
        expires_at = inf if stored.expires_at is None else stored.expires_at
        head = _HEAD.pack(stored.version, expires_at, slot.issued_at, slot.until, identity.secret)
        return _encode(handle + self._aead.cipher(place).seal(head + stored.payload, place))

    def __repr__(self) -> str:
        return "<SealedIDs>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("SealedIDs hold keys: build them from the configuration in each process")


def _encode(sealed: bytes) -> str:
    return b2a_base64(sealed, newline=False).rstrip(b"=").translate(TO_URL).decode()


def _decode(text: str) -> bytes | None:
    """Return the bytes of base64url; `None` for any spelling but the one that `_encode` has."""
    try:
        sealed = a2b_base64(text.encode().translate(FROM_URL) + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return sealed if _encode(sealed) == text else None
