"""What a State is: how the session ID travels between client and server.

Any object with these methods and attributes is one. A class that derives from `State` and lacks one
of them cannot be instantiated.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from coatcheck.request import Request, ResponseHeaders


class State(Protocol):
    """Reads the session ID from requests and writes it into responses."""

    @property
    @abstractmethod
    def vary(self) -> Sequence[str]:
        """The request headers that it reads, for `Vary`, such as `("Cookie",)`."""
        ...

    @property
    @abstractmethod
    def sends(self) -> bool:
        """Whether `inject` can reach the client."""
        ...

    @abstractmethod
    def extract(self, request: Request, /) -> str | Sequence[str] | None:
        """Return what may be the session ID: 68 characters of `[A-Za-z0-9_-]`, one or several.

        Anything else in the request is silently none: nothing a client sends raises here.
        """
        ...

    @abstractmethod
    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        """Send the ID to the client.

        `carried` is the candidate that opened the session, else the first one, if there was any.
        `max_age` is how long the client should keep the ID, in seconds; `None`: until it closes.
        """
        ...

    @abstractmethod
    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        """Tell the client to drop the ID."""
        ...
