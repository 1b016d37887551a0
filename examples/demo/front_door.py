"""What stands before both sides: no form from another site, nothing loaded from elsewhere."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self';"
    " form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)


class FrontDoor:
    """Refuses forms that come from another site (CSRF), and says what a browser may load.

    The session cookie is SameSite=Lax, so a browser does not send it with such a form anyway; but
    other ports of one host are the same "site". `Origin` tells them apart, and every browser sends
    it with a POST.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        own_origin = f"{scope['scheme']}://{headers.get('host')}"
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin") != own_origin:
            refusal = PlainTextResponse("This form came from another site.\n", 403)
            await refusal(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self.app(scope, receive, send_with_policy)
