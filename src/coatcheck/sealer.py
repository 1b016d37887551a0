"""Seals the data of sessions and opens it again: whose key it takes, and what it is bound to.

With `encrypt=True` a session's key is made of the application's secret and the handle. With
`encrypt="sealed"` it takes a random data key besides, which the store has only wrapped under the
secret half of the client's ID:

    wrapped = data key XOR HMAC-SHA256(public label, namespace, handle, client's secret)

That is HKDF's extraction (RFC 5869, 2.2) used as a one-time pad. It is used once, for a session has
one data key all its life, and a new ID is a new pad. What was tampered with gives another key, and
that opens nothing; so the integrity that AES key wrap (RFC 3394) adds, at many times the cost, is
there. A stolen store opens to nobody then, not even with the application's secret, and the client's
ID opens nothing without that.

The envelope is bound to its session's handle and namespace and to the head of its record: user,
epoch, times, secret's hash, codec. It cannot be bound to the version or to the sliding deadline,
which the store counts and moves by itself.
"""

from __future__ import annotations

from hmac import compare_digest
from secrets import token_bytes
from typing import Final

from coatcheck import layout
from coatcheck.aead import AEAD, MAC, Undecipherable
from coatcheck.errors import SessionSealed
from coatcheck.ids import Identity, secret_hash
from coatcheck.keys import KeyRing
from coatcheck.record import UNREADABLE, Content, Record, SealedRecord, make_record
from coatcheck.sealing import Sealing, make_sealing

DATA_KEY_SIZE: Final = 32
_LABEL: Final = b"coatcheck data key, wrapped"
_MOST_WRAPS: Final = 2


class Sealer:
    """Seals and opens the records of one namespace.

    `by_client` says that it takes the client's ID to open one. Raises `ConfigurationError` where a
    secret of the ring is weak.
    """

    __slots__ = ("_aead", "_by_client", "_namespace", "_pad")

    def __init__(self, keys: KeyRing, namespace: str, *, by_client: bool) -> None:
        self._aead = AEAD(keys, "encryption")
        self._pad = MAC(_LABEL)
        self._namespace = bytes((len(namespace),)) + namespace.encode("ascii")
        self._by_client = by_client

    def fresh(self, identity: Identity) -> Sealing:
        """Return the sealing of a session that begins: with a data key of its own, if it takes one.

        No other session may have this identity, or ever have had it.
        """
        place = self._place(identity.handle)
        if not self._by_client:
            return make_sealing((self._aead.cipher(place), place, b"", ()))
        data_key = token_bytes(DATA_KEY_SIZE)
        wraps = (self._wrap(data_key, place, identity.secret),)
        return make_sealing((self._aead.cipher(place + data_key), place, data_key, wraps))

    def rewrapped(self, sealing: Sealing, secret: bytes) -> Sealing:
        """Return the sealing that opens under a new secret too, beside the newest one so far.

        The record that it is stored in must have the new secret's hash.
        """
        if not sealing.data_key:
            return sealing
        wrap = self._wrap(sealing.data_key, sealing.place, secret)
        return sealing._replace(wraps=(wrap, sealing.wraps[0]))

    def pack(self, content: Content, *, text: bool) -> bytes:
        """Turn a record or a tombstone into a payload, as `layout.pack` does: never plain data.

        Raises `SessionSealed` for a record whose key is not known here.
        """
        if isinstance(content, Record) and content.sealing is None:
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
        envelope = record.data
        place = self._place(identity.handle)
        count = envelope[0] if envelope else 0
        end = 1 + count * DATA_KEY_SIZE
        if not envelope or (1 <= count <= _MOST_WRAPS) is not self._by_client:
            raise Undecipherable("the data is encrypted otherwise than `encrypt` says")
        wraps = tuple([envelope[at : at + DATA_KEY_SIZE] for at in range(1, end, DATA_KEY_SIZE)])
        if known is not None:
            data_key = known.data_key
        elif not count:
            data_key = b""
        elif not identity.secret:
            return make_record((*record[:8], UNREADABLE, b"", None, *record[11:]))
        else:
            older = count > 1 and not compare_digest(
                secret_hash(identity.secret), record.secret_hash
            )
            data_key = self._wrap(wraps[older], place, identity.secret)
        data, cipher = self._aead.open(
            envelope[end:], place + data_key, b"".join((envelope[:end], place, record.bound))
        )
        sealing = make_sealing((cipher, place, data_key, wraps))
        return make_record((*record[:9], data, sealing, *record[11:]))

    def _place(self, handle: str) -> bytes:
        return self._namespace + bytes.fromhex(handle)

    def _wrap(self, data_key: bytes, place: bytes, secret: bytes) -> bytes:
        """Wrap a data key, or unwrap it: the same pad does both."""
        pad = self._pad(place + secret)
        both = int.from_bytes(data_key, "big") ^ int.from_bytes(pad, "big")
        return both.to_bytes(DATA_KEY_SIZE, "big")

    def __repr__(self) -> str:
        return "<Sealer>"
