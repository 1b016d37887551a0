"""How what guards a session's deeds may break.

The fresh sign-in, CSRF tokens, and what a sign-out leaves behind.
"""

from __future__ import annotations

from tests.prove.mutation import Mutation, scenarios

_GUARDS = "src/coatcheck/guards.py"
_CONFIG, _SETTINGS = "src/coatcheck/config.py", "src/coatcheck/settings.py"
_CSRF, _TEST_CSRF = "src/coatcheck/csrf.py", "tests/core/test_csrf.py"
_RESPONSE = "src/coatcheck/response.py"
_CORE, _TEST = "tests/core/test", "tests/core/test_guards.py"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "fresh: a sign-in is fresh for a moment too long",
        _GUARDS,
        "now - signed_in_at >= limit",
        "now - signed_in_at > limit",
        (
            f"{_TEST}::test_sec_37_at_max_age_the_sign_in_is_stale",
            *scenarios("wsgi-memory", "sec_37_a_stale_sign_in_is_not_enough"),
        ),
    ),
    Mutation(
        "fresh: nobody is signed in, and passes",
        _GUARDS,
        "if signed_in_at is None or now - signed_in_at >= limit:",
        "if signed_in_at and now - signed_in_at >= limit:",
        (f"{_TEST}::test_sec_37_nobody_has_signed_in_recently",),
    ),
    Mutation(
        "fresh: a new ID counts as a sign-in",
        _GUARDS,
        'change is not None and change.reason == "login"',
        "change is not None",
        (f"{_TEST}::test_signed_in_at_is_the_time_of_the_latest_sign_in",),
    ),
    Mutation(
        "ending: Clear-Site-Data over http",
        _RESPONSE,
        'if wanted and request.scheme == "https" and not told:',
        "if wanted and not told:",
        scenarios("flask-memory", "sec_59_logout_can_clear_the_site_s_data"),
    ),
    Mutation(
        "ending: Clear-Site-Data takes the new cookie with it",
        _RESPONSE,
        "request, headers, new_id=True)",
        "request, headers, new_id=False)",
        (f"{_CORE}_response.py::test_sec_59_clear_site_data_to_the_byte",),
    ),
    Mutation(
        "ending: no Clear-Site-Data where a new session begins",
        "src/coatcheck/lifecycle/beginning.py",
        "    visit.must_issue = True\n",
        "    visit.must_issue, visit.must_clear = True, False\n",
        (f"{_CORE}_response.py::test_sec_59_clear_site_data_to_the_byte",),
    ),
    Mutation(
        "fresh: a preset has no effect",
        _CONFIG,
        "{**_DEFAULTS, **preset, **options.values}",
        "{**_DEFAULTS, **options.values}",
        ("tests/core/test_config.py::test_sec_36_a_preset_is_what_nist_advises_at_most",),
    ),
    Mutation(
        "fresh: a permanent session outlasts the preset",
        _SETTINGS,
        "not in read.values and not unset:",
        "not in read.values:",
        (
            "tests/core/test_settings.py::test_a_preset_holds_for_permanent_sessions_too",
            "tests/adapters/test_flask.py::test_a_permanent_session_ends_as_the_preset_says",
        ),
    ),
    Mutation(
        "csrf: a token holds for every session",
        _CSRF,
        "salt + bytes.fromhex(handle)",
        "salt + bytes(16)",
        (
            f"{_TEST_CSRF}::test_sec_70_a_token_holds_for_its_session_alone",
            *scenarios(
                "asgi-memory",
                "sec_70_a_csrf_token_is_bound_to_the_session_and_rotates_with_it",
            ),
        ),
    ),
    Mutation(
        "csrf: tokens of one session are alike",
        _CSRF,
        "salt = secrets.token_bytes(SALT_SIZE)",
        "salt = bytes(SALT_SIZE)",
        (f"{_TEST_CSRF}::test_sec_70_tokens_have_nothing_in_common",),
    ),
    Mutation(
        "csrf: the salt is not under the MAC",
        _CSRF,
        "text = self._prefix + salt + bytes",
        "text = self._prefix + bytes",
        (f"{_TEST_CSRF}::test_sec_70_every_edit_is_refused",),
    ),
    Mutation(
        "csrf: namespaces share tokens",
        _CSRF,
        "self._prefix = _PURPOSE + bytes([len(space)]) + space",
        "self._prefix = _PURPOSE",
        (f"{_TEST_CSRF}::test_sec_07_tokens_of_another_namespace_purpose_or_secret_are_refused",),
    ),
    Mutation(
        "csrf: old secrets verify no token",
        _CSRF,
        "for key in self._subkeys)",
        "for key in self._subkeys[:1])",
        (f"{_TEST_CSRF}::test_sec_10_an_old_secret_s_tokens_still_hold",),
    ),
    Mutation(
        "csrf: a token is asked for, and its session is not stored",
        _GUARDS,
        "visit.written = visit.must_issue = True",
        "visit.written = True",
        (
            f"{_TEST_CSRF}::test_asking_for_a_token_stores_the_session",
            *scenarios("wsgi-memory", "sec_70_a_visitor_s_form_has_a_session"),
        ),
    ),
    Mutation(
        "csrf: checking a token stores the session",
        _GUARDS,
        "        handle = visit.handle\n",
        "        handle = visit.handle\n        visit.written = visit.must_issue = True\n",
        (f"{_TEST_CSRF}::test_sec_44_checking_a_token_stores_nothing",),
    ),
    Mutation(
        "csrf: the old ID's tokens hold while a sign-in waits",
        _GUARDS,
        "        handle = visit.handle\n",
        "        handle = visit.identity.handle if visit.identity else None\n",
        (f"{_TEST_CSRF}::test_sec_70_a_token_ends_with_its_id",),
    ),
    Mutation(
        "csrf: in flight under a replaced ID a form hides whose changes are dropped",
        _GUARDS,
        "return visit.runtime.csrf.make(visit.runtime.signer.mint().handle)",
        "pass",
        (f"{_TEST_CSRF}::test_in_flight_under_a_replaced_id_a_token_is_worth_nothing",),
    ),
)
