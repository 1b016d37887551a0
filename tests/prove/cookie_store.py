"""How the session in the cookie may break: what it hides, what ends it, what cannot be kept."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_IDS = "src/coatcheck/client_side/ids.py"
_STORE = "src/coatcheck/client_side/store.py"
_CARRIED = "src/coatcheck/client_side/carried.py"
_NOTES = "src/coatcheck/client_side/revocations.py"
_TESTS = "tests/security/test_session_in_cookie.py::test"
_SEEDS = "tests/seeds/test_middleware_cookie_store.py::test"
_COPY = (f"{_TESTS}_sec_88_a_copy_is_worth_nothing_after_logout",)
_REVOKING = (f"{_TESTS}_sec_88_revoking_a_user_ends_all_copies",)
_IN_FLIGHT = (f"{_TESTS}_sec_88_what_is_in_flight_when_a_session_ends_is_dropped_and_told",)
_OWN = (f"{_TESTS}_sec_88_sec_07_a_session_opens_in_its_own_cookie_only",)
_TIMES = (f"{_TESTS}_sec_88_times_are_inside_and_the_server_judges_them",)
_LATE = (f"{_TESTS}_sec_88_sec_58_after_the_headers_nothing_is_stored_and_somebody_is_told",)
_ROOM = (f"{_TESTS}_sec_88_sec_53_what_does_not_fit_is_told_before_the_headers_leave",)
_READ_BACK = (f"{_SEEDS}_s_115_a_session_is_begun_changed_and_read_back",)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "cookie-store: what is written does not leave",
        "src/coatcheck/lifecycle/saving.py",
        "renews_cookie(before, now) or visit.runtime.in_client",
        "renews_cookie(before, now)",
        _READ_BACK,
    ),
    Mutation(
        "cookie-store: a session opens under any cookie's name",
        _IDS,
        'names = (name.encode("ascii") for name in (namespace, cookie))',
        'names = (name.encode("ascii") for name in (namespace,))',
        _OWN,
    ),
    Mutation(
        "cookie-store: a session opens in any namespace",
        _IDS,
        'names = (name.encode("ascii") for name in (namespace, cookie))',
        'names = (name.encode("ascii") for name in (cookie,))',
        _OWN,
    ),
    Mutation(
        "cookie-store: names are run together",
        _IDS,
        'len(name).to_bytes(2, "big") + name',
        "name",
        _OWN,
    ),
    Mutation(
        "cookie-store: one session has several spellings",
        _IDS,
        "return sealed if _encode(sealed) == text else None",
        "return sealed",
        (f"{_SEEDS}_s_114_a_sealed_session_shows_nothing_and_no_change_of_it_opens",),
    ),
    Mutation(
        "cookie-store: what does not fit is sent",
        _IDS,
        "if size > self._room:",
        "if size > 2 * self._room:",
        _ROOM,
    ),
    Mutation(
        "cookie-store: an idle session lives on",
        _CARRIED,
        "return None if over else stored",
        "return stored",
        _TIMES,
    ),
    Mutation(
        "cookie-store: a copy is good for ever",
        _CARRIED,
        "if stored is None or now >= self.issued_at + LONGEST:",
        "if stored is None:",
        _TIMES,
    ),
    Mutation(
        "cookie-store: data goes where an event goes",
        _CARRIED,
        "return str, (str(self),)",
        "return carried, (str(self), self.slot)",
        (f"{_TESTS}_sec_84_what_is_told_has_no_session_in_it",),
    ),
    Mutation(
        "cookie-store: anybody signs in",
        "src/coatcheck/session.py",
        "raise ConfigurationError(visit.runtime.sign_in_needs)",
        "pass",
        (f"{_TESTS}_sec_88_nobody_signs_in_where_nothing_can_be_revoked",),
    ),
    Mutation(
        "cookie-store: users stay signed in where nothing can be revoked",
        _STORE,
        "return slot.user_id is not None",
        "return False",
        (f"{_TESTS}_sec_88_no_user_s_session_opens_where_revocations_are_no_longer_kept",),
    ),
    Mutation(
        "cookie-store: a copy opens after logout",
        _STORE,
        "        self._end(key, slot)\n        slot.stored = slot.text = None",
        "        slot.stored = slot.text = None",
        _COPY,
    ),
    Mutation(
        "cookie-store: the old ID opens after regenerate",
        _STORE,
        "        if isinstance(unpack(payload), Tombstone):\n            self._end(key, slot)\n",
        "        if isinstance(unpack(payload), Tombstone):\n            pass\n",
        (f"{_TESTS}_sec_88_sec_27_who_regenerates_or_signs_in_again_leaves_no_second_session",),
    ),
    Mutation(
        "cookie-store: a late save brings a session back",
        _STORE,
        "(current := slot.live()) is None or self._ended(key, slot):\n            return Gone()",
        "(current := slot.live()) is None:\n            return Gone()",
        _IN_FLIGHT,
    ),
    Mutation(
        "cookie-store: a sign-in at that very time stands",
        _NOTES,
        "(since is not None and slot.signed_in_at <= since)",
        "(since is not None and slot.signed_in_at < since)",
        _REVOKING,
    ),
    Mutation(
        "cookie-store: what is kept now is brought back",
        _NOTES,
        "note.keep = {str(handle): note.keep.get(handle, note.since) for handle in keep}",
        "note.keep = {str(handle): None for handle in keep}",
        _REVOKING,
    ),
    Mutation(
        "cookie-store: revocations are forgotten while a copy lives",
        _CARRIED,
        "        self.until = max(self.until, until)\n",
        "        self.until = until\n",
        (f"{_TESTS}_a_session_whose_lifetime_was_shortened_is_revoked_in_all_its_copies",),
    ),
    Mutation(
        "cookie-store: a time that is none voids nothing",
        _NOTES,
        "return since is not None and not slot.signed_in_at > since",
        "return since is not None and slot.signed_in_at <= since",
        ("tests/core/test_client_side.py::test_a_time_after_which_nothing_can_be_voids_all",),
    ),
    Mutation(
        "cookie-store: revocations are never forgotten",
        _NOTES,
        "for handle, until in note.ended.items() if until > now}",
        "for handle, until in note.ended.items()}",
        (f"{_TESTS}_revocations_are_kept_no_longer_than_the_last_copy_lives",),
    ),
    Mutation(
        "cookie-store: a foreign note revokes nothing",
        _NOTES,
        "except (ValueError, KeyError, TypeError, AttributeError) as error:",
        "except (ValueError, KeyError, TypeError, AttributeError) as error:\n        if error:\n"
        "            return note",
        (f"{_TESTS}_a_foreign_record_among_the_revocations_opens_nothing",),
    ),
    Mutation(
        "cookie-store: a late change is lost without a word",
        "src/coatcheck/lifecycle/__init__.py",
        "if not visit.response_started or not runtime.in_client:",
        "if True:",
        _LATE,
    ),
    Mutation(
        "cookie-store: a late change raises nothing",
        "src/coatcheck/face.py",
        "elif visit.runtime.in_client:",
        "elif False:",
        _LATE,
    ),
)
