"""The scenarios over the store in the client's cookie: what comes true there, and what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.adapters.doors import DOORS
from tests.adapters.scenarios import SCENARIOS, Scenario

_SENT = "what is written, a touch too, leaves in a cookie"
_COPY = "a copy of an older cookie of nobody's session is good until it expires"
_LAST = "of two requests at once the last to answer wins"
_LATE = "nothing is stored after the headers have left"
_UNKNOWN = "there is no ID before the session is saved, and each save has another one"
_COUNT = "nobody counts or lists sessions"
_YEAR = "no cookie is good for more than 400 days"
_INSIDE = "no other process gets at the record"

NOT_HERE: Final = {
    "a_body_that_is_never_made_takes_no_new_id": _UNKNOWN,
    "a_client_that_goes_away_takes_nothing_along": _LATE,
    "a_double_clicked_sign_in_is_one_session": _LAST,
    "a_first_write_creates_one_record_and_sends_one_cookie": _UNKNOWN,
    "a_long_stream_keeps_its_session_alive": _LATE,
    "a_page_in_flight_with_a_stream_keeps_both_changes": _LATE,
    "a_read_touches_once_an_interval": _SENT,
    "a_resolver_decides_where_two_requests_changed_one_key": _LAST,
    "a_session_can_be_saved_before_the_response": _SENT,
    "a_session_can_end_in_a_stream": _LATE,
    "a_session_can_have_times_of_its_own": _SENT,
    "a_session_that_becomes_empty_is_kept": _SENT,
    "a_session_that_is_first_looked_at_in_a_stream_is_saved_too": _LATE,
    "a_store_that_breaks_in_a_stream_cuts_it_short": _LATE,
    "a_store_that_comes_back_during_a_request_changes_nothing_in_it": _SENT,
    "a_stream_notices_that_its_session_has_ended": _COPY,
    "a_stream_with_a_length_is_not_completed_where_the_save_fails": _LATE,
    "a_stream_with_a_length_is_saved_before_its_last_byte": _LATE,
    "a_value_that_does_not_encode_cuts_the_stream_short": _LATE,
    "a_write_costs_a_get_and_an_update": _SENT,
    "an_error_that_streams_keeps_nothing": _LATE,
    "an_exception_in_a_stream_keeps_what_was_saved_before": _LATE,
    "clear_is_a_barrier_for_what_is_in_flight": _LAST,
    "indefinite_sessions_never_expire": _YEAR,
    "logout_of_who_was_not_signed_in_says_nothing": _COPY,
    "parallel_requests_keep_each_others_changes": _LAST,
    "refresh_shows_what_others_saved": _LAST,
    "save_raises_what_it_could_not_do": _COPY,
    "sec_10_a_session_under_an_old_secret_is_reissued_with_its_next_save": _UNKNOWN,
    "sec_15_no_record_holds_an_id": _COUNT,
    "sec_20_all_ids_that_are_worth_nothing_look_the_same": _COPY,
    "sec_25_a_corrupt_record_is_an_anonymous_session": _INSIDE,
    "sec_26_an_unknown_id_is_never_adopted": _COPY,
    "sec_28_sec_43_a_sign_in_that_fails_half_way_leaves_the_old_session": _COPY,
    "sec_29_login_begins_a_new_session_with_the_data_of_the_old": _UNKNOWN,
    "sec_30_requests_in_flight_under_the_old_id_are_mute": _LAST,
    "sec_31_destroy_ends_the_session_and_deletes_the_cookie": _COPY,
    "sec_32_a_touch_does_not_bring_a_session_back": _COPY,
    "sec_32_destroy_is_final": _COPY,
    "sec_42_what_ends_a_session_ends_it_whatever_happens": _COPY,
    "sec_44_a_flood_stores_nothing": _COPY,
    "sec_48_a_host_cookie_forces_what_it_needs": _UNKNOWN,
    "sec_51_everything_in_one_request_sends_one_cookie": _UNKNOWN,
    "sec_57_a_page_for_a_user_is_for_nobody_else": _SENT,
    "sec_58_what_changes_in_a_stream_is_saved_at_its_end": _LATE,
    "sec_58_what_needs_a_header_raises_in_a_stream": _LATE,
    "sec_62_of_several_ids_exactly_one_may_be_live": _COPY,
    "sec_89_a_planted_id_is_worth_nothing_after_sign_in": _COPY,
    "signing_out_works_whatever_is_in_flight": _LAST,
    "the_id_of_a_new_session_is_known_before_it_is_stored": _UNKNOWN,
    "the_last_of_two_changes_of_one_key_wins_and_is_told": _LAST,
}
"""What does not come true, or comes true in another way, and why."""

REFUSED: Final = frozenset({"encrypt", "max_sessions_per_user", "rotate_every", "state"})
"""Options that are a `ConfigurationError` here: scenarios about them cannot be played."""

BY_NAME: Final = {scenario.play.__name__: scenario for scenario in SCENARIOS}
HERE: Final = [
    pytest.param(door, scenario, id=f"{door}-{name}")
    for door in ("wsgi", "flask", "asgi")
    for name, scenario in BY_NAME.items()
    if name not in NOT_HERE and not REFUSED & scenario.options.keys()
]


@pytest.mark.parametrize(("door", "scenario"), HERE)
def test_a_scenario_comes_true(door: str, scenario: Scenario, tmp_path: Path) -> None:
    """What is promised of every store is promised here too, but for what is listed."""
    with DOORS[door]("cookie", tmp_path, **scenario.options) as site:
        scenario.play(site)


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_is_listed_does_not(name: str, tmp_path: Path) -> None:
    """A limit that there is no more leaves the list."""
    scenario = BY_NAME[name]
    door = "asgi" if name == "a_body_that_is_never_made_takes_no_new_id" else "wsgi"
    with (
        pytest.raises(BaseException),  # noqa: B017 - however it shows
        DOORS[door]("cookie", tmp_path, **scenario.options) as site,
    ):
        scenario.play(site)
