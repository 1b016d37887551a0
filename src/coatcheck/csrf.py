"""CSRF tokens: what a form carries to show that a page of this very session made it.

    base64url(salt 24 | mac 24)

48 bytes are 64 characters exactly, so a token is never taken for a session ID. The `mac` is
HMAC-SHA256 (RFC 2104), truncated to 192 bits, over the purpose, the length-prefixed namespace, the
salt and the session's handle, under a subkey of its own. So a token dies with its session, `login`
and `regenerate` included, and nothing is stored. The salt is new each time: two tokens have nothing
in common that a compressed page could give away (BREACH, CVE-2013-3587).

The secret half of the ID plays no part, so that tokens in open pages outlive an exchange of it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from typing import Final, NoReturn

from coatcheck.keys import KeyRing

TOKEN_LENGTH: Final = 64
SALT_SIZE: Final = 24
MAC_SIZE: Final = 24

_PURPOSE: Final = b"coatcheck csrf token"
_matches_form: Final = re.compile(r"[A-Za-z0-9_-]{64}").fullmatch


class CSRFTokens:
    """Makes and checks the tokens of one namespace; the ring's old secrets still verify."""

    __slots__ = ("_prefix", "_subkeys")

    def __init__(self, keys: KeyRing, namespace: str) -> None:
        self._subkeys = tuple(key.subkey("csrf") for key in keys.keys)
        space = namespace.encode("ascii")
        self._prefix = _PURPOSE + bytes([len(space)]) + space

    def make(self, handle: str) -> str:
        """Return a token for the session of that handle: another one at each call."""
        salt = secrets.token_bytes(SALT_SIZE)
        return urlsafe_b64encode(salt + self._mac(self._subkeys[0], salt, handle)).decode()

    def verify(self, token: object, handle: str) -> bool:
        """Say whether the token was made for the session of that handle.

        `False` for whatever else it is; one of the wrong length costs nothing.
        """
        if not isinstance(token, str) or len(token) != TOKEN_LENGTH or not _matches_form(token):
            return False
        both = urlsafe_b64decode(token)
        salt, mac = both[:SALT_SIZE], both[SALT_SIZE:]
        return any(compare_digest(self._mac(key, salt, handle), mac) for key in self._subkeys)

    def _mac(self, key: bytes, salt: bytes, handle: str) -> bytes:
        text = self._prefix + salt + bytes.fromhex(handle)
        return hmac.digest(key, text, "sha256")[:MAC_SIZE]

    def __repr__(self) -> str:
        return "<CSRFTokens>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("CSRFTokens hold keys: build them from the configuration in each process")
