"""The Flask extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from coatcheck.errors import StoreError
from coatcheck.options import Options
from coatcheck.store.protocol import Store
from coatcheck_flask.interface import CoatcheckSessionInterface, make_unavailable

if TYPE_CHECKING:
    from flask import Flask
    from flask.wrappers import Response


class Coatcheck:
    """Makes `flask.session` a server-side session.

    Settings come from `app.config` (`SECRET_KEY`, `SESSION_STORE`, `SESSION_EXPIRE`, ... and Flask's
    own `SESSION_COOKIE_*` and `PERMANENT_SESSION_LIFETIME`) or from keywords, which win. Raises
    `ConfigurationError` for one that is unknown or wrong, saying what to write.

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
        app.extensions["coatcheck"] = interface
        app.register_error_handler(StoreError, _unavailable)


def _unavailable(error: StoreError) -> Response:
    from flask import current_app

    response = current_app.response_class()
    make_unavailable(response, error)
    return response
