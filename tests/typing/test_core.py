"""What type checkers make of sessions and managers; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

from coatcheck import (
    AsyncSession,
    AsyncSessionManager,
    Session,
    SessionConfig,
    SessionManager,
    open_async_store,
    open_store,
)
from coatcheck.events import ChangesDropped, Event
from coatcheck.store import AsyncStore, MemoryStore, Store

if TYPE_CHECKING:

    def a_session_is_a_mapping(session: Session) -> None:
        """Of strings to anything."""
        assert_type(session["key"], Any)
        assert_type(session.get("key"), Any)
        assert_type(session.get("key", 1), Any)
        assert_type(session.pop("key"), Any)
        assert_type(session.setdefault("key", []), Any)
        assert_type(session.slice("key", "other"), dict[str, Any])
        assert_type(session.copy(), dict[str, Any])
        assert_type(session | {"a": 1}, dict[str, Any])
        assert_type({"a": 1} | session, dict[str, Any])
        assert_type(iter(session), Iterator[str])
        assert_type(session.keys(), KeysView[str])
        assert_type(session.values(), ValuesView[Any])
        assert_type(session.items(), ItemsView[str, Any])
        assert_type(len(session), int)
        assert_type("key" in session, bool)
        session["key"] = object()
        session.update({"a": 1}, b=2)
        session[1] = 2  # type: ignore[index] # pyright: ignore[reportArgumentType]

    def a_session_has_an_identity(session: Session) -> None:
        """And times, in seconds."""
        assert_type(session.id, str)
        assert_type(session.handle, str)
        assert_type(session.user_id, str | None)
        assert_type(session.is_new, bool)
        assert_type(session.accessed, bool)
        assert_type(session.modified, bool)
        assert_type(session.created_at, float)
        assert_type(session.expires_at, float | None)
        assert_type(session.last_seen_at, float)
        assert_type(session.signed_in_at, float | None)
        session.user_id = "ann"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]

    def a_session_can_be_asked_for_things(session: Session) -> None:
        """By keyword."""
        session.login("ann", keep=["cart"], remember=timedelta(days=90))
        session.login(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        session.set_expiry(idle=60, lifetime=timedelta(days=1))
        session.set_expiry(idle=None, lifetime="indefinite")
        assert_type(session.csrf_token(), str)
        assert_type(session.verify_csrf("..."), bool)
        assert_type(session.verify_csrf(None), bool)
        session.require_recent_auth(300)
        session.require_recent_auth(timedelta(minutes=5))
        session.require_recent_auth(None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        session.regenerate()
        session.logout()
        session.destroy()
        session.clear()
        session.modified = True

    async def an_async_session_awaits(session: AsyncSession) -> None:
        """What reads and writes."""
        assert_type(await session.load(), AsyncSession)
        assert_type(await session.save(), None)  # pyright: ignore[reportUnusedCoroutine]
        assert_type(await session.refresh(), None)
        assert_type(session["key"], Any)

    def a_manager_gives_sessions(manager: SessionManager) -> None:
        """Or none."""
        assert_type(manager.create("ann", {"a": 1}), Session)
        assert_type(manager.open("..."), Session | None)
        assert_type(manager.find("..."), Session | None)
        assert_type(manager.sessions_of("ann"), list[Session])
        assert_type(manager.revoke("...", user_id="ann"), bool)
        assert_type(manager.revoke_user("ann", keep=["..."]), int)
        assert_type(manager.delete("..."), bool)
        assert_type(manager.purge_expired(), int)

    async def an_async_manager_gives_async_sessions(manager: AsyncSessionManager) -> None:
        """Awaited."""
        assert_type(await manager.create("ann"), AsyncSession)
        assert_type(await manager.open("..."), AsyncSession | None)
        assert_type(await manager.sessions_of("ann"), list[AsyncSession])
        assert_type(await manager.revoke_user("ann"), int)

    def options_are_known_by_name_and_type() -> None:
        """A misspelt one, or one of a wrong type, is found before the program runs."""
        SessionConfig(secret="...", expire=1800, lifetime=timedelta(days=1), evict="refuse")
        SessionConfig(expire=1800)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        SessionConfig(secret="...", expires=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        SessionConfig(secret="...", preset="aal2")
        SessionConfig(secret="...", preset="aal4")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionConfig(secret="...", clear_site_data=True)
        SessionConfig(secret="...", clear_site_data=["cache"])
        SessionConfig(secret="...", websocket_origins=["same", "https://app.example.org"])
        SessionConfig(secret="...", rotate_every=timedelta(minutes=15), on_theft="event")
        SessionConfig(secret="...", on_theft="no")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionConfig(secret="...", encrypt="sealed")
        SessionConfig(secret="...", encrypt="yes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionConfig(secret="...", evict="any")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        SessionManager(secret="...", store="sqlite:///sessions.db", max_sessions_per_user=3)
        SessionManager(secret="...", store=MemoryStore())
        SessionManager(secret="...", stores=MemoryStore())  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]

    def stores_have_a_type() -> None:
        """As protocols."""
        assert_type(open_store("memory://"), Store)
        assert_type(open_async_store("memory://"), AsyncStore | Store)

    def events_have_fields(event: Event) -> None:
        """Of their own."""
        if isinstance(event, ChangesDropped):
            assert_type(event.handle, str)
            for key in event.keys:
                assert_type(key, str)
