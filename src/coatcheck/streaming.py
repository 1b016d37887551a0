"""A response body that is made while it is sent, so that the session may change on the way.

For the adapters of synchronous servers: chunks pass through untouched and at once. Long streams
keep the session alive; what changed is saved before the client can know that the body is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Thread
from typing import Any

from coatcheck.drivers import run_now
from coatcheck.face import headers_left, let_go, visit_of
from coatcheck.lifecycle import Lifecycle
from coatcheck.session import Session


class StreamedBody:
    """Iterates over the chunks of a body, whose headers have left, and commits the session.

    `length` is the Content-Length in bytes, if there is one: then the commit comes before the chunk
    that completes it, else before the iteration ends. `failed` says that the response is an error.
    What an error of that commit raises cuts the body short, which the client can see.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        session: Session,
        chunks: Iterable[Any],
        *,
        length: int | None = None,
        failed: bool = False,
    ) -> None:
        self._lifecycle = lifecycle
        self._session = session
        self._chunks = chunks
        self._iterator: Iterator[Any] | None = None
        self._left = length
        self._failed = failed
        headers_left(session)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            chunk = next(self._iterator)
        except StopIteration:
            self._commit()
            raise
        except BaseException:
            self._failed = True
            raise
        self._pass(len(chunk))
        return chunk

    def _pass(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left <= 0:
                self._commit()
                return
        visit = visit_of(self._session)
        if visit is not None and self._lifecycle.keeps_alive(visit):
            run_now(self._lifecycle.keep_alive(visit))

    def _commit(self) -> None:
        visit = visit_of(self._session)
        if visit is not None and not self._lifecycle.idle(visit):
            failed, self._failed = self._failed, True
            run_now(self._lifecycle.commit(visit, failed=failed))
            self._failed = failed

    def close(self) -> None:
        """Close the body; what was not committed yet, for the client went away, is saved now."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            commit_at_the_end(self._lifecycle, self._session, failed=self._failed)


def commit_at_the_end(lifecycle: Lifecycle, session: Session, *, failed: bool) -> None:
    """Save what was not committed yet, where no header and no error can reach the client."""
    visit = visit_of(session)
    if visit is not None:
        visit.response_started = True
        if not lifecycle.idle(visit):
            run_now(lifecycle.commit_late(visit, failed=failed))
        let_go(session)


def purge_aside(lifecycle: Lifecycle) -> None:
    """Purge if that is due, and keep no response waiting for it."""
    if not lifecycle.claim_purge():
        return
    if getattr(lifecycle.runtime.wrapped, "never_blocks", False):
        _purge(lifecycle)
    else:
        Thread(target=_purge, args=(lifecycle,), name="coatcheck-purge", daemon=True).start()


def _purge(lifecycle: Lifecycle) -> None:
    run_now(lifecycle.purge())
