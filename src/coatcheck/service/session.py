"""What `SessionService` hands out: a session that is saved when it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from coatcheck.drivers import run_now
from coatcheck.errors import CorruptRecord, SessionEnded
from coatcheck.events import logger
from coatcheck.ids import Identity
from coatcheck.lifecycle.visit import Held, Phase, Visit
from coatcheck.manager import ManagerCore
from coatcheck.service.result import DONE, WHOLE, Result, refused, told


class ServiceSession:
    """One session of a `SessionService`: its data in memory, stored by `save()` and nothing else.

    No method raises. An object belongs to one thread at a time; several objects of one session, in
    any number of programs, keep each other's changes.
    """

    __slots__ = ("_core", "_held", "_identity", "_saved_at", "_unsaved", "_visit", "_whole")

    def __init__(self, core: ManagerCore, visit: Visit) -> None:
        """Applications get one from `new_session` or `get_session`, and never make one.

        Raises `SessionEnded` where no record is behind the visit.
        """
        if visit.identity is None or visit.held is None:
            raise SessionEnded(_NOT_THERE)
        self._core = core
        self._visit = visit
        self._identity: Identity = visit.identity
        self._held: Held = visit.held
        """The record as it was known last: what ended has its times all the same."""
        self._saved_at = 0.0
        self._whole: bool | None = None
        """Whether the data is stored under `WHOLE`; `None`: it was not decoded yet."""
        self._unsaved = False
        """Whether a `save()` has failed for good, until `refresh()`."""

    def __repr__(self) -> str:
        return f"<ServiceSession {self._state()} handle={self.handle()}>"

    # Data

    @told()
    def get_data(self) -> Result:
        """Return all the data as `value`: the live object, so that a change of it is a change."""
        view = self._data()
        self._visit.shared = True
        return Result(success=True, value=view[WHOLE] if self._whole else view)

    @told()
    def set_data(self, value: Any = None) -> Result:
        """Replace all the data, in memory; `save()` stores it.

        Of a mapping with strings as keys, `save()` writes what changed, key by key, and leaves what
        another program wrote under other keys. Any other value is stored as a whole, and whoever
        has changed the session meanwhile is told that theirs was not.
        """
        self._data()
        stood_whole = self._whole
        self._whole = fill(self._standing(), value)
        self._visit.cleared = self._visit.cleared or self._whole or bool(stood_whole)
        return DONE

    @told()
    def save(self) -> Result:
        """Store what changed, and move the expiry to now + timeout, changed or not.

        Fails where another program ended the session, or a newer one of its user did, or its time:
        then the data is still here, and belongs into a new session.
        """
        visit = self._standing()
        if self._unsaved:
            return refused("save", _REPLACED, "ended")
        view = visit.view
        if view is not None and not self._whole and WHOLE in view:
            visit.view, visit.cleared, self._whole = {WHOLE: view}, True, True
        dirty = visit.written or visit.cleared
        try:
            run_now(self._core.save(visit))
        except SessionEnded as error:
            self._unsaved = dirty or bool(error.keys)
            return refused("save", _REPLACED if visit.held else _NOT_THERE, "ended")
        self._take_note()
        self._saved_at = self._core.runtime.clock()
        return DONE

    @told()
    def refresh(self) -> Result:
        """Read the session again; changes that are not saved stay, on top of what was read.

        Take the data from `get_data()` anew: what it gave before is no longer that of the session.
        """
        visit = self._standing()
        try:
            run_now(self._core.refresh(visit))
        except SessionEnded:
            return refused("refresh", _NOT_THERE, "ended")
        except CorruptRecord as error:
            return refused("refresh", damaged(error), "damaged")
        self._unsaved = False
        self._whole = None
        self._data()
        self._take_note()
        return DONE

    # Status

    def is_valid(self) -> bool:
        """Say whether the session is active and has not expired."""
        return self.is_active() and not self.is_expired()

    def is_active(self) -> bool:
        """Say whether the session stands, as far as is known: `save` and `refresh` find out."""
        return self._state() == "active"

    def is_expired(self) -> bool:
        """Say whether the session's time is over; at the deadline it is."""
        ends = self._held.ends_at
        return ends is not None and self._core.runtime.clock() >= ends

    def is_dirty(self) -> bool:
        """Say whether there are changes that are not saved, those inside of values too."""
        visit = self._visit
        if self._unsaved or visit.written or visit.cleared:
            return True
        try:
            return visit.shared and not visit.unchanged()
        except Exception as error:  # noqa: BLE001 : values of custom types are compared by anybody's code
            logger.warning("the data of a session cannot be compared", exc_info=error)
            return True

    def status(self) -> dict[str, Any]:
        """Return `{"state": "active" or "ended", "dirty": True or False}`."""
        return {"state": self._state(), "dirty": self.is_dirty()}

    # What it is

    def session_id(self) -> str:
        """Return the session ID: 68 characters, a credential, never to be logged."""
        return self._core.runtime.signer.sign(self._identity)

    def handle(self) -> str:
        """Return the session's public name, 32 hex digits: no credential, safe in logs."""
        return self._identity.handle

    def user_id(self) -> str | None:
        """Return the user whose session it is; `None`: nobody's."""
        return self._held.record.user_id

    def created_at(self) -> float:
        """Return when the session began, in seconds since the epoch."""
        return self._held.record.created_at

    def expires_at(self) -> float | Literal["indefinite"]:
        """Return when the session ends if nobody saves it, in seconds since the epoch.

        `"indefinite"`: never.
        """
        ends = self._held.ends_at
        return "indefinite" if ends is None else ends

    def last_updated(self) -> float:
        """Return when the session was last saved, in seconds since the epoch.

        Of an indefinite session that is not kept: it is when this object saved it, else the
        creation.
        """
        _, expires_at, record = self._held
        if record.idle is None or expires_at is None:
            return max(record.created_at, self._saved_at)
        return max(record.created_at, expires_at - record.idle)

    def storage_backend(self) -> str:
        """Return the name of the store's class, such as `"SQLiteStore"`."""
        return type(self._core.runtime.wrapped).__name__

    def _state(self) -> Literal["active", "ended"]:
        return "active" if self._visit.phase is Phase.STORED else "ended"

    def _standing(self) -> Visit:
        """Return the visit; raise `SessionEnded` where nothing can be saved any more."""
        if self._visit.phase is not Phase.STORED:
            raise SessionEnded(_NOT_THERE)
        return self._visit

    def _data(self) -> dict[str, Any]:
        """Return the live view; raise `CorruptRecord` where the record does not decode."""
        visit = self._visit
        if visit.view is None or self._whole is None:
            visit.data()
            if visit.held is None:
                # It was left as it is, and this object is no session any more.
                visit.phase, visit.view = Phase.LOST, None
                raise CorruptRecord("the data cannot be decoded")
        view = visit.data()
        if self._whole is None:
            self._whole = view.keys() == {WHOLE}
        return view

    def _take_note(self) -> None:
        self._held = self._visit.held or self._held


_TEXT: Final = frozenset({str})


def fill(visit: Visit, value: Any) -> bool:
    """Make the value all the data of the session; say whether it is to be stored as a whole."""
    visit.written = visit.shared = True
    is_mapping = issubclass(type(value), Mapping)
    if is_mapping and WHOLE not in value and _TEXT.issuperset(map(type, value)):
        visit.view = value if type(value) is dict else dict(value)
        return False
    visit.view = {WHOLE: value}
    return True


_NOT_THERE: Final = (
    "another program ended this session, or a newer one of its user did, or it expired: begin one"
    " with new_session(), and give it the data that get_data() still has"
)
_REPLACED: Final = (
    "another program replaced the session's data as a whole, so what changed here was not saved:"
    " take it from get_data(), call refresh(), and set it anew"
)


def damaged(error: CorruptRecord) -> str:
    """Say of a session that cannot be read what to do."""
    return (
        f"what is stored of this session is damaged ({error}): restore it, or end it with"
        " delete_session() and begin a new one with new_session()"
    )
