"""What the errors of Redis and of redis-py mean for whoever called the store.

redis-py makes a class of some replies and cuts their first word off; others keep it in their text.
"""

from __future__ import annotations

from typing import Final

from redis import exceptions

from coatcheck.errors import StoreError

FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""What redis-py raises where something is wrong with the server or the way to it.

The error of a cluster of which no node answers is no `RedisError`.
"""


class NoScript(StoreError):
    """The server does not know the script: send it whole."""


class NotAString(StoreError):
    """What lies under the name was not written by this store."""


class Unreachable(StoreError):
    """The connection is gone, and so is the answer, if there was one."""


class NotUnderstood(StoreError):
    """The server refused a command as it is written: it is too old for an option, say."""


_KINDS: Final[dict[str, type[exceptions.RedisError]]] = {
    "NOSCRIPT": exceptions.NoScriptError,
    "READONLY": exceptions.ReadOnlyError,
    "OOM": exceptions.OutOfMemoryError,
    "LOADING": exceptions.BusyLoadingError,
}


def error_reply(text: str) -> exceptions.RedisError:
    """Return the error that redis-py would make of an error reply."""
    kind = _KINDS.get(text.partition(" ")[0])
    return exceptions.ResponseError(text) if kind is None else kind(text.partition(" ")[2])


def meaning(error: BaseException, where: str, timeout: float | None = None) -> StoreError:
    """Return the error to raise; `where` and `timeout` (s) are what it names."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, exceptions.NoScriptError):
        return NoScript(f"{where} does not know a script of this store")
    if isinstance(error, exceptions.ReadOnlyError):
        return StoreError(
            f"{where} is a read-only replica: give the primary's address, or redis+sentinel:// or"
            " redis+cluster:// so that it is found"
        )
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreError(
            f"{where} has no memory left for a write: raise its maxmemory, or end sessions sooner"
        )
    if isinstance(error, exceptions.TimeoutError | TimeoutError | BlockingIOError):
        # The last where it is the kernel that kept the limit.
        limit = "" if timeout is None else f" within {timeout:g} s"
        return StoreError(f"{where} did not answer{limit}")
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return StoreError(f"{where} refuses the user name or the password: {error}")
    if isinstance(error, exceptions.ResponseError):
        text = str(error)
        kind = StoreError
        if text.startswith(("WRONGTYPE", "NOTARECORD")):
            kind = NotAString
        elif text.startswith("ERR "):
            kind = NotUnderstood
        return kind(f"{where} refused a command: {text}")
    out_of_reach = exceptions.ConnectionError | exceptions.RedisClusterException | OSError
    if isinstance(error, out_of_reach):
        return Unreachable(f"{where} cannot be reached: {error}")
    return StoreError(f"{where} failed: {type(error).__name__}: {error}")
