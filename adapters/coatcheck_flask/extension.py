"""The Flask extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from coatcheck.options import Options
from coatcheck.store.protocol import Store
from coatcheck_flask.interface import CoatcheckSessionInterface

if TYPE_CHECKING:
    from flask import Flask


class Coatcheck:
    """Makes `flask.session` a server-side session.

    Settings come from `app.config` (`SECRET_KEY`, `SESSION_STORE`, `SESSION_EXPIRE`, ... and
    Flask's own `SESSION_COOKIE_*` and `PERMANENT_SESSION_LIFETIME`) or from keywords, which win.
    Raises `ConfigurationError` for one that is unknown or wrong, saying what to write.

        app.config.update(SECRET_KEY=..., SESSION_STORE="sqlite:///sessions.db")
        Coatcheck(app)
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        store: Store | str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._store = store
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set the application up; several applications may share one extension."""
        interface = CoatcheckSessionInterface(store=self._store, **self._options)
        interface.lifecycle(app)  # what is wrong in the configuration is said now
        app.session_interface = interface
        app.extensions["coatcheck"] = self
