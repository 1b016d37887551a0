"""How the ways of the session ID may break: cookies read and written, and each State."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_COOKIES, _STATE = "src/coatcheck/cookies.py", "src/coatcheck/state"
_SEEDS = "tests/seeds/test_middleware"
_TEST_COOKIES, _TEST_STATES = "tests/core/test_cookies.py", "tests/core/test_states.py"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "cookies: a comma separates cookies",
        _COOKIES,
        'if before >= 0 and header[before] != ";":',
        'if before >= 0 and header[before] not in ";,":',
        (f"{_TEST_COOKIES}::test_sec_63_an_imitation_of_the_name_is_ignored",),
    ),
    Mutation(
        "cookies: a name may begin in the middle of another",
        _COOKIES,
        'or (at and header[at - 2 : at] != "; "):',
        ":",
        (
            f"{_TEST_COOKIES}::test_sec_63_an_imitation_of_the_name_is_ignored",
            f"{_TEST_COOKIES}::test_only_the_exact_name_counts",
        ),
    ),
    Mutation(
        "cookies: a value may break out",
        _COOKIES,
        "if not _VALUE.fullmatch(value):",
        "if not _VALUE.match(value):",
        (f"{_TEST_COOKIES}::test_sec_50_no_byte_breaks_out",),
    ),
    Mutation(
        "cookies: scripts may read it",
        _COOKIES,
        '"; HttpOnly" if http_only else "",',
        '"",',
        (f"{_TEST_COOKIES}::test_sec_47_the_default_cookie_is_exactly_this",),
    ),
    Mutation(
        "cookies: __Host- may do without Secure",
        _COOKIES,
        'return True if needed_for else "auto"',
        'return "auto"',
        (f"{_TEST_COOKIES}::test_sec_48_a_prefix_forces_what_it_needs",),
    ),
    Mutation(
        "cookies: a deletion is less than what it deletes",
        _COOKIES,
        "{self._head}{self._tail}; Max-Age=0;",
        "{self._head}; Max-Age=0;",
        (f"{_TEST_COOKIES}::test_sec_52_the_default_deletion_is_exactly_this",),
    ),
    Mutation(
        "cookie state: of several Cookie headers the first one counts",
        f"{_STATE}/cookie.py",
        "for line in lines[1:]:",
        "for line in lines[:1]:",
        (f"{_TEST_STATES}::test_sec_65_several_cookie_headers_are_read",),
    ),
    Mutation(
        "cookie state: a header of the client decides on Secure",
        f"{_STATE}/cookie.py",
        "self._cookie.set(session_id, max_age=max_age, https=https)",
        "self._cookie.set(session_id, max_age=max_age, https=_claims_https(request))",
        (f"{_TEST_STATES}::test_sec_54_forwarded_headers_decide_nothing",),
    ),
    Mutation(
        "header state: a header that came twice counts",
        f"{_STATE}/header.py",
        "if len(values) != 1:",
        "if not values:",
        (f"{_TEST_STATES}::test_sec_68_a_header_sent_twice_is_none",),
    ),
    Mutation(
        "header state: a name with an underscore will do",
        f"{_STATE}/header.py",
        "[A-Za-z0-9!#$%&'*+.^`|~-]+",
        "[A-Za-z0-9!#$%&'*+._^`|~-]+",
        (f"{_TEST_STATES}::test_sec_69_a_header_name_is_letters_digits_and_dashes",),
    ),
    Mutation(
        "bearer state: another scheme will do",
        f"{_STATE}/bearer.py",
        "if value[:size].lower() != _SCHEME:",
        'if value[size - 1 : size] != " ":',
        (f"{_TEST_STATES}::test_sec_68_anything_else_is_no_bearer_token",),
    ),
    Mutation(
        "callback state: what is not in the form of an ID is offered",
        f"{_STATE}/callback.py",
        "return collect([], values)",
        "return values",
        (f"{_TEST_STATES}::test_what_a_callback_extracts_is_filtered",),
    ),
    Mutation(
        "first-of state: a bearer client is sent a cookie",
        f"{_STATE}/first_of.py",
        "if carried is not None:",
        "if carried is None:",
        (f"{_TEST_STATES}::test_first_of_never_sends_a_cookie_to_a_bearer_client",),
    ),
    Mutation(
        "first-of state: a dead cookie is left beside a token",
        f"{_STATE}/first_of.py",
        "for state in ways or self._states:",
        "for state in ways[:1] or self._states:",
        (f"{_TEST_STATES}::test_first_of_leaves_no_dead_cookie_beside_a_token",),
    ),
    Mutation(
        "state: a class that derives from State may lack a method",
        f"{_STATE}/protocol.py",
        "    @abstractmethod\n    def inject(",
        "    def inject(",
        (f"{_SEEDS}_states.py::test_s_99_any_object_with_the_methods_is_a_state",),
    ),
    Mutation(
        "session: slice raises for what is missing",
        "src/coatcheck/mapping.py",
        "for key in keys if key in self}",
        "for key in keys}",
        (f"{_SEEDS}_session.py::test_s_124_slice_skips_what_is_missing_and_clear_keeps_the_id",),
    ),
)
