"""What type checkers make of `SessionService`; checked by mypy and pyright, never run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

from coatcheck import Result, ServiceSession, SessionManager, SessionService

if TYPE_CHECKING:

    def a_service_is_a_context_manager(folder: Path) -> None:
        """Made by position or by keyword."""
        with SessionService("file", folder, session_timeout="indefinite", max_size=10**6) as opened:
            assert_type(opened, SessionService)
            assert_type(opened.manager, SessionManager)
        SessionService(backend="database", storage_dir="state", secret=b"bytes", old_secrets=["a"])
        SessionService(store="memory://", secret="text", max_sessions_per_user=None)
        SessionService(expire=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]

    def every_method_returns_a_result(sessions: SessionService) -> None:
        """Whose session may be missing."""
        result = sessions.new_session("ann", data={"cart": []}, session_timeout=timedelta(days=1))
        assert_type(result, Result)
        assert_type(result.session, ServiceSession | None)
        assert_type(result.success, bool)
        assert_type(result["message"], Any)
        assert_type(result.active, tuple[str, ...])
        assert_type(sessions.get_session("id"), Result)
        assert_type(sessions.delete_session("id"), Result)
        assert_type(sessions.delete_user_session("ann"), Result)
        assert_type(sessions.cleanup_sessions(), Result)
        sessions.new_session(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    def a_session_has_the_contract_s_names(session: ServiceSession) -> None:
        """All of them methods."""
        assert_type(session.get_data(), Result)
        assert_type(session.set_data([1]), Result)
        assert_type(session.save(), Result)
        assert_type(session.session_id(), str)
        assert_type(session.user_id(), str | None)
        assert_type(session.created_at(), float)
        assert_type(session.expires_at(), float | Literal["indefinite"])
        assert_type(session.is_valid(), bool)
        assert_type(session.status(), dict[str, Any])
