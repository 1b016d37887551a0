"""How `on_store_error` may break: pages without a store, and who has to know of it."""

from __future__ import annotations

from tests.prove.mutation import Mutation, scenarios

_OPENING, _LIFECYCLE = "src/coatcheck/lifecycle/opening.py", "src/coatcheck/lifecycle/__init__.py"
_SESSION = "src/coatcheck/session.py"
_SITE = "wsgi-memory"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "outage: a 503 is no default any more",
        _OPENING,
        'if runtime.config.on_store_error == "fail" or visit.request is None:',
        "if visit.request is None:",
        scenarios(_SITE, "sec_43_an_outage_signs_nobody_out"),
    ),
    Mutation(
        "outage: a manager takes a broken store for an ended session",
        _OPENING,
        'if runtime.config.on_store_error == "fail" or visit.request is None:',
        'if runtime.config.on_store_error == "fail":',
        ("tests/core/test_outage.py::test_a_manager_tells_of_a_broken_store",),
    ),
    Mutation(
        "outage: an unreadable session counts as a new one",
        _OPENING,
        "visit.phase, visit.buried = Phase.UNREADABLE, identity",
        "visit.buried = identity",
        scenarios(_SITE, "a_store_that_comes_back_during_a_request_changes_nothing_in_it"),
    ),
    Mutation(
        "outage: a page shown to nobody may be kept by a shared cache",
        "src/coatcheck/response.py",
        "personal = personal or visit.phase is Phase.UNREADABLE",
        "personal = bool(personal)",
        scenarios(_SITE, "a_public_page_survives_an_outage"),
    ),
    Mutation(
        "outage: what was written is dropped silently",
        _LIFECYCLE,
        "elif phase is Phase.UNREADABLE:\n            visit.drop",
        "elif phase is Phase.UNREADABLE:\n            visit.settle() if visit else visit.drop",
        scenarios(_SITE, "what_is_written_in_an_outage_is_dropped_and_told"),
    ),
    Mutation(
        "outage: a sign-in that failed is answered as if it had not",
        _LIFECYCLE,
        "if visit.replacement is not None or visit.endings:\n            return False",
        "if visit.endings:\n            return False",
        scenarios(_SITE, "whoever_signs_in_or_out_in_an_outage_is_told"),
    ),
    Mutation(
        "outage: a change of a session that was read is lost without a 503",
        _LIFECYCLE,
        'if self.runtime.config.on_store_error == "fail" or visit.phase is not Phase.NEW:',
        'if self.runtime.config.on_store_error == "fail":',
        scenarios(_SITE, "a_change_of_a_session_that_was_read_is_never_dropped_silently"),
    ),
    Mutation(
        "outage: who signs out believes that it was done",
        _SESSION,
        'raise unreadable(f"{reason}()")',
        "return",
        scenarios(_SITE, "whoever_signs_in_or_out_in_an_outage_is_told"),
    ),
)
