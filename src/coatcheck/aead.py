"""Authenticated encryption under the application's secret: AES-256-GCM, one key a context.

    envelope = version 1 | key id 2 | nonce 12 | ciphertext | tag 16

Each context (a session, say) has a key of its own, derived in one step from a subkey of the secret,
in the form of NIST SP 800-56C, 4.1, with SHA-256: nonces are random, and one key may have 2^32 of
them (NIST SP 800-38D, 8.3), which a session never needs and a busy application would in weeks. The
key id selects from our own secrets. It is authenticated, and no other key is ever tried: AES-GCM
does not bind a ciphertext to one key. Lengths show no more than how many blocks the text fills.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from secrets import token_bytes
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm

from coatcheck.errors import ConfigurationError, CorruptRecord
from coatcheck.keys import KEY_ID_SIZE, KeyRing
from coatcheck.tuples import maker

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = 1
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
BLOCK: Final = 256
"""Texts are padded to a multiple of so many bytes, their end mark included."""

_HEADER_SIZE: Final = 1 + KEY_ID_SIZE
_START: Final = _HEADER_SIZE + NONCE_SIZE
_COUNTER: Final = (1).to_bytes(4, "big")
_END_MARK: Final = b"\x80"


class Undecipherable(CorruptRecord):
    """What is stored does not open under our keys, in this place: forged, swapped or damaged."""


class Cipher(NamedTuple):
    """Encrypts in one context, under the current secret; the nonce of each text is random."""

    header: bytes
    aes: AESGCM
    block: int

    def size(self, length: int) -> int:
        """Return how long the envelope of a text of `length` bytes is."""
        return _START + length + self.block - length % self.block + TAG_SIZE

    def seal(self, text: bytes, associated: bytes, start: bytes = b"") -> bytes:
        """Return the envelope of a text, behind the bytes `start`.

        It opens only beside the bytes `associated`.
        """
        header, aes, block = self
        size = len(text)
        padded = (text + _END_MARK).ljust(size + block - size % block, b"\0")
        nonce = token_bytes(NONCE_SIZE)
        return b"".join((start, header, nonce, aes.encrypt(nonce, padded, header + associated)))

    def __repr__(self) -> str:
        return "<Cipher>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Cipher holds a key, which stays in the process")


_cipher: Final = maker(Cipher)


class AEAD:
    """Encrypts for one purpose under a ring's current secret, and decrypts under any of the ring.

    `block` is that to which texts are padded, in bytes. Raises `ConfigurationError` where a secret
    of the ring is weak, where two have one key id, and where `cryptography` cannot encrypt.
    """

    __slots__ = ("_aes", "_block", "_current", "_derive")

    def __init__(self, keys: KeyRing, purpose: str, *, block: int = BLOCK) -> None:
        if keys.weak:
            raise ConfigurationError("encryption needs strong secrets, old ones included")
        self._aes = _aes_gcm()
        self._block = block
        self._derive = {
            bytes((VERSION,)) + key.key_id: _derivation_from(key.subkey(purpose))
            for key in keys.keys
        }
        if len(self._derive) < len(keys.keys):
            raise ConfigurationError(
                "two of the secrets have the same key id, which happens once in 65,536 times, and"
                " what is encrypted could not tell them apart: generate another secret"
            )
        self._current = next(iter(self._derive))

    def cipher(self, context: bytes) -> Cipher:
        """Return what encrypts in a context: bytes that name it, and may hold secrets too."""
        header = self._current
        return _cipher((header, self._aes(self._derive[header](context)), self._block))

    def open(self, envelope: bytes, context: bytes, associated: bytes) -> tuple[bytes, Cipher]:
        """Return the text of an envelope, and the cipher that encrypts in this context now.

        Raises `Undecipherable` for whatever was not sealed by us, in this context, beside the bytes
        `associated`, under a secret of the ring.
        """
        header = envelope[:_HEADER_SIZE]
        derive = self._derive.get(header)
        if derive is None:
            raise Undecipherable("the data is encrypted under a secret that is not ours")
        aes = self._aes(derive(context))
        try:
            padded = aes.decrypt(
                envelope[_HEADER_SIZE:_START], envelope[_START:], header + associated
            )
        except (InvalidTag, ValueError):
            raise Undecipherable("the data was not encrypted in this place, as it is") from None
        # What was authenticated ends as it was written: in one mark, and zeros.
        text = padded[: padded.rindex(_END_MARK)]
        if header == self._current:
            return text, _cipher((header, aes, self._block))
        return text, self.cipher(context)

    def __repr__(self) -> str:
        return f"<AEAD of {len(self._derive)} keys>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AEAD holds keys: build it from the configuration in each process")


def _derivation_from(subkey: bytes) -> Callable[[bytes], bytes]:
    """Return what derives the key of a context, going on with a copy of what comes before that."""
    begin = hashlib.sha256(_COUNTER + subkey).copy

    def derive(context: bytes, /) -> bytes:
        derivation = begin()
        derivation.update(context)
        return derivation.digest()

    return derive


def _aes_gcm() -> type[AESGCM]:
    # What cannot encrypt must not start, let alone store plain text (CVE-2026-39324).
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        AESGCM(bytes(32))
    except (ImportError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"encryption needs AES-GCM, which `cryptography` does not offer here: {error}"
        ) from error
    return AESGCM
