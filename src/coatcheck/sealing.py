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
    wraps: tuple[bytes, ...]
    """The data key under the secret half of the client's ID, and under the half before that."""

    def size(self, length: int) -> int:
        """Return how long the envelope of so many bytes of data is."""
        return 1 + sum(map(len, self.wraps)) + self.cipher.size(length)

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """Return the envelope of data that opens only in its place, beside the bytes `bound`."""
        start = b"".join((bytes((len(self.wraps),)), *self.wraps))
        return start + self.cipher.seal(data, b"".join((start, self.place, bound)))

    def settled(self) -> Sealing:
        """Return the sealing that opens under the newest secret only."""
        return self._replace(wraps=self.wraps[:1])

    def __repr__(self) -> str:
        return f"<Sealing with {len(self.wraps)} wrapped keys>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Sealing holds keys, which stay in the process")


make_sealing: Final = maker(Sealing)
