"""How what guards a session's deeds may break: the fresh sign-in."""

from __future__ import annotations

from tests.prove.mutation import Mutation, scenarios

_GUARDS = "src/coatcheck/guards.py"
_TEST = "tests/core/test_guards.py"

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
)
