"""Broken user indexes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from coatcheck.store.protocol import (
    Admission,
    Admitted,
    IndexEntry,
    Stored,
)
from tests.stores.broken.registry import caught_by, caught_only_by
from tests.stores.reference import Entry, ReferenceStore, User


@caught_by("test_54_refused_at_the_limit", "test_56_admissions_together")
class NoLimit(ReferenceStore):
    """`admit` does not count."""

    def counted(self, user: User, replaces: str | None) -> list[str]:
        return []


@caught_only_by("test_54_unlimited")
class AlwaysLimited(ReferenceStore):
    """Without a limit there is one all the same."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        return super().admit(user_id, key, limit=limit or 10, evict=evict, replaces=replaces)


@caught_by("test_55_what_is_stored_stays", "test_58_what_is_enrolled_stays")
class IndexInMemory(ReferenceStore):
    """The index lies in one store and not in what several stores share."""

    def user(self, user_id: str) -> User:
        users: dict[str, User] = self.__dict__.setdefault("users", {})
        return users.setdefault(user_id, User())

    def all_users(self) -> list[User]:
        users: dict[str, User] = self.__dict__.get("users", {})
        return list(users.values())


@caught_by("test_54_the_oldest_are_evicted")
class EvictsTheNewest(ReferenceStore):
    """`admit` evicts the newest sessions."""

    def surplus(self, counted: list[str], limit: int) -> list[str]:
        return counted[limit - 1 :]


@caught_only_by("test_54_the_oldest_are_evicted")
class EvictsOne(ReferenceStore):
    """`admit` evicts one session, however many are too many."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        with self.lock:
            if limit is not None and evict:
                limit = max(limit, len(self.counted(self.user(user_id), replaces)))
            return super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)


@caught_by("test_54_the_oldest_are_evicted")
class EvictsAndForgets(ReferenceStore):
    """`admit` removes the entries that it evicts."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        with self.lock:
            admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
            for name in getattr(admission, "evicted", ()):
                self.forget(user_id, name)
            return admission


@caught_by("test_54_entries_in_the_order_of_admission", "test_54_the_oldest_are_evicted")
class OrderedByTheClock(ReferenceStore):
    """The order of admissions is that of the clock."""

    def in_order(self, user: User) -> list[tuple[str, Entry]]:
        return sorted(user.entries.items(), key=lambda item: item[1].admitted_at)


@caught_only_by("test_54_the_replaced_does_not_count")
class TheReplacedCounts(ReferenceStore):
    """The entry that is replaced counts against the limit."""

    def counted(self, user: User, replaces: str | None) -> list[str]:
        return super().counted(user, None)


@caught_only_by("test_54_the_replaced_does_not_count")
class EverythingIsReplaced(ReferenceStore):
    """A replaced key makes room whether or not it has an entry."""

    def counted(self, user: User, replaces: str | None) -> list[str]:
        counted = super().counted(user, replaces)
        return counted[1:] if replaces is not None and replaces not in user.entries else counted


@caught_by("test_54_a_session_in_the_making_counts", "test_56_admissions_together")
class OnlyRecordsCount(ReferenceStore):
    """An entry counts only when its record is there."""

    def is_stale(self, key: str, entry: Entry) -> bool:
        return not self.live(key)


@caught_by("test_55_revoke_moves_the_epoch", "test_56_a_revocation_inside_an_admission")
class ConfirmIgnoresTheEpoch(ReferenceStore):
    """`confirm` does not look at the epoch."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            return super().confirm(user_id, key, self.user(user_id).epoch)


@caught_by("test_54_the_oldest_are_evicted")
class ConfirmIgnoresMarks(ReferenceStore):
    """`confirm` lets an evicted session live."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            entry = self.user(user_id).entries.get(key)
            if entry is not None:
                entry.marked = False
            return super().confirm(user_id, key, epoch)


@caught_only_by("test_54_confirm_needs_the_entry")
class ConfirmNeedsNoEntry(ReferenceStore):
    """`confirm` does not ask whether the entry stands."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            known = key in self.user(user_id).entries
            return super().confirm(user_id, key, epoch) if known else True


@caught_only_by("test_54_the_replaced_does_not_count")
class ConfirmLeavesTheReplaced(ReferenceStore):
    """`confirm` leaves the replaced entry standing."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            entry = self.user(user_id).entries.get(key)
            if entry is not None:
                entry.replaces = None
            return super().confirm(user_id, key, epoch)


@caught_only_by("test_54_a_failed_confirm_removes_nothing")
class ConfirmRemovesFirst(ReferenceStore):
    """`confirm` removes the replaced entry before it looks."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        with self.lock:
            entry = self.user(user_id).entries.get(key)
            if entry is not None and entry.replaces is not None:
                self.forget(user_id, entry.replaces)
            return super().confirm(user_id, key, epoch)


@caught_only_by("test_55_revoke_lists_and_spares")
class RevokeIgnoresKeep(ReferenceStore):
    """`revoke` lists the sessions to keep as well."""

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        return super().revoke(user_id)


@caught_by("test_55_revoke_lists_and_spares")
class RevokeHidesTheMarked(ReferenceStore):
    """`revoke` does not list evicted sessions that still stand."""

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        with self.lock:
            marked = [key for key, entry in self.user(user_id).entries.items() if entry.marked]
            return super().revoke(user_id, keep=(*keep, *marked))


@caught_by("test_55_revoke_moves_the_epoch", "test_56_a_revocation_inside_an_admission")
class RevokeLeavesTheEpoch(ReferenceStore):
    """`revoke` does not advance the epoch."""

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        with self.lock:
            keys = super().revoke(user_id, keep=keep)
            self.user(user_id).epoch -= 1
            return keys


@caught_only_by("test_55_the_epoch_outlives_the_entries")
class ForgetfulEpoch(ReferenceStore):
    """A user without entries is forgotten, epoch and all."""

    def forget(self, user_id: str, key: str, /) -> None:
        with self.lock:
            super().forget(user_id, key)
            if not self.user(user_id).entries:
                del self.backend.users[self.place(user_id)]


@caught_only_by("test_29_delete_takes_the_entry_along")
class DeleteLeavesTheEntry(ReferenceStore):
    """`delete` cleans the index of records that expire only where it is told whose."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        with self.lock:
            record = self.live(key)
            if record is not None and record.stored.expires_at is not None and user_id is None:
                record.user_id = None
            return super().delete(key, user_id=user_id)


@caught_by("test_29_delete_of_a_missing_record_takes_the_entry_along")
class DeleteIgnoresTheHint(ReferenceStore):
    """`delete` does not clean the index where the record is gone."""

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        return super().delete(key)


@caught_only_by("test_54_users_are_apart")
class CaseFoldedUsers(ReferenceStore):
    """Users whose names differ in case are one."""

    def user(self, user_id: str) -> User:
        return super().user(user_id.casefold())


@caught_only_by("test_54_users_are_apart")
class TruncatedUsers(ReferenceStore):
    """Long user names are cut off."""

    def user(self, user_id: str) -> User:
        return super().user(user_id[:255])


@caught_only_by("test_54_forget")
class ForgetDeletes(ReferenceStore):
    """`forget` removes the record as well."""

    def forget(self, user_id: str, key: str, /) -> None:
        self.backend.records.pop(self.place(key), None)
        super().forget(user_id, key)


@caught_by("test_54_refused_at_the_limit")
class RefusedButEntered(ReferenceStore):
    """`admit` enters the key although it refuses."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        with self.lock:
            admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
            if not isinstance(admission, Admitted):
                super().admit(user_id, key, limit=None, evict=False)
            return admission


@caught_by("test_56_an_admission_inside_an_admission")
class UnlockedAdmit(ReferenceStore):
    """`admit` counts, then enters."""

    @property
    def lock(self) -> threading.RLock:
        return threading.RLock()


@caught_by("test_56_a_forgetting_inside_an_admission")
class AdmitsIntoACopy(ReferenceStore):
    """`admit` writes a copy of the entries back."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        user = self.user(user_id)
        entries = dict(user.entries)
        admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        user.entries = {**entries, key: user.entries[key]} if key in user.entries else entries
        return admission


@caught_by("test_56_a_revocation_inside_a_confirmation")
class ConfirmTakesTheEntryOut(ReferenceStore):
    """`confirm` takes the entry out and puts it back."""

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        user = self.user(user_id)
        entry = user.entries.pop(key, None)
        if entry is None:
            return False
        user.entries[key] = entry
        return super().confirm(user_id, key, epoch)


@caught_by("test_56_a_revocation_inside_an_admission")
class AdmitReadsTheEpochLast(ReferenceStore):
    """`admit` enters the key and then looks at the epoch, in two steps."""

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        admission = super().admit(user_id, key, limit=limit, evict=evict, replaces=replaces)
        if not isinstance(admission, Admitted):
            return admission
        return Admitted(self.user(user_id).epoch, admission.evicted)


@caught_only_by("test_54_entries_in_the_order_of_admission")
class WholeSeconds(ReferenceStore):
    """Entries show when they were admitted to the second."""

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        return [
            entry._replace(admitted_at=float(int(entry.admitted_at)))
            for entry in super().entries(user_id)
        ]
