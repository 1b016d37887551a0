"""The signed session ID: what the client holds, checked before any store is asked.

    base64url(version 1 | key id 2 | handle 16 | secret 16 | mac 16)

51 bytes are 68 characters exactly: no padding and no spare bits, so each ID has one spelling. The
`mac` is HMAC-SHA256 (RFC 2104), truncated to 128 bits, over the purpose, the length-prefixed
namespace, version, key id, handle and secret. The *handle* names the record and is no secret. The
*secret* is known to the client alone; the record keeps its hash, so a stolen store holds no IDs.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from binascii import a2b_base64, b2a_base64
from hmac import compare_digest
from typing import Final, NamedTuple, NoReturn

from coatcheck import checks
from coatcheck.keys import Key, KeyRing, hmac_under
from coatcheck.tuples import maker

VERSION: Final = 1
ID_LENGTH: Final = 68
HANDLE_SIZE: Final = 16
SECRET_SIZE: Final = 16
MAC_SIZE: Final = 16

_PURPOSE: Final = b"coatcheck session id"
_PREFIX_LENGTH: Final = 4
_SIGNED_SIZE: Final = HANDLE_SIZE + SECRET_SIZE
_BODY_SIZE: Final = _SIGNED_SIZE + MAC_SIZE
# The characters of plain base64 that base64url has not are made invalid, lest one ID had two
# spellings. The decoder skips what is invalid, which then shows in the length of what it returns.
FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/!!")
TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_matches_form: Final = re.compile(r"[A-Za-z0-9_-]{68}").fullmatch


class Identity(NamedTuple):
    """Who a session is: the public name of its record, and what proves the right to it."""

    handle: str
    """32 lower-case hex digits: the store's key, safe in logs."""
    secret: bytes
    """16 bytes; never stored, never logged."""

    def __repr__(self) -> str:
        return f"Identity(handle={self.handle!r}, secret=...)"


_identity: Final = maker(Identity)


class IDSigner:
    """Mints, signs and verifies the IDs of one namespace.

    `namespace` keeps applications with the same secret apart: 1 to 64 characters of
    `[A-Za-z0-9:_.-]`, else `ConfigurationError`.
    """

    __slots__ = ("_by_prefix", "_current")

    def __init__(self, keys: KeyRing, namespace: str) -> None:
        checks.namespace("namespace", namespace)
        self._current = _PreparedKey(keys.keys[0], namespace)
        self._by_prefix: dict[str, list[_PreparedKey]] = {}
        # Key ids have 16 bits, so two secrets of a ring may share one; then both are tried.
        for key in keys.keys:
            prepared = self._current if key is keys.keys[0] else _PreparedKey(key, namespace)
            self._by_prefix.setdefault(prepared.prefix, []).append(prepared)

    def mint(self) -> Identity:
        """Return a new identity: 256 bits from the system's CSPRNG (SEC-01)."""
        drawn = secrets.token_bytes(_SIGNED_SIZE)
        return _identity((drawn[:HANDLE_SIZE].hex(), drawn[HANDLE_SIZE:]))

    def sign(self, identity: Identity, /) -> str:
        """Return the ID under the current secret: 68 characters.

        Raises `ValueError` if the identity is not one of `mint` or `verify`.
        """
        handle, secret = identity
        signed = bytes.fromhex(handle) + secret
        if len(signed) != _SIGNED_SIZE or len(secret) != SECRET_SIZE:
            raise ValueError("an identity is a handle of 32 hex digits and a secret of 16 bytes")
        key = self._current
        body = signed + key.mac(signed)
        return key.prefix + b2a_base64(body, newline=False).translate(TO_URL).decode()

    def verify(self, text: str, /) -> tuple[Identity, bool] | None:
        """Return the identity, and whether the current secret signed it.

        `None` for whatever was not signed with our secrets. Never raises for any string, and does
        no work for one of the wrong length. An ID under an old secret is to be issued anew.
        """
        if len(text) != ID_LENGTH:
            return None
        # The first four characters are version and key id; they select from our own list and
        # nothing else (SEC-08).
        keys = self._by_prefix.get(text[:_PREFIX_LENGTH])
        if keys is None:
            return None
        try:
            body = a2b_base64(text[_PREFIX_LENGTH:].encode().translate(FROM_URL))
        except ValueError:
            return None
        if len(body) != _BODY_SIZE:
            return None
        signed, mac = body[:_SIGNED_SIZE], body[_SIGNED_SIZE:]
        for key in keys:
            if compare_digest(key.mac(signed), mac):
                identity = _identity((signed[:HANDLE_SIZE].hex(), signed[HANDLE_SIZE:]))
                return identity, key is self._current
        return None

    def __repr__(self) -> str:
        return "<IDSigner>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an IDSigner holds keys: build it from the configuration in each process")


class _PreparedKey:
    """One key, with all of the MAC's input absorbed that is the same for every ID."""

    __slots__ = ("mac", "prefix")

    def __init__(self, key: Key, namespace: str) -> None:
        space = namespace.encode("ascii")
        head = bytes([VERSION]) + key.key_id
        self.prefix = b2a_base64(head, newline=False).translate(TO_URL).decode()
        beginning = _PURPOSE + bytes([len(space)]) + space + head
        self.mac = hmac_under(key.subkey("session-id"), beginning, MAC_SIZE)


def has_form_of_id(text: str) -> bool:
    """Say whether `text` looks like an ID: 68 characters of `[A-Za-z0-9_-]`."""
    return len(text) == ID_LENGTH and _matches_form(text) is not None


def secret_hash(secret: bytes) -> bytes:
    """Return what a record keeps of the secret half of an ID: its SHA-256, 32 bytes."""
    return hashlib.sha256(secret).digest()
