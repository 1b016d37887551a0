"""What a copy from store to store remembers between its passes, in a store of its own."""

from __future__ import annotations

import struct
from hashlib import sha256
from math import inf
from typing import Final, NamedTuple

from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError
from coatcheck.store.protocol import AsyncStore, Updated

KEPT_FOR: Final = 604_800.0
"""Seconds for which an entry outlives the deadline of its session."""

_STATE: Final = sha256(b"coatcheck: how far a copy has come").hexdigest()[:32]
_RUNNING, _COMPLETE, _FINISHED = b"running", b"complete", b"finished"
_ENTRY: Final = struct.Struct(">Qd")


class Noted(NamedTuple):
    """What the journal says of a copied record."""

    version: int
    """The version that the copy had in the target."""
    expires_at: float
    """Its deadline; infinite where there was none."""


class CopyJournal:
    """The copied keys, and how far the passes have come; without a store, nothing is remembered."""

    def __init__(self, store: AsyncStore | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self) -> bool:
        """Begin a pass before the last one; `True` where the journal is new.

        Raises `ConfigurationError` after the last one.
        """
        state = await self._state()
        if self._store is not None and state is not None:
            await self._put(_STATE, _RUNNING, None)
        return self._store is not None and state is None

    async def started(self) -> None:
        """Take note that the first pass may write to the target."""
        await self._put(_STATE, _RUNNING, None)

    async def begin_last(self) -> None:
        """Begin the last pass; raises `ConfigurationError` where that before is not complete."""
        if await self._state() != _COMPLETE:
            raise ConfigurationError(
                "the journal has no complete pass: run one without last=True to its end, before any"
                " program uses the target"
            )

    async def end(self, *, last: bool) -> None:
        """Take note that the pass is complete."""
        await self._put(_STATE, _FINISHED if last else _COMPLETE, None)

    async def noted(self, key: str) -> Noted | None:
        """Return what was noted of a key."""
        entry = None if self._store is None else await self._store.get(key)
        return None if entry is None else Noted(*_ENTRY.unpack(entry.payload))

    async def note(self, key: str, version: int, expires_at: float | None) -> None:
        """Note the copy of a key."""
        entry = _ENTRY.pack(version, inf if expires_at is None else expires_at)
        keep = None if expires_at is None else max(expires_at, self._clock()) + KEPT_FOR
        await self._put(key, entry, keep)

    async def _state(self) -> bytes | None:
        state = None if self._store is None else await self._store.get(_STATE)
        if state is not None and state.payload == _FINISHED:
            raise ConfigurationError(
                "the last pass is complete and the target goes its own way: another pass would"
                " bring old sessions back; take a new journal to begin another copy"
            )
        return None if state is None else state.payload

    async def _put(self, key: str, payload: bytes, expires_at: float | None) -> None:
        """Write what has a single writer, whether it is there or not."""
        store = self._store
        while store is not None:
            if await store.create(key, payload, expires_at=expires_at, user_id=None):
                return
            current = await store.get(key)
            if current is not None:
                outcome = await store.update(
                    key, payload, version=current.version, expires_at=expires_at
                )
                if isinstance(outcome, Updated):
                    return
