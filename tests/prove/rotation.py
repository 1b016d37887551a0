"""How periodic rotation may sign somebody out, hide a theft, or raise the alarm for nothing."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_ROTATION, _ROTATING = "src/coatcheck/rotation.py", "src/coatcheck/lifecycle/rotating.py"
_OPENING = "src/coatcheck/lifecycle/opening.py"
_CORE = "tests/core/test_rotate_every.py::test"
_TRIED = "tests/schedules/test_rotation.py::test_sec_30"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "rotation: a request under way is a theft",
        _ROTATION,
        "self.seen_at is None or begun < self.seen_at + IN_FLIGHT",
        "self.seen_at is None",
        (f"{_TRIED}_requests_at_once_and_lost_responses_sign_nobody_out[late]",),
    ),
    Mutation(
        "rotation: a lost response is made up for by one more secret",
        _ROTATING,
        "return record._replace(rotation=rotation._replace(rotated_at=now)), identity",
        "return _rotated(visit, record, secret, now)",
        (
            f"{_TRIED}_requests_at_once_and_lost_responses_sign_nobody_out[received]",
            f"{_TRIED}_no_life_with_rotations_ends_before_its_time",
        ),
    ),
    Mutation(
        "rotation: the new secret is not sent again",
        _ROTATING,
        "        if lost and _reaches(visit):\n",
        "        if False:\n",
        (f"{_CORE}_a_lost_response_signs_nobody_out",),
    ),
    Mutation(
        "rotation: the second generation is accepted",
        _ROTATING,
        "return record._replace(rotation=rotation._replace(seen_at=now)), None",
        "return record, None",
        (f"{_CORE}_the_id_that_was_retired_last_is_a_theft",),
    ),
    Mutation(
        "rotation: any old secret is a theft",
        _ROTATION,
        "else Standing.UNKNOWN",
        "else Standing.STOLEN",
        (f"{_CORE}_an_older_id_is_nobodys_and_harms_nobody",),
    ),
    Mutation(
        "rotation: a secret retired before the last one is forgotten at once",
        _ROTATION,
        "wrapped, now, None, before.previous, retired_at)",
        'wrapped, now, None, b"", retired_at)',
        (f"{_CORE}_the_one_before_is_retired_as_long_as_the_new_one_was_not_seen",),
    ),
    Mutation(
        "rotation: regenerate keeps the previous secret",
        "src/coatcheck/lifecycle/succession.py",
        "                rotation=None,\n",
        "                rotation=self.old.record.rotation,\n",
        (f"{_CORE}_a_new_record_remembers_no_secret",),
    ),
    Mutation(
        "rotation: an ID that was rotated away is sent",
        "src/coatcheck/response.py",
        "        identity = current\n",
        "        pass\n",
        (f"{_CORE}_a_request_under_way_that_changes_the_lifetime_sends_no_old_id",),
    ),
    Mutation(
        "rotation: after the headers have left",
        _ROTATING,
        "if request is None or visit.response_started or not state.sends:",
        "if request is None or not state.sends:",
        (f"{_CORE}_nothing_rotates_once_the_headers_have_left",),
    ),
    Mutation(
        "rotation: whoever has two cookies is a thief",
        _OPENING,
        "        if former.identity.handle not in known:\n",
        "        if True:\n",
        (f"{_CORE}_who_brings_the_current_id_as_well_is_no_thief",),
    ),
    Mutation(
        "rotation: who holds a session open must have its current secret",
        _OPENING,
        "content.secret_hash) and held is None:",
        "content.secret_hash):",
        (f"{_CORE}_a_session_that_is_open_stays_open",),
    ),
    Mutation(
        "rotation: a theft ends nothing",
        _OPENING,
        'if visit.runtime.config.on_theft != "event":',
        "if False:",
        (f"{_CORE}_the_id_that_was_retired_last_is_a_theft",),
    ),
    Mutation(
        "rotation: an outage lets other sessions of a stolen one live",
        "src/coatcheck/lifecycle/ending.py",
        "for each in (*others, handle):",
        "for each in (handle, *others):",
        (f"{_CORE}_a_store_that_fails_while_sessions_of_a_theft_end_lets_none_of_them_live",),
    ),
    Mutation(
        "rotation: one that cannot be slides what shall not slide",
        "src/coatcheck/lifecycle/saving.py",
        "        if not runtime.slides or record.idle is None:\n",
        "        if False:\n",
        (f"{_CORE}_where_nothing_slides_a_client_that_cannot_be_sent_an_id_slides_nothing",),
    ),
    Mutation(
        "rotation: a tombstone forgets the previous secret",
        "src/coatcheck/lifecycle/tombstone.py",
        "now, new.handle, wrapped, rotation)",
        "now, new.handle, wrapped)",
        (f"{_CORE}_a_slow_request_with_the_previous_id_cannot_overwrite_a_sign_in",),
    ),
)
