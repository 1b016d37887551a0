"""Rows 2 to 4: what is accepted as an ID, by which secrets and in which namespace."""

from __future__ import annotations

import string
from functools import cache
from hashlib import sha256
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Final

from hypothesis.stateful import get_state_machine_test

from coatcheck.csrf import CSRFTokens
from coatcheck.ids import HANDLE_SIZE, ID_LENGTH, Identity, IDSigner
from coatcheck.keys import KeyRing
from tests.core.test_ids import Rotation
from tests.fuzz.target import Feed, Fuzz, Target, edited, of_hypothesis, random_bytes

_SECRETS: Final = ("x7Qm2_vTz9LrWc4NbYk1HsDf6JpGa3Ue", "Zp8dR-w5Ki0oXtBq7EuVy2hCn4MsFj9A")
_URL_SAFE: Final = (string.ascii_letters + string.digits + "-_").encode()
_IN_NAMES: Final = string.ascii_letters + string.digits + ":_.-"


@cache
def signer() -> IDSigner:
    """Return a signer that verifies under two secrets."""
    return IDSigner(KeyRing(_SECRETS[0], [_SECRETS[1]]), "coatcheck")


@cache
def issued() -> dict[str, tuple[Identity, bool]]:
    """Return IDs that were issued, under both secrets, and what they stand for."""
    made: dict[str, tuple[Identity, bool]] = {}
    for number in range(64):
        digest = sha256(b"%d" % number).digest()
        identity = Identity(digest[:HANDLE_SIZE].hex(), digest[HANDLE_SIZE:])
        for secret in _SECRETS:
            one = IDSigner(KeyRing(secret), "coatcheck")
            made[one.sign(identity)] = (identity, secret is _SECRETS[0])
    return made


def edits() -> Fuzz:
    """Edit IDs that were issued; only those themselves are accepted."""
    known, verify = issued(), signer().verify
    texts = [text.encode() for text in known]
    count = len(texts)

    def make(dice: Random) -> bytes:
        text = bytearray(texts[int(dice.random() * count)])
        kind = dice.getrandbits(4)
        if kind == 0:
            return bytes(text)
        if kind == 1:
            return edited(dice, bytes(text), 8)
        if kind == 2:  # two halves that were both issued
            place = dice.randrange(ID_LENGTH)
            return bytes(text[:place]) + texts[int(dice.random() * count)][place:]
        if kind == 3:
            return (bytes(text) * 3)[: dice.randrange(201)]
        for _ in range(kind & 7 or 8):
            place = int(dice.random() * ID_LENGTH)
            if kind & 8:
                text[place] = _URL_SAFE[dice.getrandbits(6)]
            else:
                text[place] ^= 1 << dice.getrandbits(3)
        return bytes(text)

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        assert verify(text) == known.get(text)

    return Fuzz(make, check)


def _name(feed: Feed) -> str:
    return "".join(feed.pick(_IN_NAMES) for _ in range(1 + feed.number(64)))


def _secret(feed: Feed) -> str:
    return sha256(b"%d" % feed.number(40)).hexdigest()


def namespaces() -> Fuzz:
    """Sign under one secret in one namespace, and verify under another in another."""

    def check(data: bytes) -> None:
        feed = Feed(data)
        secret, other_secret = _secret(feed), _secret(feed)
        name = _name(feed)
        other_name = _name(feed) if feed.number(2) else name[: 1 + feed.number(64)]
        identity = Identity(
            sha256(data).digest()[:HANDLE_SIZE].hex(), sha256(data).digest()[HANDLE_SIZE:]
        )
        text = IDSigner(KeyRing(secret), name).sign(identity)
        other = IDSigner(KeyRing(other_secret), other_name)
        same = (secret, name) == (other_secret, other_name)
        assert other.verify(text) == ((identity, True) if same else None)
        rotated = IDSigner(KeyRing(other_secret, [secret] if secret != other_secret else []), name)
        assert rotated.verify(text) == (identity, secret == other_secret)
        token = CSRFTokens(KeyRing(secret), name).make(identity.handle)
        checker = CSRFTokens(KeyRing(other_secret), other_name)
        assert checker.verify(token, identity.handle) == same
        assert not checker.verify(text, identity.handle)
        assert other.verify(token) is None
        assert other.verify((token + text)[:ID_LENGTH]) is None

    return Fuzz(random_bytes((4, 40, 150)), check)


def rotation() -> Fuzz:
    """Let secrets come, go and change places, against the model of the core's tests."""
    check = of_hypothesis(get_state_machine_test(Rotation))
    return Fuzz(random_bytes((300, 1_500, 6_000)), check)


TARGETS: Final = (
    Target(
        name="id-edits",
        row=2,
        full=10_000_000,
        quick=5_000,
        promise="a text is accepted exactly if it is an ID that was issued",
        build=edits,
        guided=True,
    ),
    Target(
        name="namespaces",
        row=3,
        full=200_000,
        quick=100,
        promise="what is signed verifies under its own secret in its own namespace, and only there",
        build=namespaces,
    ),
    Target(
        name="key-rotation",
        row=4,
        full=5_000,
        quick=5,
        promise="an ID verifies as long as the secret that signed it is in the ring",
        build=rotation,
    ),
)
