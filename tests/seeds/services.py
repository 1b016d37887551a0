"""What the tests of the service's lines share: a folder with sessions, and ways to look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coatcheck import Result, ServiceSession, SessionService
from coatcheck.events import Event
from coatcheck.store.file import FileStore
from coatcheck.store.sqlite import SQLiteStore
from coatcheck.testing.clock import ManualClock
from tests.core.harness import FullStore, SpyStore

BACKENDS = ("database", "file")
SECRET = "s3eds-Vb7nQ2xK9mT4wZ8yL3pD6fH1jR5cG0aE"


@dataclass
class Place:
    """A folder in which a backend keeps sessions, with a clock that moves when it is told to."""

    folder: Path
    backend: str
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list[Event])

    def open(self, **options: Any) -> SessionService:
        """Open the sessions that are kept here, as another program would."""
        common: dict[str, Any] = {"clock": self.clock, "on_event": self.events.append}
        return SessionService(self.backend, self.folder, **{**common, **options})

    def store(self) -> FullStore:
        """Open the store as the service does."""
        if self.backend == "file":
            return FileStore(self.folder, clock=self.clock)
        return SQLiteStore(self.folder / "sessions.db", clock=self.clock)

    def spied(self, **options: Any) -> tuple[SessionService, SpyStore]:
        """Open the sessions through a store that counts, and does what a test tells it to."""
        spy = SpyStore(self.store())
        common: dict[str, Any] = {"clock": self.clock, "on_event": self.events.append}
        service = SessionService(store=spy, secret=SECRET, **{**common, **options})
        return service, spy


def begun(service: SessionService, user_id: str = "ann", **options: Any) -> ServiceSession:
    """Begin a session, which must succeed."""
    return session_of(service.new_session(user_id, **options))


def got(service: SessionService, session: ServiceSession) -> ServiceSession:
    """Get a session anew, which must succeed."""
    return session_of(service.get_session(session.session_id()))


def session_of(result: Result) -> ServiceSession:
    """Return the session of a result, which must be a success."""
    assert result.success, result
    assert result.session is not None
    return result.session


def data_of(session: ServiceSession) -> Any:
    """Return the data of a session, which must be there."""
    result = session.get_data()
    assert result.success, result
    return result.value


def replaced(session: ServiceSession, value: Any) -> None:
    """Replace the data and save it, which must succeed."""
    assert session.set_data(value)
    done(session.save())


def done(result: Result) -> Result:
    """Return a result, which must be a success."""
    assert result.success, result
    return result


def refused(result: Result, message: str) -> Result:
    """Return a result, which must be a failure that says so."""
    assert result.success is False, result
    assert message in result.message, result
    assert result.code, result
    return result


def lives(service: SessionService, session: ServiceSession) -> bool:
    """Say whether the session can still be got."""
    return bool(service.get_session(session.session_id()))
