"""The signed session ID: minted well, signed narrowly, verified strictly (SEC-01 to SEC-16)."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import multiprocessing
import os
import pickle  # noqa: TID251 - to see it refused
import random  # noqa: TID251 - edits that can be repeated, no secrets
import secrets
from collections.abc import Callable
from itertools import pairwise
from string import ascii_letters, digits
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from coatcheck import ids
from coatcheck.errors import ConfigurationError
from coatcheck.ids import Identity, IDSigner, has_form_of_id, secret_hash
from coatcheck.keys import MAC, KeyRing, hmac_under

SECRET = "x7Qm2_vTz9LrWc4NbYk1HsDf6JpGa3Ue"
OTHER = "Zp8dR-w5Ki0oXtBq7EuVy2hCn4MsFj9A"
ALPHABET = ascii_letters + digits + "-_"


CHANGES: list[Callable[[str], str]] = [
    lambda text: text + "=",
    lambda text: text + "\n",
    lambda text: " " + text,
    lambda text: "\n" + text[1:],
    lambda text: text[:-1] + "\n",
    lambda text: text[:-1] + "=",
    lambda text: text[:-4] + "====",
    lambda text: text[:4] + "=" + text[5:],
    lambda text: text.swapcase(),
    lambda text: text.lower(),
    lambda text: text[:-1] + "\udc80",
    lambda text: text[:-1] + "\N{KELVIN SIGN}",
    lambda text: text[:-2] + "é",
    lambda text: "",
]


def signer(secret: str = SECRET, *old: str, namespace: str = "coatcheck") -> IDSigner:
    """Return a signer over these secrets."""
    return IDSigner(KeyRing(secret, old), namespace)


SIGNER = signer()


def bytes_of(text: str) -> bytes:
    """Return the 51 bytes of an ID."""
    return base64.urlsafe_b64decode(text)


def mac_of(
    body: bytes, secret: str = SECRET, namespace: str = "coatcheck", purpose: str = "session id"
) -> bytes:
    """Compute the MAC of version, key id, handle and secret as the format says, by `hmac`."""
    key = KeyRing(secret).subkey("session-id")
    space = namespace.encode()
    message = f"coatcheck {purpose}".encode() + bytes([len(space)]) + space + body
    return hmac.digest(key, message, "sha256")[:16]


@pytest.fixture
def macs(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record every computation of a MAC."""
    made: list[bytes] = []

    def recording(key: bytes, beginning: bytes, size: int) -> MAC:
        compute = hmac_under(key, beginning, size)

        def mac(signed: bytes, /) -> bytes:
            made.append(signed)
            return compute(signed)

        return mac

    monkeypatch.setattr("coatcheck.ids.hmac_under", recording)
    return made


def test_sec_01_identities_come_from_the_systems_csprng(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of 32 bytes from `secrets` makes handle and secret; nothing else takes part."""
    draws: list[int] = []

    def token_bytes(size: int) -> bytes:
        draws.append(size)
        return bytes(range(size))

    monkeypatch.setattr(secrets, "token_bytes", token_bytes)
    assert signer().mint() == Identity(bytes(range(16)).hex(), bytes(range(16, 32)))
    assert draws == [32]


def test_sec_01_identities_are_distinct_and_even() -> None:
    """20,000 identities: no duplicate handle or secret, every bit set about half of the time."""
    mint, number = signer().mint, 20_000
    identities = [mint() for _ in range(number)]
    assert len({identity.handle for identity in identities}) == number
    assert len({identity.secret for identity in identities}) == number
    values = [int(handle + secret.hex(), 16) for handle, secret in identities]
    # Six standard deviations: a fair generator fails one run in two million.
    allowed = 6 * (number / 4) ** 0.5
    for bit in range(256):
        ones = sum(value >> bit & 1 for value in values)
        assert abs(ones - number / 2) < allowed


def _mint_many(pipe: Any) -> None:
    pipe.send([signer().mint().handle for _ in range(500)])
    pipe.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_sec_01_forked_children_share_no_identity() -> None:
    """Two children of one process draw from the system, not from a state that they inherited."""
    context = multiprocessing.get_context("fork")
    minted: list[str] = []
    for _ in range(2):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_mint_many, args=(theirs,))
        child.start()
        theirs.close()
        minted += ours.recv()
        child.join()
    assert len(set(minted)) == 1_000


def test_sec_02_the_generator_of_random_plays_no_part() -> None:
    """A seeded `random` does not repeat IDs, and all have one length."""
    random.seed(0)
    first = signer().sign(signer().mint())
    random.seed(0)
    second = signer().sign(signer().mint())
    assert first != second
    assert len(first) == len(second) == 68


def test_the_format_is_the_documented_one() -> None:
    """An ID is version, key id, handle, secret and the MAC that the documentation describes."""
    identity = signer().mint()
    raw = bytes_of(signer().sign(identity))
    assert raw[:1] == b"\x01"
    assert raw[1:3] == KeyRing(SECRET).keys[0].key_id
    assert raw[3:19].hex() == identity.handle
    assert raw[19:35] == identity.secret
    assert raw[35:] == mac_of(raw[:35])


def test_sec_13_the_mac_has_128_bits() -> None:
    """16 of the 32 bytes of SHA-256 are kept, which RFC 2104 allows at the least."""
    assert ids.MAC_SIZE * 8 == 128
    assert len(bytes_of(signer().sign(signer().mint()))) == 1 + 2 + 16 + 16 + 16


def test_a_signed_identity_verifies() -> None:
    """What `sign` returns, `verify` gives back, as current."""
    for _ in range(200):
        identity = signer().mint()
        text = signer().sign(identity)
        assert has_form_of_id(text)
        assert signer().verify(text) == (identity, True)


def test_sec_04_every_flipped_bit_is_refused() -> None:
    """Each of the 408 bits is covered."""
    identity = signer().mint()
    raw = bytes_of(signer().sign(identity))
    for bit in range(408):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.urlsafe_b64encode(changed).decode()
        assert signer().verify(text) is None


def test_sec_06_every_single_character_edit_is_refused() -> None:
    """Replacing, deleting, inserting or doubling any character, with any of the first 256."""
    verify = signer().verify
    text = signer().sign(signer().mint())
    characters = [chr(code) for code in range(256)]
    for place, old in enumerate(text):
        before, after = text[:place], text[place + 1 :]
        assert verify(before + after) is None
        for new in characters:
            if new != old:
                assert verify(before + new + after) is None
            assert verify(before + new + old + after) is None
    assert verify(text) is not None


@pytest.mark.parametrize("change", CHANGES)
def test_sec_06_one_identity_has_one_spelling(change: Callable[[str], str]) -> None:
    """Padding, blanks, case and look-alikes are refused."""
    assert signer().verify(change(signer().sign(signer().mint()))) is None


def test_sec_06_the_characters_of_plain_base64_are_refused() -> None:
    """`+` and `/` for `-` and `_` would be a second spelling."""
    texts = (signer().sign(signer().mint()) for _ in range(1_000))
    text = next(text for text in texts if "-" in text[4:] and "_" in text[4:])
    assert signer().verify(text) is not None
    assert signer().verify(text.replace("-", "+")) is None
    assert signer().verify(text.replace("_", "/")) is None


@given(st.text(alphabet=ALPHABET, min_size=68, max_size=68) | st.text())
@settings(max_examples=1_000, deadline=None)
def test_sec_05_nothing_raises_and_nothing_made_up_is_accepted(text: str) -> None:
    """Any string at all is answered with `None` (`compare_digest` on text would raise)."""
    assert SIGNER.verify(text) is None


def test_sec_05_the_comparison_is_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hmac.compare_digest` decides, on two byte strings of 16."""
    seen: list[tuple[object, object]] = []

    def compare(first: bytes, second: bytes) -> bool:
        seen.append((first, second))
        return hmac.compare_digest(first, second)

    monkeypatch.setattr(ids, "compare_digest", compare)
    text = signer().sign(signer().mint())
    assert signer().verify(text) is not None
    mac = bytes_of(text)[35:]
    assert seen == [(mac, mac)]


def test_sec_07_namespaces_do_not_know_each_other() -> None:
    """The same secret in another namespace is another signature (CVE-2020-17526)."""
    text = signer(namespace="shop").sign(signer().mint())
    assert signer(namespace="shop").verify(text) is not None
    for other in ("coatcheck", "Shop", "shop2", "sho", "shop."):
        assert signer(namespace=other).verify(text) is None


def test_sec_07_another_purpose_is_refused() -> None:
    """A token of the same layout under another label, or under the secret itself, is no ID."""
    body = bytes_of(signer().sign(signer().mint()))[:35]
    for mac in (
        mac_of(body, purpose="csrf token"),
        hmac.digest(SECRET.encode(), body, "sha256")[:16],
        hashlib.sha256(body).digest()[:16],
        hmac.digest(KeyRing(SECRET).subkey("csrf"), body, "sha256")[:16],
        bytes(16),
    ):
        assert signer().verify(base64.urlsafe_b64encode(body + mac).decode()) is None


def test_sec_07_the_namespace_cannot_run_into_what_follows() -> None:
    """The length before the namespace keeps two splits of the same bytes apart."""
    namespaces = ["a" * size for size in range(1, 65)]
    texts = [signer(namespace=name).sign(Identity("00" * 16, bytes(16))) for name in namespaces]
    assert len({text[-20:] for text in texts}) == 64


def test_sec_08_every_other_version_is_refused(macs: list[bytes]) -> None:
    """All 255 other version bytes, with a right MAC, are refused without a computation."""
    body = bytes_of(signer().sign(signer().mint()))[:35]
    macs.clear()
    for version in range(256):
        changed = bytes([version]) + body[1:]
        text = base64.urlsafe_b64encode(changed + mac_of(changed)).decode()
        assert (signer().verify(text) is not None) == (version == 1)
    assert len(macs) == 1


def test_sec_08_an_unknown_key_id_is_refused(macs: list[bytes]) -> None:
    """All other key ids, with a right MAC, are refused without a computation."""
    verify = signer().verify
    body = bytes_of(signer().sign(signer().mint()))[:35]
    macs.clear()
    for number in range(0, 65536, 7):
        changed = body[:1] + number.to_bytes(2, "big") + body[3:]
        if changed != body:
            text = base64.urlsafe_b64encode(changed + mac_of(changed)).decode()
            assert verify(text) is None
    assert macs == []


def test_sec_10_an_old_secret_verifies_and_is_told() -> None:
    """`secret` signs, `old_secrets` verify; dropped, they do not."""
    identity = signer().mint()
    before = signer(SECRET).sign(identity)
    rotated = signer(OTHER, SECRET)
    assert rotated.verify(before) == (identity, False)
    after = rotated.sign(identity)
    assert rotated.verify(after) == (identity, True)
    assert signer(OTHER).verify(after) == (identity, True)
    assert signer(SECRET).verify(after) is None
    assert signer(OTHER).verify(before) is None


def test_sec_10_secrets_with_the_same_key_id_are_both_tried() -> None:
    """Key ids have 16 bits: two secrets of one ring may share one, and both work."""
    seen: dict[bytes, str] = {}
    for number in range(5_000):
        secret = f"{number:08d}{SECRET}"
        key_id = KeyRing(secret).keys[0].key_id
        if key_id in seen:
            break
        seen[key_id] = secret
    else:
        pytest.fail("no two secrets share a key id")
    twin = seen[key_id]
    identity = signer().mint()
    both = signer(secret, twin)
    assert both.verify(signer(secret).sign(identity)) == (identity, True)
    assert both.verify(signer(twin).sign(identity)) == (identity, False)
    assert signer(secret).verify(signer(twin).sign(identity)) is None
    signed = signer(secret).sign(identity)
    assert both.verify(signed[:-1] + ("B" if signed[-1] == "A" else "A")) is None


def test_sec_13_random_macs_are_refused() -> None:
    """2^16 random MACs over one body: none is accepted."""
    verify = signer().verify
    head = signer().sign(signer().mint())[:44]
    draw = random.Random(13)
    for _ in range(2**16):
        tail = base64.urlsafe_b64encode(draw.randbytes(18)).decode()
        assert verify(head + tail) is None


def test_sec_60_other_lengths_cost_nothing(macs: list[bytes]) -> None:
    """Lengths 0 to 200 and a megabyte: no MAC is computed but for 68."""
    text = signer().sign(signer().mint())
    macs.clear()
    for length in (*range(201), 1_000_000):
        signer().verify((text * (length // 68 + 1))[:length])
    assert len(macs) == 1


def test_text_of_the_right_length_that_does_not_decode_costs_no_mac(macs: list[bytes]) -> None:
    """What is not base64url is refused before the MAC."""
    text = signer().sign(signer().mint())
    macs.clear()
    for junk in ("!" * 64, "=" * 64, "A" * 63 + "=", "é" * 64, "\udc80" * 64, " " * 64):
        assert signer().verify(text[:4] + junk) is None
    assert macs == []


@pytest.mark.parametrize("namespace", ["a", "coatcheck", "A:z_0.-9", "x" * 64])
def test_a_namespace_may_be_a_name(namespace: str) -> None:
    """Letters, digits and `: _ . -` make a namespace."""
    assert IDSigner(KeyRing(SECRET), namespace)


@pytest.mark.parametrize("namespace", ["", "x" * 65, "a b", "a\n", "\na", "a*", "a/b", "ä", "a\0"])
def test_another_namespace_is_an_error(namespace: str) -> None:
    """Whatever has a meaning in a file name, a key pattern or a header is refused."""
    with pytest.raises(ConfigurationError, match="namespace"):
        IDSigner(KeyRing(SECRET), namespace)


@pytest.mark.parametrize(
    "identity",
    [
        Identity("00" * 15, bytes(16)),
        Identity("00" * 17, bytes(15)),
        Identity("00" * 17, bytes(16)),
        Identity("00" * 16, bytes(15)),
        Identity("00" * 16, b""),
        Identity("zz" * 16, bytes(16)),
        Identity("", bytes(32)),
    ],
)
def test_only_an_identity_is_signed(identity: Identity) -> None:
    """A handle or secret of another size is a mistake in the program, told by `ValueError`."""
    with pytest.raises(ValueError):
        signer().sign(identity)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A" * 68, True),
        ("-" * 68, True),
        ("_9zZ" * 17, True),
        ("A" * 67, False),
        ("A" * 69, False),
        ("A" * 67 + "\n", False),
        ("A" * 68 + "\n", False),
        ("A" * 67 + "=", False),
        ("A" * 67 + "+", False),
        ("A" * 67 + "/", False),
        ("A" * 67 + "é", False),
        ("A" * 67 + "\N{ARABIC-INDIC DIGIT ONE}", False),
        ("", False),
    ],
)
def test_the_form_of_an_id(text: str, expected: bool) -> None:
    """68 characters of base64url are the form of an ID, and nothing else is."""
    assert has_form_of_id(text) is expected


def test_a_record_keeps_the_sha_256_of_the_secret() -> None:
    """What lies in the store is a hash of the secret, from which there is no way back."""
    assert secret_hash(b"x" * 16) == hashlib.sha256(b"x" * 16).digest()


def test_sec_84_no_representation_shows_a_secret() -> None:
    """`repr` and `str` of identities and signers show the handle at most."""
    identity = signer().mint()
    verified = signer().verify(signer().sign(identity))
    shown = f"{identity!r} {identity} {verified!r} {signer()!r}"
    assert identity.handle in shown
    assert identity.secret.hex() not in shown
    assert repr(identity.secret)[2:-1] not in shown
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="from the configuration"):
            cast("Any", take)(signer())


class Rotation(RuleBasedStateMachine):
    """Secrets come, go and change places; the model is the set of secrets that signed an ID."""

    @initialize()
    def start(self) -> None:
        self.number = 0
        self.ring = [self.fresh()]
        self.issued: list[tuple[str, Identity, str]] = []

    def fresh(self) -> str:
        self.number += 1
        return f"{self.number:04d}{SECRET}"

    def signer(self) -> IDSigner:
        return signer(*self.ring)

    @rule()
    def rotate(self) -> None:
        self.ring.insert(0, self.fresh())

    @precondition(lambda self: len(self.ring) > 1)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.ring.pop(data.draw(st.integers(1, len(self.ring) - 1)))

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        self.ring = data.draw(st.permutations(self.ring))

    @rule()
    def issue(self) -> None:
        identity = self.signer().mint()
        self.issued.append((self.signer().sign(identity), identity, self.ring[0]))

    @rule()
    def present_all(self) -> None:
        current = self.signer()
        for text, identity, secret in self.issued:
            expected = (identity, secret == self.ring[0]) if secret in self.ring else None
            assert current.verify(text) == expected


TestRotation = Rotation.TestCase
TestRotation.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_ids_of_one_signer_have_nothing_but_the_head_in_common() -> None:
    """Consecutive IDs share version and key id, and no more than chance afterwards."""
    texts = [signer().sign(signer().mint()) for _ in range(100)]
    for first, second in pairwise(texts):
        assert first[:4] == second[:4]
        assert sum(one == two for one, two in zip(first[4:], second[4:], strict=True)) < 16
