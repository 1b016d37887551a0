"""Whoever steals a store, or a backup of it, has the data in it and no session."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from coatcheck import SessionManager, open_store
from coatcheck.events import Event, WrongSecret
from coatcheck.ids import Identity, IDSigner
from coatcheck.keys import KeyRing
from coatcheck.store import MemoryStore, Store

SECRET = "N0vq2W9sXr4kTz7bYc1mJd5hFg8pLa3uEo6iQwVtRnk"


@pytest.fixture(params=["memory://", "file://{}/sessions", "sqlite:///{}/sessions.db"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store that is built in."""
    url: str = request.param
    return open_store(url.format(tmp_path))


def stolen(store: Store, folder: Path) -> bytes:
    """Return every byte that is kept, names of files included."""
    if isinstance(store, MemoryStore):
        keys, _ = store.scan()
        return b"".join(f"{key} {store.get(key)}".encode() + _payload(store, key) for key in keys)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(path.name.encode() + path.read_bytes() for path in files)


def _payload(store: Store, key: str) -> bytes:
    record = store.get(key)
    return record.payload if record else b""


def test_sec_15_a_stolen_store_holds_no_usable_id(store: Store, tmp_path: Path) -> None:
    """Neither an ID nor its secret half, live or replaced, is anywhere in it, however written."""
    manager = SessionManager(secret=SECRET, store=store)
    visitor, user = manager.create(data={"basket": ["hat"]}), manager.create("ada")
    ids = [visitor.id, user.id]
    user.regenerate()
    user.save()
    visitor.login("bob")
    visitor.save()
    ids += [visitor.id, user.id]
    assert len(set(ids)) == 4

    loot = stolen(store, tmp_path)
    assert visitor.handle.encode() in loot
    for session_id in ids:
        secret = base64.urlsafe_b64decode(session_id)[19:35]
        forms = [session_id.encode(), secret, secret.hex().encode(), base64.b64encode(secret)[:20]]
        for form in (*forms, base64.urlsafe_b64encode(secret)[:20], repr(secret)[2:-1].encode()):
            assert form not in loot


def test_sec_15_what_is_stolen_opens_no_session(store: Store) -> None:
    """Not even with the signing secret: the hash in a record is none of the secret it is of."""
    events: list[Event] = []
    manager = SessionManager(secret=SECRET, store=store, on_event=events.append)
    session = manager.create("ada")
    digest = _payload(store, session.handle)
    signer = IDSigner(KeyRing(SECRET), "coatcheck")
    for start in range(len(digest) - 15):
        forged = signer.sign(Identity(session.handle, digest[start : start + 16]))
        assert manager.open(forged) is None
    assert manager.open(session.handle) is None
    assert WrongSecret(session.handle) in events
    assert manager.open(session.id) is not None
