"""Sessions without a web, in the manner of Concierge::Sessions: results instead of exceptions.

    with SessionService(storage_dir="/var/lib/app") as sessions:
        session = sessions.new_session("ann", data={"cart": []}).session

A user has one session at a time. It is on the same core and stores as `SessionManager`, which
decides everything; what is here gives its answers another form.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self, TypedDict, Unpack

from coatcheck.checks import Duration, seconds
from coatcheck.clock import Clock, system_clock
from coatcheck.codecs import CustomType
from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, CorruptRecord, SessionEnded, StoreError
from coatcheck.events import OnEvent
from coatcheck.face import attach
from coatcheck.lifecycle import purge_all
from coatcheck.manager import SessionManager, core_of
from coatcheck.service.result import Result, refused, told
from coatcheck.service.secret import kept_secret
from coatcheck.service.session import ServiceSession, damaged, fill
from coatcheck.session import Session
from coatcheck.store import open_store
from coatcheck.store.protocol import Store


class ServiceOptions(TypedDict, total=False):
    """Options of `SessionConfig` that mean something without a web; its fields say what."""

    old_secrets: Sequence[str | bytes]
    namespace: str
    lifetime: Duration
    encrypt: bool | Literal["sealed"]
    max_size: int
    types: Sequence[CustomType[Any]]
    resolve: Mapping[str, Callable[[Any, Any, Any], Any]]
    on_event: OnEvent | None
    clock: Clock


class SessionService:
    """Creates, finds and ends sessions; each method returns a `Result`, and none raises.

    Args:
        backend: `"database"`, a SQLite database, or `"file"`, a file for each session that can be
            read by eye; in any case of letters.
        storage_dir: the folder of the sessions, made where it is missing, for its owner alone;
            without one, `$XDG_STATE_HOME/coatcheck`, else `~/.local/state/coatcheck`.
        secret: signs the session IDs. Without one, a random one is kept in
            `<storage_dir>/secret.key`.
        store: any other store, or its URL, in place of `backend`; then a `secret` or a
            `storage_dir` for its key is needed.
        session_timeout: how long a session lives without `save()`, in seconds or as a `timedelta`;
            `"indefinite"`: for ever.
        max_sessions_per_user: how many sessions a user may have, the oldest one ending for one
            more; `None`: any number.
        options: some of `SessionConfig`: `old_secrets`, `namespace`, `lifetime` (indefinite here),
            `max_size`, `types`, `resolve`, `on_event`, `clock`.

    Raises:
        ConfigurationError: for an option that is wrong, a folder that cannot be used, or a database
            that is not ours.
        StoreError: for a database that is locked, or a disk that fails.
    """

    manager: SessionManager
    """What does the work, for all that the service has no method for: `find`, `sessions_of`,
    `revoke`."""

    def __init__(
        self,
        backend: str = "database",
        storage_dir: str | os.PathLike[str] | None = None,
        secret: str | bytes | None = None,
        *,
        store: Store | str | None = None,
        session_timeout: Duration = 3600,
        max_sessions_per_user: int | None = 1,
        **options: Unpack[ServiceOptions],
    ) -> None:
        folder = _folder(storage_dir)
        place: dict[str, Any] = {"clock": options.get("clock", system_clock)}
        if "namespace" in options:
            place["namespace"] = options["namespace"]
        if store is None:
            opened = _open(backend, folder, place)
        else:
            opened = open_store(store, **(place if isinstance(store, str) else {}))
        self._closes = opened is not store
        try:
            if secret is None:
                if store is not None and storage_dir is None:
                    raise ConfigurationError(
                        "a store of your own needs the secret of its sessions: give secret=..., or"
                        " storage_dir=... for a folder in which one is made and kept"
                    )
                secret = kept_secret(folder)
            self.manager = SessionManager(
                _config(
                    {
                        **options,
                        "secret": secret,
                        "expire": _idle(session_timeout),
                        "max_sessions_per_user": max_sessions_per_user,
                    }
                ),
                store=opened,
            )
        except BaseException:
            _close(opened)
            raise
        self._store = opened
        self._core = core_of(self.manager)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SessionService on {self._store!r}>"

    def close(self) -> None:
        """Close the store, unless it was given as one; every later call fails."""
        if self._closes:
            _close(self._store)

    @told()
    def new_session(
        self,
        user_id: str | None = None,
        *,
        data: Any = None,
        session_timeout: Duration | Literal[""] = None,
    ) -> Result:
        """Begin a session of the user, as `session`; the user's former one ends.

        `data` is what it begins with (`None`: an empty dict), `session_timeout` seconds or a
        `timedelta` of idle time, or `"indefinite"`; without one, the service's own. Whatever fails,
        the former session lives on.
        """
        if user_id is None or user_id == "":
            return refused("new_session", "user_id required: say whose session it is", "argument")
        core = self._core
        visit = core.new_visit()
        if session_timeout is not None and session_timeout != "":
            visit.amend({"idle": _idle(session_timeout)})
        session = Session(core.lifecycle)
        attach(session, visit)
        session.login(user_id)
        if data is not None:
            fill(visit, data)
        try:
            run_now(core.create(visit))
        except SessionEnded:
            return refused("new_session", _AT_ONCE, "ended")
        # What was given stays the caller's: the session's data is a copy of its own.
        visit.view, visit.shared = None, False
        return Result(success=True, session=ServiceSession(core, visit))

    @told("get_session_info")
    def get_session(self, session_id: str | None = None) -> Result:
        """Return the stored session of an ID, as `session`. That is no activity: only `save()` is.

        The ID may come from anywhere: it is verified before the store is asked.
        """
        if session_id is None or session_id == "":
            return refused("get_session_info", _NO_ID, "argument")
        core = self._core
        visit = core.open_now(_text(session_id))
        if visit is None:
            return self._missing(session_id)
        visit.data()
        if visit.held is None:
            return refused("get_session_info", damaged(_UNDECODABLE), "damaged")
        return Result(success=True, session=ServiceSession(core, visit))

    def _missing(self, session_id: str) -> Result:
        """Find out why there is no such session; only the message depends on it."""
        known = self._core.runtime.signer.verify(session_id)
        if known is None:
            return refused("get_session_info", _NOT_OURS, "not-found")
        try:
            stored = run_now(self._core.runtime.store.get(known[0].handle))
            if stored is not None:
                self._core.runtime.understood(stored.payload, known[0])
        except CorruptRecord as error:
            return refused("get_session_info", damaged(error), "damaged")
        return refused("get_session_info", _NOT_FOUND, "not-found")

    @told()
    def delete_session(self, session_id: str | None = None) -> Result:
        """End the session of an ID; one that is not there (any more) is a success."""
        if session_id is None or session_id == "":
            return refused("delete_session", _NO_ID, "argument")
        known = self._core.runtime.signer.verify(_text(session_id))
        if known is not None and run_now(self._core.delete(known[0].handle)):
            return Result(success=True, message="the session has ended", deleted_count=1)
        return Result(success=True, message="there was no such session")

    @told()
    def delete_user_session(self, user_id: str | None = None) -> Result:
        """End the user's session, or all of them; `deleted_count` says how many."""
        if user_id is None or user_id == "":
            return refused(
                "delete_user_session", "user_id required: say whose session it is", "argument"
            )
        ended = run_now(self._core.revoke_user(_user(user_id), ()))
        return Result(success=True, deleted_count=ended)

    @told()
    def cleanup_sessions(self) -> Result:
        """Remove what expired two minutes ago or earlier; `deleted_count` says how many.

        `active` are the handles of the sessions that live, `damaged` those of what cannot be read,
        which was left alone. It reads all sessions, so it is for now and then.
        """
        removed = run_now(purge_all(self._core.runtime))
        active, broken = run_now(self._core.survey())
        message = ""
        if broken:
            message = (
                f"{len(broken)} sessions cannot be read and were left alone: restore those that"
                " `damaged` names, or remove them with manager.delete(), and a file that does not"
                " even begin like a record by hand"
            )
        return Result(
            success=True, message=message, deleted_count=removed, active=active, damaged=broken
        )


def _folder(storage_dir: str | os.PathLike[str] | None) -> str:
    """Return the folder of the sessions as an absolute path."""
    if storage_dir is None:
        state = os.environ.get("XDG_STATE_HOME", "")
        # A relative path counts as none, says the XDG Base Directory Specification.
        if not os.path.isabs(state):
            state = os.path.expanduser("~/.local/state")
        return os.path.join(state, "coatcheck")
    if not isinstance(storage_dir, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance] : it comes from files and environments
        raise ConfigurationError(
            f"storage_dir must be a path, not {type(storage_dir).__name__}: write"
            " storage_dir='/var/lib/myapp'"
        )
    name = os.fspath(storage_dir)
    try:
        plain = os.fsencode(name)
    except UnicodeEncodeError:
        plain = b""
    if not plain or b"\0" in plain:
        raise ConfigurationError("storage_dir must be a path that the system can have")
    return os.path.abspath(name)


def _open(backend: object, folder: str, options: Mapping[str, Any]) -> Store:
    """Open the backend of that name; every failure is one of the backend's."""
    name = backend.lower() if isinstance(backend, str) else ""
    try:
        if name == "database":
            from coatcheck.store.sqlite import SQLiteStore

            path = os.path.join(folder, "sessions.db")
            return SQLiteStore(path, **options)
        if name == "file":
            from coatcheck.store.file import FileStore

            return FileStore(folder, **options)
        raise ConfigurationError(
            f"there is no backend {backend!r}: write 'database' or 'file', or give any other store"
            " as store=..."
        )
    except (ConfigurationError, StoreError) as error:
        raise type(error)(f"Failed to initialize backend: {error}") from error


def _config(options: Mapping[str, Any]) -> SessionConfig:
    """Return the configuration, in which every `save()` slides, however soon after the last."""
    chosen: dict[str, Any] = {"lifetime": None, "touch_interval": 0.0, **options}
    return SessionConfig.from_options(**chosen)


def _close(store: object) -> None:
    close = getattr(store, "close", None)
    if close is not None:
        close()


def _idle(session_timeout: Any) -> float | None:
    if session_timeout == "indefinite":
        return None
    if session_timeout is None or session_timeout == "":
        return _HOUR
    return seconds("session_timeout", session_timeout)


def _user(user_id: object) -> str:
    if not isinstance(user_id, str):
        raise TypeError(f"user_id is a string, not {type(user_id).__name__}: write str(user.id)")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise ValueError("user_id has a lone surrogate, so no session can be its") from None
    return user_id


def _text(session_id: object) -> str:
    if isinstance(session_id, str):
        return session_id
    raise TypeError(f"a session ID is a string, not {type(session_id).__name__}")


_UNDECODABLE: Final = CorruptRecord("the data cannot be decoded")
_HOUR: Final = 3600.0
_NO_ID: Final = "Session ID required: give what session_id() returned"
_AT_ONCE: Final = (
    "the user's sessions were ended, or another one was begun, at the same moment: use that one, or"
    " try again"
)
_NOT_OURS: Final = (
    "session not found: the ID was not made by this service, or under another secret; begin one"
    " with new_session()"
)
_NOT_FOUND: Final = "session not found: it was ended, or it expired; begin one with new_session()"
