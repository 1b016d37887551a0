"""Sessions outside a request: for jobs and administrators, and all the sessions of a user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, Final, Unpack

from coatcheck.config import SessionConfig
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError, CorruptRecord, SessionEnded
from coatcheck.events import IDRejected, RecordCorrupt, SessionDestroyed, SessionRevoked
from coatcheck.face import attach
from coatcheck.ids import Identity, has_form_of_id
from coatcheck.layout import unpack
from coatcheck.lifecycle import Lifecycle, purge_all
from coatcheck.lifecycle.beginning import begin
from coatcheck.lifecycle.ending import end_record
from coatcheck.lifecycle.opening import find, open_now, open_visit
from coatcheck.lifecycle.tombstone import look_up
from coatcheck.lifecycle.visit import Phase, Visit
from coatcheck.options import Options
from coatcheck.passage import brings_passage
from coatcheck.record import Record
from coatcheck.runtime import Runtime
from coatcheck.session import AsyncSession, BaseSession, Session
from coatcheck.state import CallbackState, CookieState
from coatcheck.store.protocol import AsyncStore, AsyncUserIndex, Store, check_key

MOST_TRIES: Final = 3
"""How often a deadline is slid anew, because others saved the session meanwhile and so slid it."""


class ManagerCore:
    """What both managers do, written once as coroutines; `SessionService` stands on it too."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.lifecycle = Lifecycle(runtime)

    def new_visit(self) -> Visit:
        visit = Visit(self.runtime, None, self.runtime.clock())
        visit.become_new()
        return visit

    def claim(self, session_id: str) -> Visit | None:
        """Verify an ID, without asking the store; `None` for any that was not signed here."""
        runtime = self.runtime
        known = runtime.signer.verify(session_id)
        if known is None:
            if has_form_of_id(session_id):
                runtime.emit(IDRejected("signature"))
            return None
        visit = Visit(runtime, None, runtime.clock())
        identity, current = known
        visit.candidates, visit.carried = (session_id,), session_id
        visit.verified = ((session_id, identity, current),)
        return visit

    async def create(self, visit: Visit) -> None:
        """Store a new session, one without user and data too."""
        if visit.replacement is None:
            await begin(visit)
        else:
            await self.lifecycle.save(visit)

    async def open(self, session_id: str) -> Visit | None:
        visit = self.claim(session_id)
        if visit is None:
            return None
        await open_visit(visit)
        if visit.endings:
            await self.lifecycle.end_now(visit)
        return visit if visit.phase is Phase.STORED else None

    def open_now(self, session_id: str) -> Visit | None:
        """Do the same where no call of the store suspends."""
        visit = self.claim(session_id)
        if visit is None:
            return None
        open_now(visit)
        if visit.endings:
            run_now(self.lifecycle.end_now(visit))
        return visit if visit.phase is Phase.STORED else None

    async def find(self, handle: str) -> Visit | None:
        visit = self.new_visit()
        found = await find(visit, Identity(check_key(handle), b""))
        return visit if found else None

    async def save(self, visit: Visit) -> None:
        """Save what changed, and slide the deadline, changed or not, as often as it is called.

        Raises what `Lifecycle.save` raises, and `SessionEnded` too where nothing had changed and
        the session is gone.
        """
        before = visit.held
        await self.lifecycle.save(visit)
        if visit.held is before:
            # Neither written nor touched. That proves nothing, so the store is asked.
            await self._make_sure(visit)

    async def refresh(self, visit: Visit) -> None:
        """Read the session again, as `Lifecycle.refresh` does; raise `CorruptRecord` for damage.

        That is no end of the session: somebody may restore it.
        """
        identity = visit.identity
        stored = None if identity is None else await self.runtime.store.get(identity.handle)
        if identity is not None and stored is not None:
            known = visit.held.record.sealing if visit.held else None
            self.runtime.understood(stored.payload, identity, known)
        await self.lifecycle.refresh(visit)

    async def _make_sure(self, visit: Visit) -> None:
        for _ in range(MOST_TRIES):
            before = visit.held
            if before is None or visit.identity is None:
                return
            if visit.touch_at < inf:
                await self.lifecycle.keep_alive(visit)
            else:
                found = await look_up(self.runtime, visit.identity.handle)
                if found is None or not isinstance(found[1], Record):
                    visit.lose("gone")
            if visit.held is None:
                raise SessionEnded("another program ended this session, or it expired")
            if visit.held.version == before.version:
                return
            # Somebody else has saved it meanwhile: now it is that version which is to slide.

    async def delete(self, handle: str) -> bool:
        return await self._end(handle, None, "delete")

    async def revoke(self, handle: str, user_id: str | None) -> bool:
        if user_id is not None:
            # Of a session that was just replaced there is the tombstone, which has its user too.
            found = await look_up(self.runtime, check_key(handle))
            if found is None or found[1].user_id != user_id:
                return False
        return await self._end(handle, user_id, "revoked")

    async def _end(self, handle: str, user_id: str | None, reason: str) -> bool:
        record = await end_record(self.runtime, check_key(handle), user_id)
        if record is None:
            return False
        if reason == "delete":
            self.runtime.emit(SessionDestroyed(handle, record.user_id, "delete"))
        else:
            self.runtime.emit(SessionRevoked(handle, record.user_id, "revoked"))
        return True

    async def sessions_of(self, user_id: str) -> list[Visit]:
        visits: list[Visit] = []
        for entry in await self._index().entries(user_id):
            visit = await self.find(entry.key)
            if visit is not None and visit.user_id == user_id:
                visits.append(visit)
        return visits

    async def revoke_user(self, user_id: str, keep: Collection[str]) -> int:
        handles = await self._index().revoke(user_id, keep=[check_key(handle) for handle in keep])
        ended = [handle for handle in handles if await self._end(handle, user_id, "revoked")]
        return len(ended)

    async def survey(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the handles of all live sessions, and those of records that cannot be read."""
        runtime = self.runtime
        live: list[str] = []
        damaged: list[str] = []
        cursor: str | None = None
        while runtime.scans is not None:
            page, cursor = await runtime.scans.scan(cursor)
            for handle in page:
                try:
                    stored = await runtime.store.get(handle)
                    content = None if stored is None else unpack(stored.payload)
                except CorruptRecord as error:
                    runtime.emit(RecordCorrupt(handle, str(error)))
                    damaged.append(handle)
                    continue
                if isinstance(content, Record) and not content.ended(runtime.clock()):
                    live.append(handle)
            if cursor is None:
                break
        # Files that do not begin as those of records do are in no scan.
        others: Callable[[], Sequence[str]] | None = getattr(runtime.wrapped, "damaged", None)
        return tuple(live), (*damaged, *(others() if others is not None else ()))

    def _index(self) -> AsyncUserIndex:
        index: AsyncUserIndex | None = self.runtime.index
        if index is None:
            raise ConfigurationError(
                f"{type(self.runtime.wrapped).__name__} has no user index, so a user's sessions are"
                " not known: use memory://, file:///, sqlite:/// or another store that has one"
            )
        return index


def _config(config: SessionConfig | None, options: Options, store: object) -> SessionConfig:
    """Complete the configuration: without a web, the ID travels as the caller hands it in."""
    made = SessionConfig.from_options(config, **options)
    if brings_passage(store):
        return made
    if made.state is None:
        # What no web application takes is a mistake here too.
        CookieState(made.cookie_name, options=made.cookie_options)
    return made.replace(state=CallbackState(_nothing_sent, sends=False), cookie_options={})


def _nothing_sent(request: object) -> None:
    return None


class SessionManager:
    """Creates, finds, lists and ends sessions in a synchronous program.

    `store` is a URL or a store; `options` are those of `SessionConfig`, or one as `config`. With
    the secret, the store and the namespace of a web application it manages that one's sessions.
    """

    def __init__(
        self,
        config: SessionConfig | None = None,
        /,
        *,
        store: Store | str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._core = ManagerCore(Runtime.blocking(_config(config, options, store), store))

    def create(self, user_id: str | None = None, data: Mapping[str, Any] | None = None) -> Session:
        """Create a session and store it; signed in if there is a user.

        Raises `TooManySessions`, `UnserializableValue`, `SessionTooLarge`, `StoreError`, and
        `SessionEnded` where the user was revoked at this very moment.
        """
        visit = self._core.new_visit()
        session = self._session(visit)
        _fill(session, user_id, data)
        run_now(self._core.create(visit))
        return session

    def open(self, session_id: str) -> Session | None:
        """Return the session of an ID, verified; `None` for any that is not live.

        The only method that takes what a client sent.
        """
        visit = self._core.open_now(session_id)
        return None if visit is None else self._session(visit)

    def find(self, handle: str) -> Session | None:
        """Return the session of a handle, for administrators; its `id` stays unknown."""
        visit = run_now(self._core.find(handle))
        return None if visit is None else self._session(visit)

    def save(self, session: Session) -> None:
        """Save the session; see `Session.save`."""
        session.save()

    def delete(self, handle: str) -> bool:
        """End the session of a handle; `False` if there was none."""
        return run_now(self._core.delete(handle))

    def sessions_of(self, user_id: str) -> list[Session]:
        """Return the user's live sessions, oldest first."""
        return [self._session(visit) for visit in run_now(self._core.sessions_of(user_id))]

    def revoke(self, handle: str, *, user_id: str | None = None) -> bool:
        """End the session of a handle, only if it belongs to `user_id` where that is given."""
        return run_now(self._core.revoke(handle, user_id))

    def revoke_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """End all sessions of the user but the handles in `keep`; return how many ended.

        A sign-in that is under way at this moment does not survive either.
        """
        return run_now(self._core.revoke_user(user_id, keep))

    def purge_expired(self) -> int:
        """Remove what has expired; return how many records went."""
        return run_now(purge_all(self._core.runtime))

    def _session(self, visit: Visit) -> Session:
        session = Session(self._core.lifecycle)
        attach(session, visit)
        return session


class AsyncSessionManager:
    """`SessionManager` for programs with an event loop; its methods are awaited."""

    def __init__(
        self,
        config: SessionConfig | None = None,
        /,
        *,
        store: Store | AsyncStore | str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._core = ManagerCore(Runtime.awaiting(_config(config, options, store), store))

    async def create(
        self, user_id: str | None = None, data: Mapping[str, Any] | None = None
    ) -> AsyncSession:
        """See `SessionManager.create`."""
        visit = self._core.new_visit()
        session = self._session(visit)
        _fill(session, user_id, data)
        await self._core.create(visit)
        return session

    async def open(self, session_id: str) -> AsyncSession | None:
        """See `SessionManager.open`."""
        visit = await self._core.open(session_id)
        return None if visit is None else self._session(visit)

    async def find(self, handle: str) -> AsyncSession | None:
        """See `SessionManager.find`."""
        visit = await self._core.find(handle)
        return None if visit is None else self._session(visit)

    async def save(self, session: AsyncSession) -> None:
        """See `SessionManager.save`."""
        await session.save()

    async def delete(self, handle: str) -> bool:
        """See `SessionManager.delete`."""
        return await self._core.delete(handle)

    async def sessions_of(self, user_id: str) -> list[AsyncSession]:
        """See `SessionManager.sessions_of`."""
        return [self._session(visit) for visit in await self._core.sessions_of(user_id)]

    async def revoke(self, handle: str, *, user_id: str | None = None) -> bool:
        """See `SessionManager.revoke`."""
        return await self._core.revoke(handle, user_id)

    async def revoke_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        """See `SessionManager.revoke_user`."""
        return await self._core.revoke_user(user_id, keep)

    async def purge_expired(self) -> int:
        """See `SessionManager.purge_expired`."""
        return await purge_all(self._core.runtime)

    def _session(self, visit: Visit) -> AsyncSession:
        session = AsyncSession(self._core.lifecycle)
        attach(session, visit)
        return session


def core_of(manager: SessionManager) -> ManagerCore:
    """Return what the manager works with; for `SessionService`."""
    return manager._core  # pyright: ignore[reportPrivateUsage]


def _fill(session: BaseSession, user_id: str | None, data: Mapping[str, Any] | None) -> None:
    if user_id is not None:
        session.login(user_id)
    session.update(data or {})
