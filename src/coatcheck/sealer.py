"""Seals the data of sessions and opens it again: whose key it takes, and what it is bound to.

With `encrypt=True` a session's key is made of the application's secret and the handle. With
`encrypt="sealed"` it takes a random data key besides, which the store has only wrapped under the
secret half of the client's ID:

    wrapped = data key XOR SHA-256(label, namespace, handle, client's secret)

To who does not know 128 random bits a hash of them is as good as random, and so a one-time pad. It
is used once: a session has one data key all its life, and a new ID is a new pad. What was tampered
with gives another key, and that opens nothing, so the integrity that AES key wrap (RFC 3394) adds,
at many times the cost, is there. A stolen store opens to nobody then, not even with the
application's secret, and the client's ID opens nothing without that.

The envelope is bound to its session's handle and namespace and to the head of its record: user,
epoch, times, secret's hash, codec. It cannot be bound to the version or to the sliding deadline,
which the store counts and moves by itself.
"""

from __future__ import annotations

import hashlib
from secrets import token_bytes
from typing import Final

from coatcheck import layout
from coatcheck.aead import AEAD, Undecipherable
from coatcheck.errors import SessionSealed
from coatcheck.ids import Identity
from coatcheck.keys import KeyRing
from coatcheck.record import UNREADABLE, Content, Record, SealedRecord, make_record
from coatcheck.sealing import Sealing, make_sealing

DATA_KEY_SIZE: Final = 32
_LABEL: Final = b"coatcheck data key, wrapped".ljust(64, b"\0")
# With which an envelope begins; behind the second the wrapped data key follows.
_BY_SERVER: Final = b"\0"
_BY_CLIENT: Final = b"\1"


class Sealer:
    """Seals and opens the records of one namespace.

    `by_client` says that it takes the client's ID to open one. Raises `ConfigurationError` where a
    secret of the ring is weak.
    """

    __slots__ = ("_aead", "_begin_pad", "_namespace", "_start_size", "_way")

    def __init__(self, keys: KeyRing, namespace: str, *, by_client: bool) -> None:
        self._aead = AEAD(keys, "encryption")
        self._namespace = bytes((len(namespace),)) + namespace.encode("ascii")
        self._begin_pad = hashlib.sha256(_LABEL).copy
        self._way = _BY_CLIENT if by_client else _BY_SERVER
        self._start_size = 1 + DATA_KEY_SIZE if by_client else 1

    def fresh(self, identity: Identity) -> Sealing:
        """Return the sealing of a session that begins: with a data key of its own, if it takes one.

        No other session may have this identity, or ever have had it.
        """
        place, data_key, start = self._place(identity), b"", self._way
        if start == _BY_CLIENT:
            data_key = token_bytes(DATA_KEY_SIZE)
            start += self._wrap(data_key, place, identity.secret)
        return make_sealing((self._aead.cipher(place + data_key), place, data_key, start))

    def rewrapped(self, sealing: Sealing, secret: bytes) -> Sealing:
        """Return the sealing of a session that goes on under a new secret of the client's."""
        cipher, place, data_key, start = sealing
        if data_key:
            start = self._way + self._wrap(data_key, place, secret)
        return make_sealing((cipher, place, data_key, start))

    def pack(self, content: Content, *, text: bool) -> bytes:
        """Turn a record or a tombstone into a payload, as `layout.pack` does: never plain data.

        Raises `SessionSealed` for a record whose key is not known here.
        """
        if isinstance(content, Record) and not isinstance(content.sealing, Sealing):
            raise SessionSealed
        return layout.pack(content, text=text)

    def open(self, record: Record, identity: Identity, known: Sealing | None = None) -> Record:
        """Return the record with its data; raises `Undecipherable`.

        `known` is the session's sealing, where it was opened before. Where it takes the client's ID
        and there is none (an administrator's handle), the data stays unread: any use of it raises
        `SessionSealed`, and nothing of the rest is proved.
        """
        if not isinstance(record, SealedRecord):
            raise Undecipherable("the data is not encrypted")
        digest, user, epoch, created, signed_in, idle, end, keep, codec, envelope, _, turn = record
        size, place = self._start_size, self._place(identity)
        start = envelope[:size]
        if start[:1] != self._way:
            raise Undecipherable("the data is encrypted otherwise than `encrypt` says")
        if known is not None:
            data_key = known.data_key
        elif size == 1:
            data_key = b""
        elif identity.secret:
            data_key = self._wrap(start[1:], place, identity.secret)
        else:
            return make_record(record)._replace(codec=UNREADABLE, data=b"", sealing=None)
        data, cipher = self._aead.open(
            envelope[size:], place + data_key, b"".join((start, place, record.bound))
        )
        sealing = make_sealing((cipher, place, data_key, start))
        return make_record(
            (digest, user, epoch, created, signed_in, idle, end, keep, codec, data, sealing, turn)
        )

    def _place(self, identity: Identity) -> bytes:
        return self._namespace + bytes.fromhex(identity[0])

    def _wrap(self, data_key: bytes, place: bytes, secret: bytes) -> bytes:
        """Wrap a data key, or unwrap it: the same pad does both."""
        pad = self._begin_pad()
        pad.update(place + secret)
        return (int.from_bytes(data_key) ^ int.from_bytes(pad.digest())).to_bytes(DATA_KEY_SIZE)

    def __repr__(self) -> str:
        return "<Sealer>"
