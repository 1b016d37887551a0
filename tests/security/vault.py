"""What tests of encryption have in common: somebody who writes to the store, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest

from coatcheck.aead import NONCE_SIZE
from coatcheck.events import DecryptFailed
from coatcheck.keys import KEY_ID_SIZE
from coatcheck.layout import pack, unpack
from coatcheck.record import Record, SealedRecord
from tests.core.harness import Browser, Harness

Mode = Literal[True, "sealed"]
MODES: tuple[Mode, ...] = (True, "sealed")
each_mode = pytest.mark.parametrize("mode", MODES, ids=["encrypt", "sealed"])
each_codec = pytest.mark.parametrize("codec", ["binary", "json"])
MARK = "tr4it0r"


@dataclass
class Raw:
    """Takes the place of a `Sealing`, and writes an envelope as it is."""

    envelope: bytes

    def size(self, length: int) -> int:
        return len(self.envelope)

    def seal(self, data: bytes, bound: bytes) -> bytes:
        return self.envelope


def nonce_of(envelope: bytes) -> bytes:
    """Return the nonce of an envelope: it follows a byte of version and the id of the key."""
    return envelope[1 + KEY_ID_SIZE :][:NONCE_SIZE]


def sealed(harness: Harness, browser: Browser) -> SealedRecord:
    """Return the browser's record as it is stored."""
    content = unpack(harness.stored(browser.id).payload)
    assert isinstance(content, SealedRecord)
    return content


def with_envelope(record: Record, envelope: bytes, **changes: Any) -> Record:
    """Return a record that is packed with that envelope, whatever it is bound to."""
    return Record(*record[:10], cast("Any", Raw(envelope)))._replace(**changes)


def plant(harness: Harness, handle: str, content: Record | bytes) -> None:
    """Write to the store, as somebody does who can."""
    stored = harness.store.inner.get(handle)
    assert stored is not None
    text = harness.runtime.codec_number == 2
    payload = content if isinstance(content, bytes) else pack(content, text=text)
    harness.store.inner.update(
        handle, payload, version=stored.version, expires_at=stored.expires_at
    )


def handle_of(harness: Harness, browser: Browser) -> str:
    """Return the handle of the browser's session."""
    return harness.identity(browser.id).handle


def refused(harness: Harness, browser: Browser) -> None:
    """Check that the browser is nobody, that the event tells it, and that the record stands."""
    handle, session_id = handle_of(harness, browser), browser.id
    before = harness.stored(session_id)
    harness.events.clear()
    assert (browser.read(), browser.user()) == ({}, None)
    assert [event.handle for event in harness.told(DecryptFailed)] == [handle, handle]
    assert harness.store.inner.get(handle) == before
