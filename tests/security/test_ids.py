"""What an ID says, and what looking one up tells."""

from __future__ import annotations

import base64
import hmac

import pytest

from coatcheck import SessionManager
from coatcheck.ids import Identity
from coatcheck.lifecycle import opening
from coatcheck.store import MemoryStore
from coatcheck.store.protocol import Stored
from coatcheck.testing import ManualClock
from tests.core.harness import SECRET, Browser, Harness, SpyStore, put


def test_sec_02_an_id_says_nothing_of_its_user() -> None:
    """At one time, of one user, with one secret: no two have a byte of their middle in common."""
    clock = ManualClock()
    manager = SessionManager(secret=SECRET, store=MemoryStore(clock=clock), clock=clock)
    user = "ann@example.org"
    ids = [manager.create(user).id for _ in range(50)]
    decoded = [base64.urlsafe_b64decode(one) for one in ids]
    assert {len(one) for one in ids} == {68}
    assert len({one[3:19] for one in decoded}) == len({one[19:35] for one in decoded}) == 50
    at = {int(clock()).to_bytes(8, order)[-4:] for order in ("big", "little")}
    for one in decoded:
        assert user.encode()[:4] not in one
        assert not [moment for moment in at if moment in one]


def test_sec_16_a_lookup_tells_nothing_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked by the handle alone; the secret is compared in constant time, here."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    asked: list[str] = []

    class Keys(SpyStore):
        def get(self, key: str, /) -> Stored | None:
            asked.append(key)
            return super().get(key)

    clock = ManualClock()
    harness = Harness(Keys(MemoryStore(clock=clock)), clock)
    browser = Browser(harness)
    browser.visit(put(a=1))
    handle, secret = harness.identity(browser.id)
    asked.clear()
    monkeypatch.setattr(opening, "compare_digest", compare)
    for other in (secret, bytes(16), secret[:15] + bytes([secret[15] ^ 1])):
        browser.id = harness.runtime.signer.sign(Identity(handle, other))
        assert browser.read() == ({"a": 1} if other == secret else {})
        assert asked == [handle]
        assert len(compared) == 1
        assert other not in compared[0]
        asked.clear()
        compared.clear()
