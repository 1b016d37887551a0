"""Whether a WebSocket may have the session that its handshake carries.

Cross-site WebSocket hijacking (CWE-1385): a foreign page opens a WebSocket, the browser adds the
user's cookie, and the page reads and writes as that user. `SameSite` keeps the cookie away from
other sites, not from other hosts of the same site, and `SameSite=None` from nobody.
"""

from __future__ import annotations

from coatcheck.events import OriginRefused
from coatcheck.origins import OriginTest, shown
from coatcheck.request import Request
from coatcheck.runtime import Runtime


class HandshakeGuard:
    """Judges the handshakes of one middleware, before anything of a session is looked at."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._allows = OriginTest(runtime.config.websocket_origins)
        # What a browser does not send by itself, such as a token, no foreign page can abuse. Of a
        # State that names nothing it is not known.
        vary = runtime.state.vary
        reads_cookies = not vary or any(name.lower() in ("cookie", "*") for name in vary)
        self._is_needed = reads_cookies and self._allows.is_needed

    def admits(self, request: Request) -> bool:
        """Say whether the connection may go on; `False` is an event, and the answer is 403.

        One that carries no session has nothing to lose, and is not judged. No store is asked.
        """
        if not self._is_needed or not request.header("cookie"):
            return True
        if not self._runtime.state.extract(request) or self._allows(request):
            return True
        self._runtime.emit(OriginRefused(shown(request, "origin"), shown(request, "host")))
        return False
