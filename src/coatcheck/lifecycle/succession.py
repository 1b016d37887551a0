"""How `login` and `regenerate` end one record and begin the next.

The order of the steps is what keeps the promises, whatever else is under way and wherever it stops:

1. Everything is encoded and size-checked. Nothing has happened.
2. The user's index admits the new handle, if there is a user. No record stands behind it yet.
3. The new record is created. Its ID is known to nobody: a crash leaves the old session as it was.
4. A compare-and-set replaces the old record by a tombstone. From here on the old ID is worth
   nothing, and a request still in flight under it can neither write nor read the new record.
   If others changed the old record first, their changes are merged into the new one, and again.
   If others replaced or ended it first, `regenerate` gives up; `login` is a sign-in of its own.
5. The user's index confirms: nobody revoked the user since 2, nobody evicted the new session.
6. What was evicted at 2 is ended. Only now may the new ID leave.

Where nothing is replaced and the store can, 2, 3 and 5 are one atomic step.

Where 3 to 6 fail, the new record goes again, what it evicted stays, and somebody is told.
"""

from __future__ import annotations

from typing import Final

from coatcheck.errors import CorruptRecord, StoreError, TooManySessions
from coatcheck.events import (
    ChangesDropped,
    KeyOverwritten,
    SessionCreated,
    SessionReplaced,
    SessionRevoked,
)
from coatcheck.ids import secret_hash
from coatcheck.lifecycle.beginning import fresh_record, take_over
from coatcheck.lifecycle.ending import heal, make_room, undo
from coatcheck.lifecycle.joining import join
from coatcheck.lifecycle.saving import amended, check_size, encode, handle_of, read_again
from coatcheck.lifecycle.tombstone import follow, look_up, tombstone_for
from coatcheck.lifecycle.visit import DropReason, Held, Phase, Replacement, Visit
from coatcheck.record import (
    TOMBSTONE_LIFE,
    Content,
    Record,
    Tombstone,
    difference,
    merge,
    restrict,
)
from coatcheck.runtime import Runtime
from coatcheck.store.protocol import Admission, Admitted, AsyncUserIndex, Conflict, Updated

_TAKEN: Final = "a new handle of 128 random bits was taken: is the randomness broken?"


async def replace(visit: Visit) -> None:
    """Carry out the `login` or `regenerate` that is pending.

    Raises `TooManySessions`, and then the session is as it was last saved.
    """
    runtime, change = visit.runtime, visit.replacement
    if change is None:
        return
    if visit.tombstone is not None and visit.buried is not None:
        # A request in flight signs in: the other click of a double-clicked sign-in, perhaps.
        lost = difference(runtime.codec, runtime.empty, change.mark)
        if lost:
            visit.drops.append(ChangesDropped(visit.buried.handle, lost, "replaced"))
        if await join(visit, change, visit.buried, visit.tombstone, base=change.mark):
            return
    await _Succession(runtime, visit, change).carry_out()


class _Succession:
    """One `login` or `regenerate`, step by step."""

    def __init__(self, runtime: Runtime, visit: Visit, change: Replacement) -> None:
        self.runtime = runtime
        self.visit = visit
        self.change = change
        self.user_id = change.user_id
        self.now = runtime.clock()
        self.old = visit.held
        self.old_identity = visit.identity if visit.held else None
        self.mine = encode(runtime, visit)
        sealer = runtime.sealer
        self.sealing = None if sealer is None else sealer.fresh(change.identity)
        """A new session has a new data key, whatever passes into it."""
        self.admission: Admitted | None = None
        self.enrolled = False
        """Whether the admission has created the record too, and confirmed it."""
        self.replaces: str | None = None
        self.overwritten: tuple[str, ...] = ()
        self.lost: ChangesDropped | None = None
        """What was written before the call and does not pass into the new session."""
        if visit.phase is Phase.MUTE:
            self._keep_what_came_after()
        self.fresh = Held(1, None, self._first_record(self._caught_up()))

    def _caught_up(self) -> bytes:
        """Return the data to begin with: the view, and what a save has merged it with before."""
        visit, old = self.visit, self.old
        if old is None or (old.record.epoch == visit.epoch and old.record.data == visit.base):
            return self.mine
        try:
            data = self._merged(old.record, self.change.keep)
        except CorruptRecord as error:
            # Nobody can read what others had saved; the view is all there is.
            self.runtime.report(handle_of(visit), error)
            return self.mine
        check_size(self.runtime, data)
        return data

    def _first_record(self, data: bytes) -> Record:
        """Compose the new record: `regenerate` takes over all times, `login` starts them afresh."""
        runtime, change = self.runtime, self.change
        digest = secret_hash(change.identity.secret)
        if change.reason == "regenerate" and self.old is not None:
            record = self.old.record._replace(
                secret_hash=digest,
                data=data,
                codec=runtime.codec_number,
                sealing=self.sealing,
                rotation=None,
            )
        else:
            record = fresh_record(
                runtime, change.identity, change.user_id, data, self.now, self.sealing
            )
            if change.remember is not None:
                record = record._replace(
                    idle=change.remember, deadline=self.now + change.remember, persistent=True
                )
        return amended(self.visit, record)

    async def carry_out(self) -> None:
        runtime, visit, change = self.runtime, self.visit, self.change
        handle = change.identity.handle
        expires_at = self.fresh.record.slide(self.now)
        self.fresh = Held(1, expires_at, self.fresh.record)
        self.admission = await self._admit()
        if visit.replacement is None:
            return  # it joined another one
        try:
            created = self.enrolled or await runtime.store.create(
                handle, runtime.pack(self.fresh.record), expires_at=expires_at, user_id=self.user_id
            )
            goes_on = created and await self._bury()
            if goes_on and not await self._confirmed():
                await self._withdraw()
                runtime.emit(SessionRevoked(handle, self.user_id, "unconfirmed"))
                visit.lose("revoked")
                return
            if goes_on:
                await self._clean_up()
        except BaseException:
            evicted = self.admission.evicted if self.admission else ()
            await runtime.shield(undo(runtime, self.user_id, handle, evicted))
            raise
        if not created:
            raise StoreError(_TAKEN)
        if goes_on:
            self._complete()

    async def _admit(self) -> Admitted | None:
        """Enter the new handle into the user's index; raises `TooManySessions`.

        Where there is no room, for the other click of a double-clicked sign-in has taken it, this
        one joins that.
        """
        index, config = self.runtime.index, self.runtime.config
        if index is None or self.user_id is None:
            return None
        # Who regenerates has a place already, and evicts nobody, least of all who was faster.
        limit = config.max_sessions_per_user if self.change.reason == "login" else None
        same_user = self.old is not None and self.old.record.user_id == self.user_id
        self.replaces = self.old_identity.handle if self.old_identity and same_user else None
        for attempt in (1, 2):
            admission = await self._enter(index, self.user_id, limit)
            if isinstance(admission, Admitted):
                return admission
            if attempt == 1:
                await heal(self.runtime, self.user_id)
        if not await self._joins():
            self.visit.revert()
            raise TooManySessions(self.user_id, limit or 0)
        return None

    async def _enter(self, index: AsyncUserIndex, user_id: str, limit: int | None) -> Admission:
        """Ask the index for a place; create the record in the same step, if that can be."""
        runtime, handle, enrols = self.runtime, self.change.identity.handle, self.runtime.enrols
        evict = runtime.config.evict == "oldest"
        if enrols is None or self.old is not None:
            return await index.admit(
                user_id, handle, limit=limit, evict=evict, replaces=self.replaces
            )
        _, expires_at, record = self.fresh
        try:
            admission = await enrols.enrol(
                user_id,
                handle,
                runtime.pack(record),
                expires_at=expires_at,
                limit=limit,
                evict=evict,
            )
        except Exception:
            raise  # nothing was written
        except BaseException:
            await runtime.shield(undo(runtime, user_id, handle, ()))
            raise
        if admission is None:
            raise StoreError(_TAKEN)
        self.enrolled = isinstance(admission, Admitted)
        return admission

    async def _joins(self) -> bool:
        """Join the session that another sign-in of this user has made of the old one, if any."""
        old, visit, change = self.old_identity, self.visit, self.change
        found = None if old is None else await look_up(self.runtime, old.handle)
        if old is None or found is None or not isinstance(found[1], Tombstone):
            return False
        base = restrict(self.runtime.codec, visit.base, change.keep)
        return await join(visit, change, old, found[1], base=base)

    async def _bury(self) -> bool:
        """Replace the old record by a tombstone; `False` where the new session ends here."""
        while self.old is not None and self.old_identity is not None:
            if self.old.record.ended(self.now):
                return await self._found_replaced(None)
            grave = tombstone_for(
                self.old.record, self.old_identity, self.change.identity, self.now
            )
            outcome = await self.runtime.store.update(
                self.old_identity.handle,
                self.runtime.pack(grave),
                version=self.old.version,
                expires_at=self.now + TOMBSTONE_LIFE,
            )
            if isinstance(outcome, Updated):
                return True
            content = None
            if isinstance(outcome, Conflict):
                current = outcome.current.payload
                content = read_again(self.runtime, self.old_identity, self.old, current)
            if isinstance(outcome, Conflict) and isinstance(content, Record):
                self.old = Held(outcome.current.version, outcome.current.expires_at, content)
                goes_on = await self._merge(content, self.change.keep)
            elif isinstance(content, Tombstone) and content.successor == grave.successor:
                return True  # our own: the answer got lost, and it was tried again
            else:
                goes_on = await self._found_replaced(content)
            if not goes_on:
                return False
        return True

    async def _merge(self, theirs: Record, keep: frozenset[str] | None) -> bool:
        """Bring what was committed meanwhile into the new record; of theirs, what `keep` names.

        `False` where the new session ends here.
        """
        try:
            data = self._merged(theirs, keep)
        except CorruptRecord as error:
            self.runtime.report(handle_of(self.visit), error)
            return await self._found_replaced(None)
        check_size(self.runtime, data)
        return await self._rewrite(self._first_record(data))

    def _merged(self, theirs: Record, keep: frozenset[str] | None) -> bytes:
        runtime, visit, change = self.runtime, self.visit, self.change
        codec = runtime.codec
        kept = restrict(codec, runtime.data_of(theirs), keep)
        if visit.cleared:
            return self.mine
        self.overwritten = ()
        if theirs.epoch != visit.epoch:
            self._lose_what_came_before("cleared")
            return merge(codec, change.mark, self.mine, kept, {}).data
        base = restrict(codec, visit.base, change.keep)
        merged = merge(codec, base, self.mine, kept, runtime.config.resolve)
        self.overwritten = merged.overwritten
        return merged.data

    async def _rewrite(self, record: Record) -> bool:
        """Update the new record, which nobody else knows; `False` where it was ended: revoked."""
        if record == self.fresh.record:
            return True
        expires_at = record.slide(self.now)
        outcome = await self.runtime.store.update(
            self.change.identity.handle,
            self.runtime.pack(record),
            version=self.fresh.version,
            expires_at=expires_at,
        )
        if isinstance(outcome, Updated):
            self.fresh = Held(outcome.version, expires_at, record)
            return True
        await self._withdraw()
        self.visit.lose("revoked")
        return False

    async def _found_replaced(self, content: Content | None) -> bool:
        """Go on where another request replaced (a tombstone) or ended (`None`) the old record.

        `False` where the new session ends here.
        """
        runtime, visit, change = self.runtime, self.visit, self.change
        reason: DropReason = "replaced" if isinstance(content, Tombstone) else "gone"
        if change.reason == "regenerate":
            await self._withdraw()
            visit.lose(reason)
            return False
        if isinstance(content, Tombstone) and self.old_identity is not None:
            evicted = self.admission.evicted if self.admission else ()
            found = await follow(runtime, self.old_identity, content) if evicted else None
            if found is not None and found[1].record.user_id == self.user_id:
                if await self._confirmed():
                    # It replaces that one, as it would have replaced the old one: perhaps it has
                    # evicted the very one that it would join.
                    self.old_identity, self.old = found
                    visit.epoch = self.old.record.epoch
                    return await self._merge(self.old.record, None)
                if found[0].handle in evicted:
                    self.old = None
                    return True  # evicted itself meanwhile, so that neither is to be confirmed
            base = restrict(runtime.codec, visit.base, change.keep)
            if await join(visit, change, self.old_identity, content, base=base):
                await self._withdraw()
                return False
        # A sign-in of its own: what the old session held was ended with it.
        self._lose_what_came_before(reason)
        self.overwritten = ()
        self.old = None
        self._keep_what_came_after()
        return await self._rewrite(self._first_record(self.mine))

    def _lose_what_came_before(self, reason: DropReason) -> None:
        """Note, to be told, that what was written before the call is dropped."""
        codec, change = self.runtime.codec, self.change
        keys = difference(codec, restrict(codec, self.visit.base, change.keep), change.mark)
        if keys:
            self.lost = ChangesDropped(change.identity.handle, keys, reason)

    def _keep_what_came_after(self) -> None:
        """Keep, of the view, only what was written after `login()` was called.

        It stays the same object, for the application may hold parts of it.
        """
        codec, view = self.runtime.codec, self.visit.data()
        since = difference(codec, self.change.mark, self.mine)
        for key in [key for key in view if key not in since]:
            del view[key]
        self.mine = codec.encode(view)

    async def _confirmed(self) -> bool:
        index, admission = self.runtime.index, self.admission
        if admission is None or index is None or self.user_id is None or self.enrolled:
            return True
        return await index.confirm(self.user_id, self.change.identity.handle, admission.epoch)

    async def _withdraw(self) -> None:
        """Remove the new record again; its ID never left.

        What it evicted ends all the same: marked as it is, it would live on beside the limit.
        """
        await self.runtime.store.delete(self.change.identity.handle, user_id=self.user_id)
        await self._end_evicted()

    async def _end_evicted(self) -> None:
        evicted = self.admission.evicted if self.admission else ()
        # What was replaced would lead on to the new session, and end it.
        spared = self.old_identity.handle if self.old_identity else None
        await make_room(self.runtime, self.user_id, self.change.identity.handle, evicted, spared)

    async def _clean_up(self) -> None:
        """End what the new session evicted, and the index entry of what it replaced."""
        await self._end_evicted()
        index, old, replaced = self.runtime.index, self.old, self.old_identity
        previous = old.record.user_id if old else None
        if index is None or replaced is None or previous is None:
            return
        if replaced.handle != self.replaces:  # else `confirm` removed it
            await index.forget(previous, replaced.handle)

    def _complete(self) -> None:
        """Take over the new session, whose ID may leave now."""
        runtime, visit, change = self.runtime, self.visit, self.change
        handle, old, old_identity = change.identity.handle, self.old, self.old_identity
        take_over(visit, change.identity, self.fresh, self.mine)
        if self.lost is not None:
            visit.drops.append(self.lost)
        for key in self.overwritten:
            runtime.emit(KeyOverwritten(handle, key))
        if old is not None and old_identity is not None:
            runtime.emit(SessionReplaced(old_identity.handle, handle, self.user_id, change.reason))
        else:
            runtime.emit(SessionCreated(handle, self.user_id))
