"""What a session adds to a response: the ID, `Vary`, and that no shared cache keeps it.

Set-Cookie, Vary, Cache-Control and Clear-Site-Data are decided here and nowhere else, from what the
commit did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coatcheck.events import ResponseMadePrivate
from coatcheck.ids import Identity
from coatcheck.lifecycle.rotating import current_identity
from coatcheck.lifecycle.saving import cookie_life
from coatcheck.lifecycle.visit import Phase, Visit
from coatcheck.record import Record
from coatcheck.request import Request, ResponseHeaders

UNAVAILABLE: Final = "The session store is out of reach. Please try again.\n"
"""What a client is told where the store is broken, with status 503: nothing of what is broken."""
_PRIVATE: Final = {"private": "private, no-cache", "no-store": "no-store"}


def finish_headers(visit: Visit, headers: ResponseHeaders) -> None:
    """Write into the headers what the session asks for; called once, after the commit.

    `visit` is one that the application looked at; for any other request there is nothing to do.
    A new ID is sent only where a create, an update or a touch of this request has just succeeded.
    """
    runtime = visit.runtime
    state, request = runtime.state, visit.request
    visit.response_started = True
    replacement = visit.replacement
    personal = visit.seen_user is not None or (
        replacement is not None and replacement.user_id is not None
    )
    # A page that shows nobody signed in is for this client and this moment; no cache is to keep it.
    personal = personal or visit.phase is Phase.UNREADABLE
    if (visit.must_issue or visit.must_clear) and request is not None:
        if visit.must_issue and visit.phase is Phase.STORED and visit.identity and visit.held:
            visit.must_issue = False
            _send_id(visit, visit.identity, visit.held.record, request, headers)
            personal = personal or state.sends
            if visit.must_clear:
                visit.must_clear = False
                _clear_site_data(runtime.config.clear_site_data, request, headers, new_id=True)
        elif visit.must_clear:
            visit.must_clear = False
            state.clear(request, headers, carried=visit.carried)
            personal = personal or state.sends
            _clear_site_data(runtime.config.clear_site_data, request, headers, new_id=False)
    vary: list[str] | None = None
    cache_control: list[str] | None = None
    for name, value in headers:
        size = len(name)
        if size == 4 and name.lower() == "vary":
            vary = [*(vary or ()), value]
        elif size == 13 and name.lower() == "cache-control":
            cache_control = [*(cache_control or ()), value]
    if runtime.vary:
        if vary is None:
            headers.add("Vary", runtime.vary)
        else:
            _add_vary(headers, vary, state.vary)
    if personal:
        if cache_control is None:
            headers.add("Cache-Control", _PRIVATE[runtime.config.cache])
        else:
            _make_private(visit, headers, cache_control)


def _send_id(
    visit: Visit, identity: Identity, record: Record, request: Request, headers: ResponseHeaders
) -> None:
    """Send the ID; never one whose secret another request has rotated since it was read."""
    runtime = visit.runtime
    if record.rotation is not None:
        current = current_identity(identity, record)
        if current is None:
            return
        identity = current
    session_id, max_age = runtime.signer.sign(identity), cookie_life(record, runtime.clock())
    runtime.state.inject(request, headers, session_id, carried=visit.carried, max_age=max_age)


def _clear_site_data(
    directives: Sequence[str], request: Request, headers: ResponseHeaders, *, new_id: bool
) -> None:
    """Tell the browser to forget the site's data, now that a session has ended (ASVS 14.3.1).

    Not over http, where browsers do not listen; and not the cookies where `new_id` is one.
    """
    if new_id and "*" in directives:
        directives = ("cache", "storage", "executionContexts")
    wanted = [f'"{one}"' for one in directives if not (new_id and one == "cookies")]
    told = any(name.lower() == "clear-site-data" for name, _ in headers)
    if wanted and request.scheme == "https" and not told:
        headers.add("Clear-Site-Data", ", ".join(wanted))


def _add_vary(headers: ResponseHeaders, present: list[str], names: Sequence[str]) -> None:
    names_given = (name.strip(" \t") for value in present for name in value.split(","))
    listed = [name for name in names_given if name]
    known = {name.lower() for name in listed}
    missing = [name for name in names if name.lower() not in known]
    if missing and "*" not in known:
        headers.set("Vary", ", ".join([*listed, *missing]))


def _make_private(visit: Visit, headers: ResponseHeaders, present: list[str]) -> None:
    """Keep shared caches away, whatever else was said: they may store what has any max-age."""
    directives = [part.strip(" \t") for value in present for part in value.split(",")]
    names = {directive.lower() for directive in directives}
    if "public" not in names and ("private" in names or "no-store" in names):
        return
    kept = [part for part in directives if part and part.lower() not in ("public", "private")]
    headers.set("Cache-Control", ", ".join(["private", *kept]))
    if "public" in names:
        visit.runtime.emit(ResponseMadePrivate(visit.handle))
