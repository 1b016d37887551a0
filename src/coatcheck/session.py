"""The session as the application sees it: a mapping with an identity, and what may be asked of it.

`Session` is for synchronous programs, `AsyncSession` for those with an event loop. They share
`BaseSession`, which does no I/O: it notes what is asked, and the lifecycle carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, Literal, NoReturn

from coatcheck.checks import Duration, seconds, seconds_or_never
from coatcheck.drivers import run_now
from coatcheck.errors import (
    ResponseStarted,
    SessionEnded,
    SessionError,
    SessionNotLoaded,
    StoreError,
)
from coatcheck.lifecycle import Lifecycle
from coatcheck.request import Request
from coatcheck.visit import IMMUTABLE, Phase, Replacement, Visit


class _Unset:
    """The value of an argument that was not given, where `None` means something."""


_UNSET: Final = _Unset()
_UNOPENED: Final = Phase.UNOPENED
_LOST: Final = Phase.LOST
_NO_DEFAULT: Final = _Unset()
MAX_USER_ID: Final = 1024


class BaseSession(MutableMapping[str, Any]):
    """The part of a session without I/O. Use it through `Session` or `AsyncSession`.

    Keys are strings; values are what the codec can keep. Nested changes are seen. Nothing is loaded
    before the first use. After the first load a session belongs to one thread or task at a time.
    """

    # Class attributes for what most requests never set: an untouched session must cost nothing.
    _visit: Visit | None = None
    _prepared: Visit | None = None
    _outer: BaseSession | None = None
    _renew = True
    _headers_left = False

    def __init__(
        self, lifecycle: Lifecycle, native: Any = None, view: Callable[[Any], Request] | None = None
    ) -> None:
        """Make the session of one request; adapters and managers do this, applications never.

        `native` is the environ or scope, and `view` makes a `Request` of it once that is needed.
        """
        self._lifecycle = lifecycle
        self._native = native
        self._request_view = view
        self._begun = lifecycle.runtime.clock()

    # Opening

    def _first_look(self) -> Visit:
        """Open the session at its first use. Of several threads that do so at once, one wins."""
        visit = self._prepared
        if visit is None:
            visit = self._new_visit() if self._outer is None else self._visit_of_outer(self._outer)
        if visit.phase is _UNOPENED:
            self._open(visit)
        winner: Visit = self.__dict__.setdefault("_visit", visit)
        return winner

    def _new_visit(self) -> Visit:
        view = self._request_view
        request = None if view is None else view(self._native)
        visit = Visit(self._lifecycle.runtime, request, self._begun, self._renew)
        visit.response_started = self._headers_left
        return visit

    def _visit_of_outer(self, outer: BaseSession) -> Visit:
        visit = outer._visit or outer._first_look()
        if isinstance(outer, AsyncSession):
            # It may be committed on the event loop while a change is made in this thread. Whatever
            # the commit misses then is found by comparing at the next one.
            visit.shared = True
        return visit

    def _open(self, visit: Visit) -> None:
        raise NotImplementedError

    def _look(self) -> Visit:
        visit = self._visit or self._first_look()
        if visit.phase is _LOST:
            raise SessionEnded("this session was ended by another request, or it expired")
        return visit

    def _view(self) -> dict[str, Any]:
        visit = self._visit or self._first_look()
        view = visit.view
        if view is None or visit.phase is _LOST:
            return self._look().data()
        return view

    def _changing(self) -> Visit:
        """Return the visit, for a change; raises where no change can be kept."""
        visit = self._look()
        if visit.phase is Phase.ENDED:
            raise SessionEnded("this session was destroyed: a destroyed session takes no changes")
        if visit.response_started and visit.phase is Phase.NEW:
            self._needs_header(visit, "storing something in a new session")
        return visit

    def _needs_header(self, visit: Visit, what: str) -> None:
        if visit.response_started and visit.runtime.state.sends:
            raise ResponseStarted(
                f"{what} needs a response header, and the headers have left: do it before the"
                " response starts, for example before the first chunk of a stream is made"
            )

    # The mapping

    def __getitem__(self, key: str) -> Any:
        visit = self._visit or self._first_look()
        view = visit.view
        if view is None or visit.phase is _LOST:
            view = self._look().data()
        try:
            value = view[key]
        except KeyError:
            raise KeyError(_missing(key, view)) from None
        if value.__class__ not in IMMUTABLE:
            visit.shared = True
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if key.__class__ is not str:
            raise TypeError(f"session keys are strings, not {type(key).__name__}: write str(key)")
        visit = self._changing()
        view = visit.view
        (visit.data() if view is None else view)[key] = value
        visit.written = True
        if value.__class__ not in IMMUTABLE:
            visit.shared = True

    def __delitem__(self, key: str) -> None:
        visit = self._changing()
        view = visit.data()
        if key not in view:
            raise KeyError(_missing(key, view))
        del view[key]
        visit.written = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._view())

    def __len__(self) -> int:
        return len(self._view())

    def __bool__(self) -> bool:
        return bool(self._view())

    def __contains__(self, key: object) -> bool:
        return key in self._view()

    def get(self, key: str, /, default: Any = None) -> Any:
        """Return the value of the key, or `default`."""
        value = self._view().get(key, default)
        if value.__class__ not in IMMUTABLE:
            self._look().shared = True
        return value

    def pop(self, key: str, /, default: Any = _NO_DEFAULT) -> Any:
        """Remove the key and return its value; without a default a missing key is a `KeyError`."""
        visit = self._changing()
        view = visit.data()
        if key in view:
            visit.written = True
            return view.pop(key)
        if default is _NO_DEFAULT:
            raise KeyError(_missing(key, view))
        return default

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Return the value of the key, after storing `default` there if it was missing."""
        if key not in self._view():
            self[key] = default
        return self[key]

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Set every key of a mapping, of pairs, or of keywords; all of them or, on error, none."""
        new: dict[str, Any] = dict(other, **values)
        for key in new:
            if key.__class__ is not str:
                raise TypeError(
                    f"session keys are strings, not {type(key).__name__}: write str(key)"
                )
        visit = self._changing()
        visit.data().update(new)
        visit.written = visit.shared = True

    def clear(self) -> None:
        """Empty the data; ID and user stay. What other requests have in flight is dropped."""
        visit = self._changing()
        visit.data().clear()
        visit.written = visit.cleared = True

    def copy(self) -> dict[str, Any]:
        """Return the data as a plain dict."""
        self._look().shared = True
        return dict(self._view())

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self.copy()

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> BaseSession:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BaseSession):
            return self is other
        return self._view() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        visit = self._visit
        if visit is None:
            return f"<{type(self).__name__} unopened>"
        return f"<{type(self).__name__} {visit.phase.name.lower()} handle={visit.handle}>"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(
            "a session cannot be copied or pickled, for it stands for one request: take its data"
            " with session.copy()"
        )

    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = _refuse

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
        return visit.handle or ""

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
        """When the session began, in seconds since the epoch."""
        visit = self._look()
        return visit.held.record.created_at if visit.held else visit.begun

    @property
    def expires_at(self) -> float | None:
        """When the session ends if nobody uses it: the smaller of both deadlines; `None`: never."""
        visit = self._look()
        held, config = visit.held, visit.runtime.config
        if held is None:
            ends = [visit.begun + span for span in (config.expire, config.lifetime) if span]
        else:
            ends = [end for end in (held.expires_at, held.record.deadline) if end is not None]
        return min(ends, default=None)

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
        visit = self._changing()
        self._needs_header(visit, "login()")
        view = visit.data()
        kept: frozenset[str] | None = None if keep is None else frozenset(keep)
        if visit.user_id is not None and visit.user_id != user_id:
            kept = frozenset()
        if visit.replacement is not None and visit.replacement.keep is not None:
            kept = visit.replacement.keep if kept is None else kept & visit.replacement.keep
        if kept is not None:
            for key in [key for key in view if key not in kept]:
                del view[key]
        span = None if remember is None else seconds("remember", remember)
        self._replace("login", user_id, kept, span)

    def logout(self) -> None:
        """End the session and go on with a new, empty, anonymous one."""
        self._end("logout")

    def regenerate(self) -> None:
        """Go on under a new ID, with data, user and times; the old ID is worth nothing."""
        visit = self._changing()
        self._needs_header(visit, "regenerate()")
        if visit.phase is Phase.NEW:
            visit.identity = None
        elif visit.phase is Phase.MUTE:
            visit.cleared = True  # noted, dropped and told at the commit
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
        runtime = visit.runtime
        mark = runtime.codec.encode(visit.data())
        identity = runtime.signer.mint()
        visit.replacement = Replacement(reason, user_id, identity, keep, mark, remember)

    def _end(self, reason: Literal["destroy", "logout"]) -> None:
        visit = self._look()
        if visit.phase is not Phase.ENDED:
            visit.end(reason)


class Session(BaseSession):
    """A session of a synchronous program: it loads itself at its first use, and saves on `save`."""

    def _open(self, visit: Visit) -> None:
        run_now(self._lifecycle.open(visit))

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

    _failure: StoreError | None = None

    def _open(self, visit: Visit) -> None:
        if self._failure is not None:
            raise self._failure
        if visit.candidates is None:
            self._lifecycle.identify(visit)
        if visit.verified and not visit.runtime.opens_inline:
            raise SessionNotLoaded(
                "this session is not loaded: write `await session.load()` before its first use, or"
                " let the middleware load it (lazy=False)"
            )
        run_now(self._lifecycle.open(visit))

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
            self._lifecycle.identify(visit)
            if visit.verified:
                try:
                    await self._lifecycle.open(visit)
                except StoreError as error:
                    self._failure = error
                    return
            self.__dict__.setdefault("_prepared", visit)

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


def visit_of(session: BaseSession) -> Visit | None:
    """Return the visit behind a session that was looked at, for adapters; else `None`."""
    return session._visit  # pyright: ignore[reportPrivateUsage]


def attach(session: BaseSession, visit: Visit) -> None:
    """Make the session a face of a visit that is open already; for managers."""
    session._visit = visit  # pyright: ignore[reportPrivateUsage]


def lifecycle_of(session: BaseSession) -> Lifecycle:
    """Return the lifecycle that serves the session; for adapters that meet one of another's."""
    return session._lifecycle  # pyright: ignore[reportPrivateUsage]


def share(session: BaseSession, outer: BaseSession) -> None:
    """Make the session another face of one that an adapter further out commits; before its use."""
    session._outer = outer  # pyright: ignore[reportPrivateUsage]


def headers_left(session: BaseSession) -> None:
    """Take note that the response's headers are gone, looked at or not; for adapters."""
    session._headers_left = True  # pyright: ignore[reportPrivateUsage]
    for visit in (session._visit, session._prepared):  # pyright: ignore[reportPrivateUsage]
        if visit is not None:
            visit.response_started = True


def do_not_renew(session: BaseSession) -> None:
    """Let this request not count as activity; for adapters, before the session is used."""
    session._renew = False  # pyright: ignore[reportPrivateUsage]


def _check_user_id(user_id: object) -> None:
    if not isinstance(user_id, str):
        raise TypeError(f"user_id is a string, not {type(user_id).__name__}: write str(user.id)")
    try:
        size = len(user_id.encode())
    except UnicodeEncodeError:
        raise ValueError("user_id has a lone surrogate, which no store can keep") from None
    if not 0 < size <= MAX_USER_ID:
        raise ValueError(f"user_id has {size} bytes; it takes 1 to {MAX_USER_ID}")


def _missing(key: object, view: Mapping[str, Any]) -> str:
    near = get_close_matches(key, view, n=1) if isinstance(key, str) else []
    hint = f": did you mean {near[0]!r}?" if near else ""
    return f"{key!r} is not in the session{hint}"
