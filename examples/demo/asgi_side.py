"""The ASGI side, with Starlette. Sessions are set up in `make_app`; views use `request.session`."""

from __future__ import annotations

from datetime import timedelta
from typing import cast
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

import basket
from coatcheck import AsyncSession, AsyncSessionManager
from coatcheck_asgi import SessionMiddleware
from pages import ASGI, COOKIE, TEMPLATES, after, counter
from place import Place

templates = Jinja2Templates(TEMPLATES)


def make_app(place: Place) -> Starlette:
    """Return the application, to be mounted at `/asgi`."""
    # For what concerns other sessions than that of the request.
    manager = AsyncSessionManager(store=place.store, secret=place.secret)

    async def show(request: Request) -> Response:
        session = session_of(request)
        user = session.user_id
        users_sessions = await manager.sessions_of(user) if user else []
        context = counter(ASGI, session, users_sessions, beside=_beside(request))
        return templates.TemplateResponse(request, "counter.html", context)

    async def sign_in(request: Request) -> Response:
        session = session_of(request)
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        name = form.get("name", [""])[0].strip()
        if not 0 < len(name) <= 40:
            raise HTTPException(400, "Please go back and give a name of 1 to 40 characters.")
        session.login(name, remember=timedelta(days=30) if "remember" in form else None)
        session["signed_in_on"] = ASGI.name
        return _back(request)

    async def sign_out(request: Request) -> Response:
        session_of(request).logout()
        return _back(request)

    async def regenerate(request: Request) -> Response:
        session_of(request).regenerate()
        return _back(request)

    async def put(request: Request) -> Response:
        key = request.path_params["key"]
        if key not in basket.GOODS:
            raise HTTPException(404)
        basket.put(session_of(request), key, ASGI.name)
        return _back(request)

    async def take(request: Request) -> Response:
        basket.take(session_of(request), request.path_params["key"])
        return _back(request)

    async def revoke(request: Request) -> Response:
        user = session_of(request).user_id
        if user is None:
            raise HTTPException(403, "Please sign in first.")
        try:
            # Only if it is the user's own.
            await manager.revoke(request.path_params["handle"], user_id=user)
        except ValueError:  # not in the form of a handle
            raise HTTPException(404) from None
        return _back(request)

    async def revoke_others(request: Request) -> Response:
        session = session_of(request)
        if session.user_id is None:
            raise HTTPException(403, "Please sign in first.")
        await manager.revoke_user(session.user_id, keep=[session.handle])
        return _back(request)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/regenerate", regenerate, methods=["POST"]),
            Route("/basket/{key}/put", put, methods=["POST"]),
            Route("/basket/{key}/take", take, methods=["POST"]),
            Route("/sessions/{handle}/revoke", revoke, methods=["POST"]),
            Route("/sessions/revoke-others", revoke_others, methods=["POST"]),
        ],
        middleware=[
            Middleware(
                SessionMiddleware,
                secret=place.secret,
                store=place.store,
                cookie_name=COOKIE,
                resolve={"basket": basket.merge},
            )
        ],
    )


def session_of(request: Request) -> AsyncSession:
    """Return `request.session` under the type that it has now, so that editors know `login`."""
    return cast(AsyncSession, request.session)


def _beside(request: Request) -> bool:
    return "beside" in request.query_params


def _back(request: Request) -> Response:
    return RedirectResponse(after(ASGI, beside=_beside(request)), 303)
