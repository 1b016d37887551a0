"""Notes, in Starlette: who is signed in where, and signing out everywhere else.

    $ pip install 'coatcheck[asgi]' starlette uvicorn
    $ export SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(32))')"
    $ uvicorn starlette_app:app --port 8003

In another terminal:

    $ curl -c laptop -X POST http://127.0.0.1:8003/sign-in/ada
    {"user":"ada","notes":[]}
    $ curl -c phone -X POST http://127.0.0.1:8003/sign-in/ada
    {"user":"ada","notes":[]}
    $ curl -b phone -X POST http://127.0.0.1:8003/add/milk
    {"user":"ada","notes":["milk"]}
    $ curl -b laptop http://127.0.0.1:8003/sessions
    [{"handle":"...","notes":0,"here":true},{"handle":"...","notes":1,"here":false}]
    $ curl -b laptop -X POST http://127.0.0.1:8003/sign-out-elsewhere
    {"ended":1}
    $ curl -b phone http://127.0.0.1:8003/
    {"user":null,"notes":[]}

FastAPI differs in nothing that matters here: `FastAPI().add_middleware(SessionMiddleware, ...)`.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from coatcheck import AsyncSessionManager, SessionConfig
from coatcheck_asgi import SessionMiddleware, get_session

STORE = "sqlite:///sessions.db"
config = SessionConfig(secret=os.environ["SECRET_KEY"])
manager = AsyncSessionManager(config, store=STORE)  # for other sessions than the request's own


async def show(request: Request) -> Response:
    """Show the user and the notes; whoever has none is sent no cookie."""
    session = get_session(request)  # request.session, with its type
    return JSONResponse({"user": session.user_id, "notes": session.get("notes", [])})


async def add(request: Request) -> Response:
    """Add a note: a change inside a list, which is saved like any other."""
    get_session(request).setdefault("notes", []).append(request.path_params["note"])
    return await show(request)


async def sign_in(request: Request) -> Response:
    """Sign in; whatever ID was there before is worth nothing from now on."""
    # A real application checks a password here.
    get_session(request).login(request.path_params["name"])
    return await show(request)


async def sessions(request: Request) -> Response:
    """List the user's sessions, by their handles, which are no credentials."""
    session = get_session(request)
    listed = [
        {
            "handle": other.handle,
            "notes": len(other.get("notes", [])),
            "here": other.handle == session.handle,
        }
        for other in await manager.sessions_of(user_of(request))
    ]
    return JSONResponse(listed)


async def sign_out_elsewhere(request: Request) -> Response:
    """End the user's other sessions, and what signs in at this moment."""
    keep = [get_session(request).handle]
    return JSONResponse({"ended": await manager.revoke_user(user_of(request), keep=keep)})


def user_of(request: Request) -> str:
    """Return who is signed in; raises the response 403 where nobody is."""
    user = get_session(request).user_id
    if user is None:
        raise HTTPException(403, "Please sign in first.")
    return user


app = Starlette(
    routes=[
        Route("/", show),
        Route("/add/{note}", add, methods=["POST"]),
        Route("/sign-in/{name}", sign_in, methods=["POST"]),
        Route("/sessions", sessions),
        Route("/sign-out-elsewhere", sign_out_elsewhere, methods=["POST"]),
    ]
)
app.add_middleware(SessionMiddleware, config, store=STORE)
