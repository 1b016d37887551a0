"""How the data of one session is encrypted: what is kept of that while a record is open.

A record in the store is either plain or sealed. A sealed one says in its head all that is not data,
and its data is an envelope that opens under one key, in one place, for one head only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from coatcheck.tuples import maker

if TYPE_CHECKING:
    from coatcheck.aead import Cipher


class Sealing(NamedTuple):
    """The key of one session's data, in memory only, and what is stored to find it again."""

    cipher: Cipher
    """Encrypts under this session's key, made of the current secret."""
    place: bytes
    """The namespace and the handle: where the data belongs."""
    data_key: bytes
    """What the key is made of besides the application's secret: 32 random bytes, or none."""
    start: bytes
    """How the envelope begins: in which way it is sealed, and the data key as the store has it."""

    def size(self, length: int) -> int:
        """Return how long the envelope of so many bytes of data is."""
        return len(self.start) + self.cipher.size(length)

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """Return the envelope of data that opens only in its place, beside the bytes `bound`."""
        cipher, place, _, start = self
        return cipher.seal(data, b"".join((start, place, bound)), start)

    def __repr__(self) -> str:
        return "<Sealing>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Sealing holds keys, which stay in the process")


make_sealing: Final = maker(Sealing)
