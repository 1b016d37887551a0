"""Secrets to subkeys: what a ring takes, when it warns, what it derives (SEC-10 to SEC-14)."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle  # noqa: TID251
import secrets
import warnings
from typing import Any, cast

import pytest

from coatcheck.errors import ConfigurationError, WeakSecretWarning
from coatcheck.keys import SUBKEY_SIZE, KeyRing, is_weak

GOOD = "x7Qm2_vTz9LrWc4NbYk1HsDf6JpGa3Ue"
OTHER = "Zp8dR-w5Ki0oXtBq7EuVy2hCn4MsFj9A"

WEAK = [
    "a" * 31,
    "short",
    "dev",
    "changeme",
    "secret",
    "a" * 64,
    "ab" * 32,
    "abcd" * 16,
    "aabbbabbaabababbbaabbabbabababbaabbab",
    "secret" * 8,
    "secretsecretsecretsecretsecretse",
    "changeme" * 4,
    "password" * 4,
    "0123456789abcdef" * 2,
    "0123456789" * 4,
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "zyxwvutsrqponmlkjihgfedcba9876543210",
    " " * 40,
    "\0" * 32,
    b"\0" * 64,
    b"\xff" * 32,
    bytes(range(64)),
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "django-insecure-" + GOOD + OTHER,
    "DJANGO-INSECURE-" + GOOD + OTHER,
    "\2\1thisismyscretkey\1\2\\e\\y\\y\\h",
    "\2\1thisismyscretkey\1\2\\e\\y\\y\\h" * 2,
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "TEST_NON_DEV_SECRET_FOR_THE_SUPERSET",
    "thisISaSECRET_1234_thisISaSECRET",
    "your-secret-key-change-in-production",
    "please change this secret before you deploy",
    "super-secret-key-that-must-be-changed-1234",
    "my-very-long-and-secure-secret-key-for-jwt-tokens",
    "insecure-development-key-do-not-use-in-production",
    "replace.this.placeholder.with.some.random.value",
]


def ring(secret: object, old: object = ()) -> KeyRing:
    """Build a ring from whatever, as a configuration file might."""
    return KeyRing(cast("str", secret), cast("list[str]", old))


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 after RFC 5869, without the library that the product uses."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    block, output = b"", b""
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


@pytest.mark.parametrize("missing", [None, "", b""])
def test_sec_12_a_missing_secret_is_an_error(missing: object) -> None:
    """No secret and an empty one are refused, and the message says how to make one."""
    with pytest.raises(ConfigurationError, match="token_urlsafe"):
        ring(missing)


@pytest.mark.parametrize("wrong", [7, 1.5, True, ["a"], bytearray(b"x" * 32), object()])
def test_a_secret_of_another_type_is_an_error(wrong: object) -> None:
    """A secret is text or bytes, and the message does not repeat what it was."""
    with pytest.raises(ConfigurationError, match="must be str or bytes") as caught:
        ring(wrong)
    assert repr(wrong) not in str(caught.value)


def test_undecodable_text_is_an_error_that_does_not_carry_the_secret() -> None:
    """A lone surrogate (a byte of the environment that is no UTF-8) is refused, without a trace."""
    with pytest.raises(ConfigurationError, match="pass it as bytes") as caught:
        ring("\udce4" + GOOD)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "old", [OTHER, OTHER.encode(), None, {OTHER}, {OTHER: 1}, iter([OTHER]), (_ for _ in [OTHER])]
)
def test_sec_11_old_secrets_must_be_a_list(old: object) -> None:
    """A bare string would be a list of one-letter secrets; a generator is empty the second time."""
    with pytest.raises(ConfigurationError, match=r"write old_secrets=\[") as caught:
        ring(GOOD, old)
    assert OTHER not in str(caught.value)


@pytest.mark.parametrize("old", [[None], [""], [b""], [OTHER, None], (OTHER, 7)])
def test_sec_11_every_old_secret_is_checked(old: object) -> None:
    """A hole in the list is an error that says which item it is."""
    with pytest.raises(ConfigurationError, match=r"old_secrets\[[01]\]"):
        ring(GOOD, old)


@pytest.mark.parametrize(
    "old", [[GOOD], [GOOD.encode()], [OTHER, GOOD], [OTHER, OTHER], [OTHER, OTHER.encode()]]
)
def test_sec_11_a_secret_listed_twice_is_an_error(old: object) -> None:
    """The current secret among the old ones means that rotation went wrong; it is told."""
    with pytest.raises(ConfigurationError, match="is the same as") as caught:
        ring(GOOD, old)
    assert GOOD not in str(caught.value)


@pytest.mark.parametrize("weak", WEAK)
def test_sec_12_a_weak_secret_warns_once_and_never_shows_itself(weak: str | bytes) -> None:
    """Whatever is short, repeated, in sequence or a known placeholder gives one warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keys = ring(weak)
    assert keys.weak
    assert [warning.category for warning in caught] == [WeakSecretWarning]
    message = str(caught[0].message)
    assert "token_urlsafe(32)" in message
    # "dev" and "secret" are words of the message anyway.
    if len(weak) > 8:
        assert str(weak) not in message
    assert caught[0].filename == __file__


def test_sec_12_several_weak_secrets_give_one_warning_that_names_them() -> None:
    """The warning says which secrets it is about, in one go."""
    with pytest.warns(WeakSecretWarning, match=r"^secret and old_secrets\[1\]: ") as caught:
        ring("dev", [GOOD, "changeme"])
    assert len(caught) == 1


def test_sec_12_random_secrets_never_warn() -> None:
    """30,000 secrets from the recommended generators pass."""
    for _ in range(10_000):
        assert not is_weak(secrets.token_urlsafe(32).encode())
        assert not is_weak(secrets.token_hex(16).encode())
        assert not is_weak(secrets.token_bytes(32))


def test_a_long_secret_is_checked_in_no_time() -> None:
    """The search for repetitions does not run away with a key file of a megabyte."""
    assert not is_weak(secrets.token_bytes(1_000_000))


@pytest.mark.parametrize(
    ("secret", "salt", "info", "output"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "0b" * 22,
            "",
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_sec_14_the_oracle_passes_the_vectors_of_rfc_5869(
    secret: str, salt: str, info: str, output: str
) -> None:
    """The HKDF of these tests gives what test cases 1 and 3 of the RFC demand."""
    derived = hkdf(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(info), 42)
    assert derived == bytes.fromhex(output)


def test_sec_14_subkeys_are_hkdf_of_the_secret() -> None:
    """1,000 random secrets: each subkey is HKDF-SHA256 with our salt and the purpose as info."""
    for _ in range(1_000):
        secret = secrets.token_bytes(secrets.choice([32, 33, 64, 65, 200]))
        purpose = secrets.token_hex(4)
        info = b"v1/" + purpose.encode()
        assert KeyRing(secret).subkey(purpose) == hkdf(secret, b"coatcheck", info, 32)


def test_sec_14_each_purpose_has_a_key_of_its_own() -> None:
    """No two purposes share a subkey, and none is the secret or its hash."""
    keys = KeyRing(GOOD)
    subkeys = [keys.subkey(purpose) for purpose in ("session-id", "encryption", "csrf", "key-id")]
    raw = GOOD.encode()
    assert len({*subkeys, raw, hashlib.sha256(raw).digest()}) == 6
    assert {len(subkey) for subkey in subkeys} == {SUBKEY_SIZE}


def test_sec_10_the_first_secret_is_the_current_one() -> None:
    """`subkey` is that of `secret`, whatever old ones there are."""
    keys = KeyRing(GOOD, [OTHER])
    assert keys.subkey("x") == KeyRing(GOOD).subkey("x") != KeyRing(OTHER).subkey("x")
    assert [key.subkey("x") for key in keys.keys] == [
        KeyRing(GOOD).subkey("x"),
        KeyRing(OTHER).subkey("x"),
    ]


def test_text_and_bytes_are_the_same_secret() -> None:
    """`"ä"` in a Python file and its UTF-8 bytes in an environment variable sign alike."""
    assert KeyRing(GOOD + "ä").subkey("x") == KeyRing((GOOD + "ä").encode()).subkey("x")


def test_sec_84_a_ring_shows_and_hands_over_nothing() -> None:
    """`repr` has no secret, and copying or pickling is refused with the remedy."""
    keys = KeyRing(GOOD, [OTHER])
    for item in (keys, *keys.keys):
        assert GOOD not in repr(item)
        assert OTHER not in repr(item)
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="from the configuration"):
                cast("Any", take)(item)
