"""The session as the application sees it: a mapping with an identity, and what may be asked of it.

`Session` is for synchronous programs, `AsyncSession` for those with an event loop. They share
`BaseSession`, which does no I/O: it notes what is asked, and the lifecycle carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, Literal

from coatcheck.checks import Duration, seconds, seconds_or_never
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, SessionError, SessionNotLoaded, StoreError
from coatcheck.face import visit_of
from coatcheck.guards import SessionGuards
from coatcheck.lifecycle import unreadable
from coatcheck.lifecycle.opening import identify, open_now, open_visit
from coatcheck.lifecycle.visit import Phase, Replacement, Visit


class _Unset:
    """The value of an argument that was not given, where `None` means something."""


_UNSET: Final = _Unset()
MAX_USER_ID: Final = 1024


class BaseSession(SessionGuards):
    """The part of a session without I/O. Use it through `Session` or `AsyncSession`.

    Nothing is loaded before the first use. After the first load a session belongs to one thread or
    task at a time.
    """

    # Identity and times

    @property
    def id(self) -> str:
        """The signed session ID: a credential, never to be logged.

        That of a session not yet stored becomes valid when it is.
        """
        visit = self._look()
        identity = visit.replacement.identity if visit.replacement else visit.identity
        if identity is None:
            identity = visit.identity = visit.runtime.signer.mint()
        if not identity.secret:
            raise SessionError("this session was found by its handle: only its client has the ID")
        return visit.runtime.signer.sign(identity)

    @property
    def handle(self) -> str:
        """The public name of the session, 32 hex digits: no credential, safe in logs and lists."""
        visit = self._look()
        if visit.handle is None:
            visit.identity = visit.runtime.signer.mint()
        return str(visit.handle or "")

    @property
    def user_id(self) -> str | None:
        """The user that `login` signed in; `None`: nobody."""
        return self._look().user_id

    @property
    def is_new(self) -> bool:
        """Whether no record was behind the session when it was opened, or none is any more."""
        visit = self._look()
        return visit.fresh

    @property
    def accessed(self) -> bool:
        """Whether the application has looked at the session."""
        return self._visit is not None

    @property
    def modified(self) -> bool:
        """Whether something would be saved now. Setting it true makes nested values be compared."""
        visit = self._visit
        if visit is None:
            return False
        return visit.written or visit.cleared or bool(visit.changed_keys())

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            self._changing().shared = True

    @property
    def created_at(self) -> float:
        """When the session began, in seconds since the epoch; a `login` shows once it is saved."""
        visit = self._look()
        return visit.held.record.created_at if visit.held else visit.begun

    @property
    def expires_at(self) -> float | None:
        """When the session ends if nobody uses it: the smaller of both deadlines; `None`: never.

        In seconds since the epoch, as last saved: what `set_expiry` and `login` ask for shows once
        it is saved.
        """
        visit = self._look()
        held, config = visit.held, visit.runtime.config
        if held is None:
            spans = [span for span in (config.expire, config.lifetime) if span]
            return visit.begun + min(spans) if spans else None
        return held.ends_at

    @property
    def last_seen_at(self) -> float:
        """When the session was last active, as precise as the touch interval."""
        visit = self._look()
        held = visit.held
        if held is None:
            return visit.begun
        if held.record.idle is None or held.expires_at is None:
            return held.record.anchor
        return held.expires_at - held.record.idle

    # What the application may ask

    def login(
        self,
        user_id: str,
        *,
        keep: Iterable[str] | None = None,
        remember: float | timedelta | None = None,
    ) -> None:
        """Sign the user in, under a new ID; the old ID is worth nothing from the commit on.

        Data stays, or only what `keep` names; that of another user is always dropped. `remember`
        (s or timedelta) is idle timeout and lifetime of this session, whose cookie then persists.
        Raises `TypeError` and `ValueError` for a bad user ID, `ResponseStarted` after the headers.
        """
        _check_user_id(user_id)
        if isinstance(keep, str):
            raise TypeError(f"keep is a list of keys, not a string: write keep=[{keep!r}]")
        kept: frozenset[str] | None = None if keep is None else frozenset(keep)
        span = None if remember is None else seconds("remember", remember)
        visit = self._changing()
        if visit.phase is Phase.UNREADABLE:
            raise unreadable("login()")
        if visit.runtime.sign_in_needs is not None:
            raise ConfigurationError(visit.runtime.sign_in_needs)
        self._needs_header(visit, "login()")
        if visit.user_id is not None and visit.user_id != user_id:
            kept = frozenset()
        if visit.replacement is not None and visit.replacement.keep is not None:
            kept = visit.replacement.keep if kept is None else kept & visit.replacement.keep
        self._replace("login", user_id, kept, span)

    def logout(self) -> None:
        """End the session and go on with a new, empty, anonymous one."""
        self._end("logout")

    def regenerate(self) -> None:
        """Go on under a new ID, with data, user and times; the old ID is worth nothing."""
        visit = self._changing()
        self._needs_header(visit, "regenerate()")
        visit.data()  # one that does not decode is anonymous, and no user's to be gone on with
        if visit.phase is Phase.NEW:
            visit.identity = None
        elif visit.phase is Phase.MUTE:
            visit.cleared = True  # noted, dropped and told at the commit
        elif visit.phase is Phase.UNREADABLE:
            raise unreadable("regenerate()")
        elif visit.replacement is None:
            self._replace("regenerate", visit.user_id, None, None)

    def destroy(self) -> None:
        """End the session; later changes raise `SessionEnded`."""
        self._end("destroy")

    def set_expiry(
        self, *, idle: Duration | _Unset = _UNSET, lifetime: Duration | _Unset = _UNSET
    ) -> None:
        """Change this session's idle timeout, its lifetime, or both (s, timedelta or `None`).

        The lifetime counts from the latest login, else from the creation.
        """
        changes: dict[str, Any] = {}
        if not isinstance(idle, _Unset):
            changes["idle"] = seconds_or_never("idle", idle)
        if not isinstance(lifetime, _Unset):
            changes["lifetime"] = seconds_or_never("lifetime", lifetime)
        visit = self._changing()
        if "lifetime" in changes:
            self._needs_header(visit, "changing the lifetime")
        visit.amend(changes)

    def _replace(
        self,
        reason: Literal["login", "regenerate"],
        user_id: str | None,
        keep: frozenset[str] | None,
        remember: float | None,
    ) -> None:
        visit = self._look()
        runtime, view = visit.runtime, visit.data()
        kept = {key: value for key, value in view.items() if keep is None or key in keep}
        mark = runtime.codec.encode(kept)
        for key in view.keys() - kept.keys():
            del view[key]
        identity = runtime.signer.mint()
        visit.replacement = Replacement(reason, user_id, identity, keep, mark, remember)

    def _end(self, reason: Literal["destroy", "logout"]) -> None:
        visit = self._visit or self._first_look()
        if visit.phase is Phase.UNREADABLE:
            raise unreadable(f"{reason}()")
        if visit.response_started and visit.runtime.in_client:
            self._needs_header(visit, f"{reason}() of a session that is kept in its cookie")
        if visit.phase is not Phase.ENDED:
            visit.end(reason)


class Session(BaseSession):
    """A session of a synchronous program: it loads itself at its first use, and saves on `save`."""

    def _open(self, visit: Visit) -> None:
        open_now(visit)

    def _end(self, reason: Literal["destroy", "logout"]) -> None:
        super()._end(reason)
        if self._lifecycle.runtime.blocks:
            run_now(self._lifecycle.end_now(self._look()))

    def save(self) -> None:
        """Save now, rather than when the response starts.

        Raises `UnserializableValue`, `SessionTooLarge`, `TooManySessions`, `StoreError`, and
        `SessionEnded` where another request ended the session.
        """
        self._must_block("save()")
        run_now(self._lifecycle.save(self._look()))

    def refresh(self) -> None:
        """Read the record again; unsaved changes stay. Raises `SessionEnded` if it is gone."""
        self._must_block("refresh()")
        run_now(self._lifecycle.refresh(self._look()))

    def _must_block(self, what: str) -> None:
        if not self._lifecycle.runtime.blocks:
            raise SessionError(
                f"{what} is not possible here: this is the session of an ASGI middleware further"
                " out, whose store is awaited; it is saved when the response starts and ends"
            )


class AsyncSession(BaseSession):
    """A session of a program with an event loop.

    The adapter loads it, or it loads itself at its first use where the store never suspends; else
    `await session.load()` first.
    """

    _on_event_loop = True
    _failure: StoreError | None = None

    def _open(self, visit: Visit) -> None:
        if self._failure is not None:
            raise self._failure
        identify(visit)
        if visit.verified and not visit.runtime.opens_inline:
            raise SessionNotLoaded(
                "this session is not loaded: write `await session.load()` before its first use, or"
                " let the middleware load it (lazy=False)"
            )
        open_now(visit)

    async def load(self) -> AsyncSession:
        """Load the session, if it is not loaded yet, and return it."""
        if self._visit is None:
            await self.prepare()
            self._first_look()
        return self

    async def prepare(self) -> None:
        """Load ahead of the first use, which still decides whether the session counts as used.

        What the store raises is kept for that first use: a page without a session needs no store.
        """
        if self._prepared is None:
            self._failure = None
            visit = self._new_visit()
            identify(visit)
            if visit.verified:
                try:
                    await open_visit(visit)
                    if visit.endings:
                        # A theft was told, and is to end what it ends, looked at or not.
                        await self._lifecycle.end_now(visit)
                except StoreError as error:
                    self._failure = error
                    return
            if self._prepared is None:
                self._prepared = visit

    async def save(self) -> None:
        """Save now, rather than when the response starts; see `Session.save`."""
        await self._lifecycle.save(self._look())

    async def refresh(self) -> None:
        """Read the record again; unsaved changes stay. Raises `SessionEnded` if it is gone."""
        await self._lifecycle.refresh(self._look())


class SessionIDText:
    """The session's ID as a text that is made when it is first asked for."""

    __slots__ = ("_session",)

    def __init__(self, session: BaseSession) -> None:
        self._session = session

    def __str__(self) -> str:
        return self._session.id

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | SessionIDText) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        visit = visit_of(self._session)
        return f"<session ID, handle={visit.handle if visit else None}>"


def _check_user_id(user_id: object) -> None:
    if not isinstance(user_id, str):
        raise TypeError(f"user_id is a string, not {type(user_id).__name__}: write str(user.id)")
    try:
        size = len(user_id.encode())
    except UnicodeEncodeError:
        raise ValueError("user_id has a lone surrogate, which no store can keep") from None
    if not 0 < size <= MAX_USER_ID:
        raise ValueError(f"user_id has {size} bytes; it takes 1 to {MAX_USER_ID}")
