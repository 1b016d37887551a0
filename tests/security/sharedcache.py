"""A shared cache after RFC 9111, written from the RFC alone: the oracle for what may leak.

It is as greedy as the RFC allows: it stores whatever it may, guesses a lifetime where none is said
(4.2.2), answers from what it has whenever it may, and asks with the entity tags of all that it has
(4.3.1). `Set-Cookie` keeps it from nothing (7.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Headers = Sequence[tuple[str, str]]
_HEURISTICALLY_CACHEABLE = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}
_GUESSED_LIFETIME = 86_400.0
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


@dataclass(frozen=True)
class Response:
    """What the origin answered, or the cache for it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


Forward = Callable[[Headers], Response]
"""Asks the origin, with these headers."""


def values(headers: Headers, name: str) -> list[str]:
    """Return the members of a list-valued field, over all its lines, in lower case."""
    lines = [value for key, value in headers if key.lower() == name]
    return [part.strip(" \t").lower() for line in lines for part in line.split(",") if part.strip()]


def directives(headers: Headers) -> dict[str, str]:
    """Return what Cache-Control says: directives and their arguments."""
    pairs = (value.partition("=") for value in values(headers, "cache-control"))
    return {name: argument.strip('"') for name, _, argument in pairs}


def _combined(headers: Headers, name: str) -> str | None:
    """Return a request's field as caches compare it, its lines joined; `None` if it is missing."""
    lines = [value.strip(" \t") for key, value in headers if key.lower() == name]
    return ", ".join(lines) if lines else None


@dataclass
class _Stored:
    response: Response
    selected_by: Mapping[str, str | None]
    """The request's fields that Vary names, with what they were."""
    fresh_until: float
    validate: bool

    def matches(self, headers: Headers) -> bool:
        """Say whether a request may be answered by it (4.1)."""
        if "*" in self.selected_by:
            return False
        return all(_combined(headers, name) == was for name, was in self.selected_by.items())

    @property
    def etag(self) -> str | None:
        return next((v for k, v in self.response.headers if k.lower() == "etag"), None)


@dataclass
class SharedCache:
    """One cache in front of one origin; `clock` is in seconds.

    `heeds_vary=False` is one that keeps a page per address, as some do, whatever RFC 9111 says.
    """

    clock: Callable[[], float]
    heeds_vary: bool = True
    hits: int = 0
    """How often the origin was not asked."""
    stored: dict[str, list[_Stored]] = field(default_factory=dict[str, list[_Stored]])

    def ask(self, method: str, url: str, headers: Headers, forward: Forward) -> Response:
        """Answer a request: from what is stored where that is allowed, else from the origin."""
        if method != "GET":
            response = forward(headers)
            if method not in _SAFE and response.status < 400:
                self.stored.pop(url, None)  # 4.4
            return response
        variants = self.stored.setdefault(url, [])
        for one in variants:
            if one.matches(headers) and not one.validate and self.clock() < one.fresh_until:
                self.hits += 1
                return one.response
        etags = [one.etag for one in variants if one.etag]
        asked = [*headers, ("If-None-Match", ", ".join(etags))] if etags else headers
        response = forward(asked)
        if response.status == 304 and etags:
            response = self._freshened(variants, response)
        self._store(variants, headers, response)
        return response

    def _freshened(self, variants: list[_Stored], answer: Response) -> Response:
        """Return what a 304 selects, with its newer headers (3.2, 4.3.4)."""
        etag = next((v for k, v in answer.headers if k.lower() == "etag"), None)
        chosen = next(one for one in variants if one.etag == etag)
        variants.remove(chosen)
        newer = {name.lower() for name, _ in answer.headers} - {"content-length", "content-type"}
        kept = [pair for pair in chosen.response.headers if pair[0].lower() not in newer]
        new = [pair for pair in answer.headers if pair[0].lower() in newer]
        return Response(chosen.response.status, (*kept, *new), chosen.response.body)

    def _store(self, variants: list[_Stored], headers: Headers, response: Response) -> None:
        """Keep the response, if a shared cache may (3)."""
        said = directives(response.headers)
        explicit = {"public", "max-age", "s-maxage"} & said.keys()
        if said.keys() & {"no-store", "private"}:
            return
        if _combined(headers, "authorization") is not None and not (
            said.keys() & {"public", "s-maxage", "must-revalidate"}
        ):
            return  # 3.5
        if not explicit and response.status not in _HEURISTICALLY_CACHEABLE:
            return
        age = said.get("s-maxage", said.get("max-age"))
        lifetime = _GUESSED_LIFETIME if age is None else float(age)
        names = values(response.headers, "vary") if self.heeds_vary else ()
        vary = {name: _combined(headers, name) for name in names}
        fresh_until = self.clock() + lifetime
        variants[:] = [one for one in variants if not one.matches(headers)]
        variants.insert(0, _Stored(response, vary, fresh_until, "no-cache" in said))
