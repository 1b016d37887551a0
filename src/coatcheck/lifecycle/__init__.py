"""The life of a session in a request: opened at first touch, committed before the headers leave.

Theory of operation. A request meets a session in one of these phases (`visit.Phase`):

    UNOPENED ──open──> STORED   exactly one well-signed ID has a live record and its secret
                  ├──> MUTE     its record was replaced within 5 s before the request began
                  ├──> UNREADABLE   the store failed, and `on_store_error` is "anonymous"
                  └──> NEW      everything else: no ID, forged, unknown, expired, ambiguous, corrupt
    NEW    ──commit──> STORED   only if the application stored something, signed a user in, or asked
                                for a CSRF token
    STORED ──commit──> STORED   saved, merged, touched, or replaced by `login` and `regenerate`
                  └──> LOST     another request ended or replaced it: nothing is written or sent
    any    ──destroy─> ENDED    `logout` is the same, and goes on as NEW

`open` and `commit` are the only ways in and out. All rules about them are here and in the modules
for what they do: `opening` (a session is found), `saving` (a record changes), `rotating` (its
secret does), `beginning` (a record begins), `succession` (it makes way for the next), `ending` (it
goes). They are coroutines; `drivers` says who drives them. The adapters call these methods and
translate headers and statuses; they decide nothing.

A commit happens before the headers leave, so that an error can still be shown and a new ID sent. A
second one, at the end of the body or connection, saves what changed since. What can no longer
reach anybody by then becomes the event `ChangesDropped`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from math import inf
from secrets import randbelow
from typing import Final

from coatcheck.errors import CoatcheckError, SessionEnded, StoreError
from coatcheck.events import (
    ChangesDropped,
    PurgeFailed,
    SessionDestroyed,
    StoreFailed,
    TouchFailed,
)
from coatcheck.lifecycle.beginning import begin
from coatcheck.lifecycle.ending import end_record, end_stolen
from coatcheck.lifecycle.opening import find, meet
from coatcheck.lifecycle.saving import NotTouched, handle_of, save, touch
from coatcheck.lifecycle.succession import replace
from coatcheck.lifecycle.visit import Held, Phase, Visit
from coatcheck.record import merge, restrict
from coatcheck.runtime import Runtime

PURGE_INTERVAL: Final = 600.0
"""Seconds between two purges."""
PURGE_BATCH: Final = 1000


class Lifecycle:
    """Commits the sessions of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._purge_at = 0.0 if runtime.purges and runtime.config.purge == "auto" else inf

    # Committing

    def idle(self, visit: Visit) -> bool:
        """Say whether a commit would have nothing to do; asked before a coroutine is made."""
        if (
            visit.written
            or visit.cleared
            or visit.reissue
            or visit.replacement is not None
            or visit.endings
            or visit.expiry
            or visit.drops
        ):
            return False
        if visit.shared and not visit.unchanged():
            return False
        return visit.touch_at == inf or self.runtime.clock() < visit.touch_at

    async def commit(self, visit: Visit, *, failed: bool = False) -> None:
        """Carry out what the application asked for; called before the headers leave.

        `failed` says that the response is an error (status 500 or above, or an exception): then
        sessions still end, but nothing else changes, unless `save_on_error` is set. Raises
        `UnserializableValue`, `SessionTooLarge`, `TooManySessions` and `StoreError`.
        """
        try:
            if visit.endings:
                await self.end_now(visit)
            await self._next_step(visit, failed=failed and not self.runtime.config.save_on_error)
        except NotTouched as error:
            # No page fails for that which only reads: at worst its session ends an interval early.
            self.runtime.emit(TouchFailed(handle_of(visit), str(error)))
        except StoreError as error:
            if not self._goes_on_without(visit, error):
                raise
        finally:
            if visit.drops:
                self._tell(visit)

    async def commit_late(self, visit: Visit, *, failed: bool = False) -> None:
        """Commit where nobody can be reached any more: what fails becomes an event.

        No cancellation interrupts that, for at most 5 s.
        """
        try:
            await self.runtime.shield(self._commit_or_tell(visit, failed=failed))
        except TimeoutError:
            self._tell_late(visit)
        except BaseException:
            # A loop that ends cancels all tasks, that of the shield among them. What it has saved
            # is not pending any more.
            self._tell_late(visit)
            raise

    async def _commit_or_tell(self, visit: Visit, *, failed: bool) -> None:
        try:
            await self.commit(visit, failed=failed)
        except CoatcheckError:
            self._tell_late(visit)

    async def save(self, visit: Visit) -> None:
        """Commit now, on the application's demand; what could not be saved is raised.

        Raises what `commit` raises, and `SessionEnded` where another request ended the session or
        cleared it.
        """
        if visit.phase is Phase.UNREADABLE:
            raise unreadable("save()")
        await self.end_now(visit)
        await self._next_step(visit, failed=False)
        drops, visit.drops = visit.drops, []
        if drops:
            keys = tuple(key for drop in drops for key in drop.keys)
            raise SessionEnded(_WHY_NOT_SAVED[drops[0].reason], keys)

    async def refresh(self, visit: Visit) -> None:
        """Read the record again; changes that are not saved yet are applied on top of it.

        Raises `SessionEnded` where the session is gone.
        """
        runtime, identity = self.runtime, visit.identity
        if visit.phase is not Phase.STORED or identity is None:
            if visit.phase is Phase.UNREADABLE:
                raise unreadable("refresh()")
            return
        changing = visit.changed or visit.replacement is not None
        mine = runtime.codec.encode(visit.data()) if changing else None
        base, cleared = visit.base, visit.cleared
        pending = visit.expiry, visit.replacement
        if not await find(visit, identity):
            visit.lose("gone")
            self._tell(visit)
            raise SessionEnded("another request ended this session")
        visit.expiry, visit.replacement = pending
        keep = visit.replacement.keep if visit.replacement else None
        if mine is None or (mine == base and visit.replacement is None and not cleared):
            return
        theirs = runtime.codec.encode(visit.data())
        # What a pending login() leaves behind does not come back.
        base, theirs = (restrict(runtime.codec, data, keep) for data in (base, theirs))
        if visit.replacement is not None and not cleared:
            # What others saved came before the call, too.
            mark = visit.replacement.mark
            visit.replacement.mark = merge(runtime.codec, base, mark, theirs, {}).data
        if not cleared:
            mine = merge(runtime.codec, base, mine, theirs, runtime.config.resolve).data
        visit.view = runtime.codec.decode(mine)
        visit.written, visit.cleared = True, cleared

    async def end_now(self, visit: Visit) -> None:
        """End what `destroy` and `logout` asked to be ended."""
        while visit.endings:
            ending = visit.endings[0]
            if ending.reason == "stolen":
                await end_stolen(self.runtime, ending.handle, ending.user_id)
                del visit.endings[0]
                continue
            await end_record(self.runtime, ending.handle, ending.user_id)
            del visit.endings[0]
            self.runtime.emit(SessionDestroyed(ending.handle, ending.user_id, ending.reason))

    def _next_step(self, visit: Visit, *, failed: bool) -> Awaitable[object]:
        """Decide what a commit has to do."""
        phase, runtime = visit.phase, self.runtime
        if failed:
            visit.drop("error")
            return touch(visit)
        if phase is Phase.STORED and visit.replacement is None:
            if not visit.response_started or not runtime.in_client:
                return save(visit)
            visit.drop("late")  # the record cannot leave any more
        elif phase is Phase.MUTE and not _signs_in(visit):
            visit.drop("replaced")
        elif phase is Phase.LOST:
            visit.drop("gone")
        elif phase is Phase.UNREADABLE:
            visit.drop("outage")
        elif visit.response_started and runtime.state.sends:
            visit.drop("late")  # a new ID cannot leave any more
        elif visit.replacement is not None:
            # A cancelled request must not leave a session half replaced.
            return runtime.shield(replace(visit))
        elif phase is Phase.NEW and visit.changed and (visit.data() or visit.must_issue):
            return begin(visit)
        elif phase is Phase.NEW:
            visit.written = visit.cleared = False  # nothing was stored, and nothing is lost
        return _nothing()

    def _goes_on_without(self, visit: Visit, error: StoreError) -> bool:
        """Say whether the response may leave though a session could not be begun."""
        if self.runtime.config.on_store_error == "fail" or visit.phase is not Phase.NEW:
            return False
        if visit.replacement is not None or visit.endings:
            return False  # a user who signs in or out is to know
        visit.drop("outage")
        self.runtime.emit(StoreFailed(str(error)))
        return True

    def _tell_late(self, visit: Visit) -> None:
        """Tell what could not be carried out, an ending too, where no error reaches anybody."""
        for ending in visit.endings:
            visit.drops.append(ChangesDropped(ending.handle, (), "late"))
        visit.drop("late")
        self._tell(visit)

    def _tell(self, visit: Visit) -> None:
        for drop in visit.drops:
            self.runtime.emit(drop)
        visit.drops.clear()

    # While a body streams or a connection is open

    def keeps_alive(self, visit: Visit) -> bool:
        """Say whether `keep_alive` is due; asked at each chunk or message."""
        return visit.renew and self.runtime.clock() >= visit.touch_at

    async def keep_alive(self, visit: Visit) -> None:
        """Touch the session; where that did not take, one `get` decides whether it still stands.

        A store that fails cuts no stream short and loses no message: it is tried again later.
        """
        try:
            if await touch(visit) or visit.identity is None or visit.held is None:
                return
            met = await meet(self.runtime, visit.identity, visit.held)
        except StoreError as error:
            self.runtime.emit(TouchFailed(handle_of(visit), str(error)))
            return
        if isinstance(met, Held):
            visit.hold(met)
        else:
            visit.lose("gone")
            self._tell(visit)

    # Housekeeping

    def claim_purge(self) -> bool:
        """Say, after a response, whether it is to `purge` now: one in an interval and process."""
        now = self.runtime.clock()
        if now < self._purge_at:
            return False
        self._purge_at = now + PURGE_INTERVAL * (0.9 + randbelow(200) / 1000)
        return True

    async def purge(self) -> int:
        """Remove what has expired, if no other process does; return how many records went.

        A failure is an event: it concerns no visitor.
        """
        runtime, purges = self.runtime, self.runtime.purges
        try:
            if purges is None or not await purges.claim_purge(PURGE_INTERVAL):
                return 0
            return await purge_all(runtime)
        except CoatcheckError as error:
            runtime.emit(PurgeFailed(str(error)))
            return 0


def unreadable(what: str) -> StoreError:
    """Make the error of who asks for what needs the store, which failed at the opening."""
    return StoreError(
        f"{what} is not possible: the store failed when this session was opened, and the page was"
        " only to be shown to nobody in particular (on_store_error='anonymous')"
    )


async def purge_all(runtime: Runtime) -> int:
    """Remove everything that has expired, batch by batch; return how many records went."""
    removed = 0
    if runtime.purges is not None:
        while (batch := await runtime.purges.purge(PURGE_BATCH)) >= PURGE_BATCH:
            removed += batch
        removed += batch
    return removed


async def _nothing() -> None:
    """There is nothing to do."""


def _signs_in(visit: Visit) -> bool:
    return visit.replacement is not None and visit.replacement.reason == "login"


_WHY_NOT_SAVED: Final = {
    "gone": "another request ended this session, or it expired: the changes were not saved",
    "replaced": "another request signed in or regenerated this session: the changes were not saved",
    "cleared": "another request cleared this session: the changes were not saved",
    "revoked": "the user's sessions were revoked meanwhile: the session was not created",
    "error": "the changes were not saved",
    "late": "the changes were not saved",
    "outage": "the store failed: the changes were not saved",
}
