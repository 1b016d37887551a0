"""Secrets to subkeys: one root secret, one subkey a purpose, and rotation.

A root secret is never a key by itself. Each purpose (signing IDs and CSRF tokens now; encryption
later) has a subkey of its own by HKDF-SHA256 (RFC 5869), so what one of them gives away tells
nothing about another.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NoReturn, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coatcheck.errors import ConfigurationError, WeakSecretWarning

SUBKEY_SIZE: Final = 32
KEY_ID_SIZE: Final = 2
SHORTEST_SECRET: Final = 32

_SALT: Final = b"coatcheck"
_INFO: Final = b"v1/"
_BLOCK_SIZE: Final = 64
_REMEDY: Final = "generate one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"

_FEWEST_DISTINCT_BYTES: Final = 6
_LONGEST_SEARCHED_FOR_A_PERIOD: Final = 4096
_LEAST_BESIDE_PLACEHOLDERS: Final = 20
# Words of secrets that were published in documents, examples and settings templates, which a
# guesser tries first (CVE-2023-27524, CVE-2020-17526).
_WORDS: Final = """
    123456 12345 1234 123 32 64 abcdef abc admin airflow app application at bar baz before bytes
    change changed changeit changeme characters chars complex cookie default demo deploy dev develop
    development django do dummy example fastapi flask foo for generate generated here hidden in
    insecure is it jwt key least lengthy local localhost long me must my non not or own pass
    passphrase password placeholder please prod production qwerty random replace safe sample scret
    secret secretkey secrets secure session sessions set some something starlette string super temp
    temporary test testing that the this to todo token unsafe use value very with xxx you your
"""
_PLACEHOLDERS: Final = re.compile(
    "|".join(sorted(_WORDS.split(), key=len, reverse=True)) + r"|[\s._-]"
)
# Django's own mark for a secret that lies in the repository, and the beginnings of the secrets in
# the tutorials of FastAPI and Flask.
_PUBLISHED: Final = ("django-insecure-", "09d25e094faa6ca2", "192b9bdd22ab9ed4")


class Key:
    """One secret of a ring, seen only through what is derived from it."""

    __slots__ = ("_secret", "key_id")

    key_id: bytes
    """Two bytes that an ID carries, to say which secret signed it; they tell nothing about it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.key_id = self.subkey("key-id")[:KEY_ID_SIZE]

    def subkey(self, purpose: str, /) -> bytes:
        """Return the 32 bytes that belong to `purpose` and to nothing else."""
        info = _INFO + purpose.encode("ascii")
        return HKDF(algorithm=SHA256(), length=SUBKEY_SIZE, salt=_SALT, info=info).derive(
            self._secret
        )

    def __repr__(self) -> str:
        return f"<Key {self.key_id.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key holds a secret: build a KeyRing from the configuration instead")


class KeyRing:
    """The application's secrets: `secret` signs, the old ones still verify.

    `old_secrets` is a list, newest first or in any order. Raises `ConfigurationError` for a secret
    that is missing, empty, of another type, or listed twice, and where `old_secrets` is a bare
    string: taken for a list, every character of it would be a secret (pallets/flask#6089).
    Warns once, with `WeakSecretWarning`, where a secret is shorter than 32 bytes, a repetition or
    a known placeholder; where `strong_for` names what rests on the secrets being strong, that is a
    `ConfigurationError`.
    """

    __slots__ = ("keys", "weak")

    keys: tuple[Key, ...]
    """The current key, then the old ones."""
    weak: bool
    """Whether any secret is weak; what must hold without a server in between refuses these."""

    def __init__(
        self,
        secret: str | bytes,
        old_secrets: Sequence[str | bytes] = (),
        *,
        strong_for: str | None = None,
    ) -> None:
        named = [("secret", _as_bytes(secret, "secret"))]
        for number, old in enumerate(_as_list(old_secrets)):
            name = f"old_secrets[{number}]"
            value = _as_bytes(old, name)
            for other, known in named:
                if value == known:
                    raise ConfigurationError(f"{name} is the same as {other}: leave it out")
            named.append((name, value))
        weak = [name for name, value in named if is_weak(value)]
        self.keys = tuple(Key(value) for _, value in named)
        self.weak = bool(weak)
        if weak and strong_for is not None:
            raise ConfigurationError(
                f"{' and '.join(weak)}: shorter than {SHORTEST_SECRET} bytes or easily guessed,"
                f" which {strong_for} must not rest on: {_REMEDY}"
            )
        if weak:
            warnings.warn(
                f"{' and '.join(weak)}: shorter than {SHORTEST_SECRET} bytes or easily guessed;"
                f" {_REMEDY}",
                WeakSecretWarning,
                stacklevel=2,
            )

    def subkey(self, purpose: str, /) -> bytes:
        """Return the current secret's subkey for `purpose`: 32 bytes."""
        return self.keys[0].subkey(purpose)

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self.keys)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyRing holds secrets: build it from the configuration in each process")


MAC: TypeAlias = Callable[[bytes], bytes]


def hmac_under(key: bytes, beginning: bytes, size: int) -> MAC:
    """Return HMAC-SHA256 (RFC 2104) under a key of at most 64 bytes, truncated to `size` bytes.

    It is that of `beginning` and the text it is given. Copying prepared states takes a third as
    long as `hmac.digest`.
    """
    block = key.ljust(_BLOCK_SIZE, b"\0")
    inner_start = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    inner_start.update(beginning)
    begin = inner_start.copy
    finish = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def mac(text: bytes, /) -> bytes:
        inner, outer = begin(), finish()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()[:size]

    return mac


def is_weak(secret: bytes) -> bool:
    """Say whether a secret is short, a repetition, a sequence or made of placeholder words."""
    size = len(secret)
    if size < SHORTEST_SECRET or len(set(secret)) < _FEWEST_DISTINCT_BYTES:
        return True
    if size <= _LONGEST_SEARCHED_FOR_A_PERIOD and any(
        secret[period:] == secret[:-period] for period in range(1, size // 2 + 1)
    ):
        return True
    steps = Counter((after - before) % 256 for before, after in pairwise(secret))
    if max(steps.values()) > size // 2:
        return True
    text = secret.decode("latin-1").lower()
    if text.startswith(_PUBLISHED):
        return True
    return len(_PLACEHOLDERS.sub("", text)) < _LEAST_BESIDE_PLACEHOLDERS


def _as_list(old_secrets: Sequence[str | bytes]) -> Sequence[str | bytes]:
    # A generator would be empty the second time somebody reads it.
    kind: type = type(old_secrets)
    if issubclass(kind, list | tuple):
        return old_secrets
    raise ConfigurationError(
        f"old_secrets must be a list, not {kind.__name__}: write old_secrets=[...]"
    )


def _as_bytes(secret: object, name: str) -> bytes:
    if secret is None or (isinstance(secret, str | bytes) and not secret):
        raise ConfigurationError(f"{name} is missing or empty: {_REMEDY}")
    if isinstance(secret, bytes):
        return secret
    if isinstance(secret, str):
        try:
            return secret.encode()
        except UnicodeEncodeError:
            # The original error carries the secret.
            raise ConfigurationError(f"{name} is not valid Unicode: pass it as bytes") from None
    raise ConfigurationError(f"{name} must be str or bytes, not {type(secret).__name__}: {_REMEDY}")
