"""Broken enrolments."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

from coatcheck.store.protocol import Admission, Admitted, Refused, Stored
from tests.stores.broken.registry import caught_by, caught_only_by
from tests.stores.reference import Backend, Record, ReferenceStore


class Call(NamedTuple):
    """What `enrol` was called with."""

    user_id: str
    key: str
    payload: bytes
    expires_at: float | None
    limit: int | None
    evict: bool


class Enrolling(ReferenceStore):
    """Enrols in a way of its own, by `wrongly`."""

    def enrol(
        self,
        user_id: str,
        key: str,
        payload: bytes,
        /,
        *,
        expires_at: float | None,
        limit: int | None,
        evict: bool,
    ) -> Admission | None:
        return self.wrongly(Call(user_id, key, payload, expires_at, limit, evict))

    def wrongly(self, call: Call) -> Admission | None:
        """Enrol; most do nearly what is right."""
        raise NotImplementedError

    def rightly(self, call: Call) -> Admission | None:
        """Enrol as is right."""
        user_id, key, payload, expires_at, limit, evict = call
        return super().enrol(user_id, key, payload, expires_at=expires_at, limit=limit, evict=evict)


@caught_only_by("test_07_bad_keys_are_refused")
class FoldsKeys(Enrolling):
    """A key in upper case is enrolled as the one in lower case."""

    def wrongly(self, call: Call) -> Admission | None:
        return self.rightly(call._replace(key=str(call.key).lower()))


@caught_only_by("test_58_enrol_creates_the_record")
class WholeDeadlines(Enrolling):
    """Deadlines of enrolled sessions are whole seconds."""

    def wrongly(self, call: Call) -> Admission | None:
        whole = None if call.expires_at is None else float(int(call.expires_at))
        return self.rightly(call._replace(expires_at=whole))


@caught_only_by("test_58_no_number_is_no_deadline")
class EnrolsForEver(Enrolling):
    """NaN is kept as nothing, which is no deadline."""

    def wrongly(self, call: Call) -> Admission | None:
        ends = call.expires_at
        return self.rightly(call._replace(expires_at=ends if ends and ends > 0 else None))


@caught_only_by("test_58_enrol_enters_the_key")
class UndatedEnrolments(Enrolling):
    """Enrolled sessions do not show when they were."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            admission = self.rightly(call)
            if isinstance(admission, Admitted):
                self.user(call.user_id).entries[call.key].admitted_at = 0.0
            return admission


@caught_by("test_58_enrol_enters_the_key", "test_59_a_revocation_inside_an_enrolment")
class OldEpoch(Enrolling):
    """An enrolment shows the user's first epoch, for ever."""

    def wrongly(self, call: Call) -> Admission | None:
        admission = self.rightly(call)
        return Admitted(0, admission.evicted) if isinstance(admission, Admitted) else admission


@caught_only_by("test_58_the_record_is_the_users")
class RecordsOfNobody(Enrolling):
    """Records of enrolled sessions name no user where there was nothing under the key."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            is_new = self.place(call.key) not in self.backend.records
            admission = self.rightly(call)
            record = self.live(call.key)
            if is_new and record is not None:
                record.user_id = None
            return admission


@caught_only_by("test_58_refused_at_the_limit")
class RefusedButCreated(Enrolling):
    """A session that is refused because of one in the making has a record all the same."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            admission = self.rightly(call)
            making = any(self.live(key) is None for key in self.user(call.user_id).entries)
            if admission == Refused() and making:
                self.put(call.key, Record(Stored(1, None, call.payload), call.user_id))
            return admission


@caught_only_by("test_58_refused_at_the_limit")
class NoLimitIsZero(Enrolling):
    """A limit of 0 is none."""

    def wrongly(self, call: Call) -> Admission | None:
        return self.rightly(call._replace(limit=call.limit or None))


@caught_only_by("test_58_the_oldest_are_evicted")
class EnrolmentEvictsOne(Enrolling):
    """One session is evicted, however many are too many."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            limit = call.limit
            if limit is not None and call.evict:
                limit = max(limit, len(self.counted(self.user(call.user_id), None)))
            return self.rightly(call._replace(limit=limit))


@caught_only_by("test_58_the_oldest_are_evicted")
class MarkedEntriesFill(Enrolling):
    """Entries that are marked already count, where none may be evicted."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            entries = len(self.user(call.user_id).entries)
            full = call.limit is not None and entries >= call.limit
            return Refused() if full and not call.evict else self.rightly(call)


@caught_only_by("test_58_a_key_that_is_taken")
class TakenButEvicted(Enrolling):
    """Room is made for a session, and stays made where its key is taken."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            admission = self.rightly(call)
            if admission is None and call.evict:
                for entry in self.user(call.user_id).entries.values():
                    entry.marked = True
            return admission


@caught_only_by("test_58_a_key_that_is_taken")
class TakenButEntered(Enrolling):
    """Where it is the user who has the key already, the entry is entered anew."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            admission = self.rightly(call)
            if admission is None and call.key in self.user(call.user_id).entries:
                self.admit(call.user_id, call.key, limit=None, evict=False)
            return admission


@caught_only_by("test_58_an_expired_record_gives_way")
class ExpiredIsTaken(Enrolling):
    """A key is taken as long as any record lies under it."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            there = self.place(call.key) in self.backend.records
            return None if there else self.rightly(call)


@caught_only_by("test_58_namespaces_are_apart")
class TakenElsewhere(Enrolling):
    """A key is taken where another namespace has it."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            places = self.backend.records
            if any(key == call.key and self.place(key) != (name, key) for name, key in places):
                return None
            return self.rightly(call)


@caught_only_by("test_58_what_is_enrolled_stays")
class EnrolsUncommitted(Enrolling):
    """What is enrolled without a limit is seen by this store alone."""

    def wrongly(self, call: Call) -> Admission | None:
        with self.lock:
            if call.limit is None:
                shared = self.backend
                self.backend = Backend(
                    deepcopy(shared.records), deepcopy(shared.users), counter=shared.counter
                )
            return self.rightly(call)


@caught_only_by("test_59_enrolments_together")
class OneTooManyEnrolled(Enrolling):
    """A limit of three or more is exceeded by one before anybody is refused."""

    def wrongly(self, call: Call) -> Admission | None:
        limit = call.limit
        if limit is not None and limit >= 3 and not call.evict:
            limit += 1
        return self.rightly(call._replace(limit=limit))


@caught_by(
    "test_59_two_for_one_key",
    "test_59_a_revocation_inside_an_enrolment",
    "test_59_a_look_inside_an_enrolment",
)
class EnrolsStepByStep(Enrolling):
    """A session is admitted, and then created."""

    def wrongly(self, call: Call) -> Admission | None:
        if self.live(call.key):
            return None
        admission = self.admit(call.user_id, call.key, limit=call.limit, evict=call.evict)
        if isinstance(admission, Refused):
            return admission
        created = self.create(
            call.key, call.payload, expires_at=call.expires_at, user_id=call.user_id
        )
        return admission if created else None


@caught_by("test_59_an_enrolment_inside_an_enrolment")
class CountsFirst(Enrolling):
    """The limit is looked at first, and then the session is enrolled."""

    def wrongly(self, call: Call) -> Admission | None:
        counted = self.counted(self.user(call.user_id), None)
        if call.limit is None or len(counted) < call.limit:
            return self.rightly(call._replace(limit=None))
        return self.rightly(call)
