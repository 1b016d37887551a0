"""The error tree. A subclass says what the caller can do; evidence is on the error as attributes.

    CoatcheckError
    ├── ConfigurationError (ValueError)      mend the configuration; raised at construction
    ├── SessionError                         mend the program
    │   ├── SessionNotLoaded                 await session.load() first
    │   ├── SessionEnded                     the session is gone; begin a new one
    │   ├── ResponseStarted                  do it before the headers leave
    │   ├── SignInRequired                   ask for the password again
    │   ├── TooManySessions                  sign out elsewhere first
    │   ├── SessionSealed                    open it with its ID, which is with the client
    │   ├── SessionTooLarge                  store less
    │   └── UnserializableValue (TypeError)  convert or register the type
    ├── CorruptRecord                        nothing to do: an event, an anonymous session
    └── StoreError                           mend the store; adapters answer 503
        └── SaveConflict                     try again later

A hostile, unknown or expired ID is no error: it is an anonymous session.
"""

from __future__ import annotations

from collections.abc import Sequence


class CoatcheckError(Exception):
    """The root of everything that Coatcheck raises on purpose."""


class ConfigurationError(CoatcheckError, ValueError):
    """An option is wrong. Raised at construction; the message says what to write instead."""


class SessionError(CoatcheckError):
    """The program asked a session for something that it cannot do."""


class SessionNotLoaded(SessionError):
    """The session was used before `await session.load()`, where nothing loads it by itself."""


class SessionEnded(SessionError):
    """The session was destroyed, here or by another request; there is nothing left to change."""

    keys: Sequence[str]
    """The keys whose changes were dropped, if any."""

    def __init__(self, message: str, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class ResponseStarted(SessionError):
    """The change needs a response header, and the headers have left."""


class SignInRequired(SessionError):
    """Nobody is signed in, or not recently enough: ask for the password, then `session.login`."""

    max_age: float
    """How many seconds ago the sign-in might have been, at most."""
    age: float | None
    """How many seconds ago it was; `None`: nobody is signed in."""

    def __init__(self, max_age: float, age: float | None) -> None:
        was = "nobody is signed in" if age is None else f"the latest sign-in was {age:.0f} s ago"
        super().__init__(
            f"{was}, and this takes one less than {max_age:g} s ago: ask for the password, then"
            " call session.login(user_id)"
        )
        self.max_age = max_age
        self.age = age


class TooManySessions(SessionError):
    """The user has as many sessions as `max_sessions_per_user` allows, and none may be evicted."""

    def __init__(self, user_id: str, limit: int) -> None:
        super().__init__(
            f"the user already has {limit} live session(s), the most that max_sessions_per_user"
            " allows: end one of them first, or configure evict='oldest'"
        )
        self.user_id = user_id
        self.limit = limit


class SessionSealed(SessionError):
    """Nobody but who has the session's ID can read or change its data (`encrypt="sealed"`)."""

    def __init__(self) -> None:
        super().__init__(
            "this session's data is encrypted under its ID, which is with the client alone: what"
            " stands beside the data can be read, the session can be ended, and"
            " SessionManager.open(session_id) opens it all"
        )


class SessionTooLarge(SessionError):
    """The encoded session is larger than `max_size`; the stored record is unharmed."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the session takes {size} bytes, max_size is {limit}: keep large data elsewhere"
            " and only its key in the session, or raise max_size"
        )
        self.size = size
        self.limit = limit


class UnserializableValue(SessionError, TypeError):
    """A value cannot be stored and come back with the same type and value."""

    key: str
    """The session's key under which the value lies."""
    path: str
    """Where the value lies inside that key, as Python would reach it: `['cart'][0]['price']`."""

    def __init__(self, key: str, path: str, reason: str) -> None:
        super().__init__(f"session{path} cannot be stored: {reason}")
        self.key = key
        self.path = path
        self.reason = reason


class CorruptRecord(CoatcheckError):
    """Stored bytes are not a record of ours. Never reaches the application."""


class StoreError(CoatcheckError):
    """The store is broken or out of reach: full disk, locked database, vanished folder."""


class SaveConflict(StoreError):
    """Other requests kept changing the session for as long as the save was willing to retry."""


class WeakSecretWarning(UserWarning):
    """A secret is short or a known placeholder; generate one with `secrets.token_urlsafe(32)`."""
