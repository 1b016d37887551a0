"""How the promises may be broken, by their numbers.

1. Reads never write.  2. Writes never clobber.  3. What is destroyed stays destroyed.
4. Forged IDs never reach the store.  5. A stolen store holds no usable ID.
6. A change is saved or somebody is told.  7. Nothing broken is a crash loop.
"""

from __future__ import annotations

from tests.prove.mutation import Mutation

_CORE = "src/coatcheck"
_IDS, _LIFECYCLE = f"{_CORE}/ids.py", f"{_CORE}/lifecycle/__init__.py"
_OPENING = f"{_CORE}/lifecycle/opening.py"
_RECORD, _SAVING = f"{_CORE}/record.py", f"{_CORE}/lifecycle/saving.py"
_SUCCESSION, _VISIT = f"{_CORE}/lifecycle/succession.py", f"{_CORE}/lifecycle/visit.py"

_TEST = "tests/core/test"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "1: a read sends a cookie",
        _VISIT,
        "self.phase = Phase.STORED\n",
        "self.phase, self.must_issue = Phase.STORED, True\n",
        (f"{_TEST}_response.py::test_a_stored_session_sends_no_cookie",),
    ),
    Mutation(
        "1: every read touches",
        _VISIT,
        "self.touch_at = expires_at - idle + runtime.touch_interval(idle)",
        "self.touch_at = expires_at - idle",
        (f"{_TEST}_times.py::test_reading_touches_once_per_interval",),
    ),
    Mutation(
        "1: what is there already is written again",
        _SAVING,
        "if not (changed or visit.expiry or reissue or force):\n        visit.settle()",
        "if not (visit.written or visit.expiry or reissue or force):\n        visit.settle()",
        (f"{_TEST}_saving.py::test_what_is_written_unchanged_is_not_written",),
    ),
    Mutation(
        "1: a visitor who stored nothing gets a record",
        _LIFECYCLE,
        "phase is Phase.NEW and visit.changed and (visit.data() or visit.must_issue):",
        "phase is Phase.NEW and visit.changed:",
        (f"{_TEST}_saving.py::test_a_visitor_who_stores_nothing_has_no_row",),
    ),
    Mutation(
        "1: who has no ID is looked for",
        _OPENING,
        "        visit.become_new()  # most visitors\n",
        "        visit.runtime.get_now and visit.runtime.get_now('0' * 32)\n"
        "        visit.become_new()  # most visitors\n",
        (f"{_TEST}_lifecycle_open.py::test_a_visitor_costs_no_store_call",),
    ),
    Mutation(
        "2: a save writes its own view over what others saved",
        _SAVING,
        "if theirs.data == visit.base:",
        "if mine is not None:",
        (f"{_TEST}_saving.py::test_parallel_requests_keep_each_others_keys",),
    ),
    Mutation(
        "2: a key that was removed comes back in a merge",
        _RECORD,
        "merged.pop(key, None)",
        "pass",
        (f"{_TEST}_record.py::test_changes_are_applied_onto_theirs",),
    ),
    Mutation(
        "2: a clear is no barrier",
        _SAVING,
        "if changed and not visit.cleared and record.epoch != visit.epoch:",
        "if changed and not visit.cleared and record.epoch < visit.epoch:",
        (f"{_TEST}_clear.py::test_a_save_from_before_a_clear_is_dropped_and_told",),
    ),
    Mutation(
        "2: no resolver is asked",
        _RECORD,
        "resolver = resolve.get(key)",
        "resolver = resolve.get('')",
        (f"{_TEST}_resolve.py::test_equal_changes_both_count",),
    ),
    Mutation(
        "2: what was saved while a session was replaced is left behind",
        _SUCCESSION,
        "goes_on = await self._merge(content, self.change.keep)",
        "goes_on = True",
        (f"{_TEST}_succession_races.py::test_what_was_committed_meanwhile_is_merged",),
    ),
    Mutation(
        "2: a new ID writes an older view over what a save was merged with",
        _SUCCESSION,
        "data = self._merged(old.record, self.change.keep)",
        "data = self.mine",
        (f"{_TEST}_succession_races.py::test_what_a_save_was_merged_with_passes_on",),
    ),
    Mutation(
        "2: a refresh brings another user's data past a sign-in",
        _LIFECYCLE,
        "mine == base and visit.replacement is None and not cleared",
        "mine == base and not cleared",
        (f"{_TEST}_refresh.py::test_refresh_brings_nothing_past_a_sign_in",),
    ),
    Mutation(
        "2: a refresh makes what others saved one's own",
        _LIFECYCLE,
        "        if visit.replacement is not None and not cleared:\n",
        "        if False:\n",
        (f"{_TEST}_refresh.py::test_a_refresh_saves_nothing_from_a_sign_out",),
    ),
    Mutation(
        "2: a refresh forgets a clear",
        _LIFECYCLE,
        "mine == base and visit.replacement is None and not cleared",
        "mine == base and visit.replacement is None",
        (f"{_TEST}_refresh.py::test_refresh_keeps_a_clear_after_which_all_was_put_back",),
    ),
    Mutation(
        "3: a late save goes on where the record is gone",
        _SAVING,
        '        if not isinstance(outcome, Conflict):\n            visit.lose("gone")\n',
        "        if not isinstance(outcome, Conflict):\n"
        "            late = runtime.pack(record)\n"
        "            await runtime.store.create(handle, late, expires_at=None, user_id=None)\n"
        '            visit.lose("gone")\n',
        (f"{_TEST}_ending.py::test_no_late_request_brings_it_back",),
    ),
    Mutation(
        "3: what was in flight is not mute",
        _RECORD,
        "return begun < self.buried_at + MUTE_FOR",
        "return begun < self.buried_at",
        (f"{_TEST}_mute.py::test_in_flight_it_is_anonymous_and_mute",),
    ),
    Mutation(
        "3: a replaced session's ID is mute for ever",
        _RECORD,
        "return begun < self.buried_at + MUTE_FOR",
        "return True",
        (f"{_TEST}_mute.py::test_later_it_is_an_ordinary_visitor",),
    ),
    Mutation(
        "3: regenerate and login leave the old record as it is",
        _SUCCESSION,
        "while self.old is not None and self.old_identity is not None:",
        "while self.old is not None and self.old_identity is None:",
        (f"{_TEST}_succession.py::test_sec_27_a_new_id_takes_the_place_of_the_old",),
    ),
    Mutation(
        "3: signing out ends a tombstone, and not what came after",
        f"{_CORE}/lifecycle/ending.py",
        "if content is None or isinstance(content, Record):",
        "if content is None or not isinstance(content, Record):\n"
        "            return None\n"
        "        if isinstance(content, Record):",
        (f"{_TEST}_ending.py::test_ending_follows_a_regeneration",),
    ),
    Mutation(
        "3: a session's new ID evicts the session of who was faster",
        _SUCCESSION,
        'config.max_sessions_per_user if self.change.reason == "login" else None',
        "config.max_sessions_per_user",
        (f"{_TEST}_interleavings.py::test_a_regeneration_evicts_nobody",),
    ),
    Mutation(
        "2: two threads open one visit, and the later one empties it",
        f"{_CORE}/face.py",
        "            with _opening:\n",
        "            if _opening:\n",
        (f"{_TEST}_async_session.py::test_two_threads_may_look_first_at_the_same_time",),
    ),
    Mutation(
        "3: an eviction ends the sign-in that has replaced the evicted session",
        f"{_CORE}/lifecycle/ending.py",
        "if evicted and isinstance(found[1], Record)",
        "if evicted and found[1] is None",
        (f"{_TEST}_interleavings.py::test_sec_40_an_eviction_ends_no_newer_sign_in",),
    ),
    Mutation(
        "3: an evicted sign-in ends the one that it would join, and then itself",
        _SUCCESSION,
        "                if await self._confirmed():",
        "                if await self._confirmed() is not None:",
        (f"{_TEST}_interleavings.py::test_sec_40_three_clicks_of_one_sign_in_leave_one_session",),
    ),
    Mutation(
        "3: signing out ends what another user signed in to",
        f"{_CORE}/lifecycle/ending.py",
        "found is None or found[1].user_id != content.user_id or",
        "found is None or",
        ("tests/two_parties/test_two_parties.py::test_a_cell[login-logout-anonymous-memory]",),
    ),
    Mutation(
        "3: a sign-in outlives a revocation",
        _SUCCESSION,
        "if goes_on and not await self._confirmed():",
        "if goes_on and await self._confirmed() is None:",
        (f"{_TEST}_interleavings.py::test_sec_38_no_sign_in_outlives_a_revocation_of_its_user",),
    ),
    Mutation(
        "3: a lifetime ends a moment late",
        _OPENING,
        "if content.deadline is not None and now >= content.deadline:",
        "if content.deadline is not None and now > content.deadline:",
        (f"{_TEST}_times.py::test_sec_34_activity_does_not_move_the_absolute_deadline",),
    ),
    Mutation(
        "4: the signature is not compared",
        _IDS,
        "if compare_digest(key.mac(signed), mac):",
        "if len(mac) == MAC_SIZE:",
        (f"{_TEST}_ids.py::test_sec_13_random_macs_are_refused",),
    ),
    Mutation(
        "4: the namespace is not signed",
        _IDS,
        "_PURPOSE + bytes([len(space)]) + space + head",
        "_PURPOSE + head",
        (f"{_TEST}_ids.py::test_sec_07_namespaces_do_not_know_each_other",),
    ),
    Mutation(
        "4: an ID has several spellings",
        _IDS,
        'bytes.maketrans(b"-_+/", b"+/!!")',
        'bytes.maketrans(b"-_", b"+/")',
        (f"{_TEST}_ids.py::test_sec_06_the_characters_of_plain_base64_are_refused",),
    ),
    Mutation(
        "4: a forged ID is looked up",
        _OPENING,
        '        runtime.emit(IDRejected("signature"))\n',
        "        verified = [(candidates[0], Identity('0' * 32, bytes(16)), True)]\n",
        (f"{_TEST}_lifecycle_open.py::test_forged_ids_never_reach_the_store",),
    ),
    Mutation(
        "4: of two live sessions the later one wins",
        _OPENING,
        "ambiguous = live is not None\n",
        "ambiguous = False\n",
        (f"{_TEST}_lifecycle_open.py::test_two_live_candidates_are_nobody",),
    ),
    Mutation(
        "4: a client with two live sessions is answered the way of the first",
        _OPENING,
        "live, visit.carried = (claim, found), claim[0]",
        "live = claim, found",
        (f"{_TEST}_response.py::test_of_two_sessions_the_one_in_the_cookie_is_deleted",),
    ),
    Mutation(
        "5: the secret is stored as it is",
        _IDS,
        "return hashlib.sha256(secret).digest()",
        "return secret + secret",
        (f"{_TEST}_stolen_store.py::test_sec_15_a_stolen_store_holds_no_usable_id",),
    ),
    Mutation(
        "5: any secret opens a live handle",
        _OPENING,
        "if secret and not compare_digest(secret_hash(secret), content.secret_hash) and",
        "if not secret_hash(secret) and",
        (f"{_TEST}_lifecycle_open.py::test_a_wrong_secret_opens_nothing_and_harms_nobody",),
    ),
    Mutation(
        "5: a tombstone leads whoever reads it to the new session",
        f"{_CORE}/lifecycle/tombstone.py",
        "import InvalidUnwrap, aes_key_unwrap, aes_key_wrap\n",
        "import InvalidUnwrap\n\n\n"
        "def aes_key_wrap(key: bytes, secret: bytes) -> bytes:\n"
        "    return secret + bytes(8)\n\n\n"
        "def aes_key_unwrap(key: bytes, wrapped: bytes) -> bytes:\n"
        "    return wrapped[:16]\n\n\n",
        (f"{_TEST}_stolen_store.py::test_sec_15_a_stolen_store_holds_no_usable_id",),
    ),
    Mutation(
        "6: nested changes are not seen",
        _VISIT,
        "{str, int, float, bool,",
        "{list, dict, str, int, float, bool,",
        (f"{_TEST}_session_mapping.py::test_nested_changes_are_seen",),
    ),
    Mutation(
        "6: nobody is told of what was dropped",
        _LIFECYCLE,
        "            self.runtime.emit(drop)\n",
        "            del drop\n",
        (f"{_TEST}_commit.py::test_an_error_response_drops_changes_and_tells",),
    ),
    Mutation(
        "6: a late change that cannot be saved is dropped in silence",
        _LIFECYCLE,
        "except CoatcheckError:\n            self._tell_late(visit)",
        "except CoatcheckError:\n            visit.revert()",
        (f"{_TEST}_commit.py::test_what_fails_at_the_end_is_an_event",),
    ),
    Mutation(
        "6: save() says nothing of what it could not do",
        _LIFECYCLE,
        "        if drops:\n            keys",
        "        if drops is None:\n            keys",
        (f"{_TEST}_save_again.py::test_save_raises_where_another_request_ended_the_session",),
    ),
    Mutation(
        "6: an error response keeps half of a change",
        _LIFECYCLE,
        "failed=failed and not self.runtime.config.save_on_error",
        "failed=False",
        (f"{_TEST}_commit.py::test_an_error_response_drops_changes_and_tells",),
    ),
    Mutation(
        "6: a session of any size is written",
        _SAVING,
        "if len(data) > runtime.config.max_size:",
        "if len(data) < 0:",
        (f"{_TEST}_saving.py::test_sec_24_a_session_has_a_largest_size",),
    ),
    Mutation(
        "7: a corrupt record is an exception",
        _OPENING,
        "get(identity[0]), held)\n    except CorruptRecord as error:",
        "get(identity[0]), held)\n    except MemoryError as error:",
        (f"{_TEST}_lifecycle_open.py::test_a_broken_record_is_anonymous_and_an_event",),
    ),
    Mutation(
        "7: data that does not decode is an exception",
        _VISIT,
        "except CorruptRecord as error:\n                runtime.emit(RecordCorrupt",
        "except MemoryError as error:\n                runtime.emit(RecordCorrupt",
        (f"{_TEST}_lifecycle_open.py::test_data_that_does_not_decode_is_anonymous_and_an_event",),
    ),
    Mutation(
        "7: a record that was damaged is read",
        f"{_CORE}/layout.py",
        "if payload[:2] != _MAGIC or crc32(payload) != _RESIDUE",
        "if payload[:2] != _MAGIC",
        (f"{_TEST}_layout.py::test_sec_25_every_flipped_byte_is_noticed",),
    ),
    Mutation(
        "7: a bare string is a list of old secrets",
        f"{_CORE}/keys.py",
        "if issubclass(kind, list | tuple):",
        "if issubclass(kind, list | tuple | str):",
        (f"{_TEST}_keys.py::test_sec_11_old_secrets_must_be_a_list",),
    ),
    Mutation(
        "7: a touch interval that lets sessions in use expire will do",
        f"{_CORE}/config.py",
        "if interval is not None and idle is not None and interval > idle / 2:",
        "if interval is not None and idle is not None and interval > 9 * idle:",
        (f"{_TEST}_config.py::test_the_touch_interval_leaves_room_for_a_touch",),
    ),
    Mutation(
        "7: an unknown option is passed over",
        f"{_CORE}/options.py",
        "raise ConfigurationError(_unknown(name, known))",
        "continue",
        (f"{_TEST}_config.py::test_an_unknown_or_doubled_option_is_refused",),
    ),
)
