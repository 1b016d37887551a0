"""Stores that break a promise on purpose, so that it can be seen that the model notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from coatcheck.store.protocol import Conflict, Gone, UpdateOutcome


class _Broken:
    """A blocking store of ours that does all but one thing as it should."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Overwrites(_Broken):
    """`update` writes over whatever version is there."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Write, whatever was written meanwhile."""
        while True:
            done: UpdateOutcome = self._store.update(
                key, payload, version=version, expires_at=expires_at
            )
            if not isinstance(done, Conflict):
                return done
            version = done.current.version


class Revives(_Broken):
    """`update` creates what is gone."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Write, and bring back what was removed."""
        done: UpdateOutcome = self._store.update(
            key, payload, version=version, expires_at=expires_at
        )
        if isinstance(done, Gone):
            self._store.create(key, payload, expires_at=expires_at, user_id=None)
        return done


class Forgets(_Broken):
    """`confirm` says yes, and has lost the entry."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Forget what was to be confirmed."""
        done: bool = self._store.confirm(user_id, key, epoch)
        self._store.forget(user_id, key)
        return done


DEFECTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "overwrites": Overwrites,
    "revives": Revives,
    "forgets": Forgets,
}
