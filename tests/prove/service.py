"""How `SessionService` may break: what it promises beside the core, which decides the rest."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_CORE = "src/coatcheck"
_SERVICE, _SESSION = f"{_CORE}/service/service.py", f"{_CORE}/service/session.py"
_MANAGER, _ENDING = f"{_CORE}/manager.py", f"{_CORE}/lifecycle/ending.py"
_SECRET = f"{_CORE}/service/secret.py"

_TEST = "tests/seeds/test_service"
_TROUBLE = f"{_TEST}_trouble.py::test_wherever_new_session_fails_one_session_is_left"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "service: what the store raises passes through",
        f"{_CORE}/service/result.py",
        "except Exception as error:  # noqa: BLE001 : the result says it, and a bug is logged",
        "except MemoryError as error:",
        (f"{_TEST}_manager.py::test_s_04_nothing_raises_after_construction",),
    ),
    Mutation(
        "service: a clean save slides once in a minute only",
        _SERVICE,
        '"touch_interval": 0.0, ',
        "",
        (f"{_TEST}_session.py::test_s_48_a_clean_save_is_a_success_and_only_slides",),
    ),
    Mutation(
        "service: a clean save of an ended session is a success",
        _MANAGER,
        "if visit.held is before:",
        "if visit.held is None:",
        (f"{_TEST}_session.py::test_s_52_save_after_the_session_was_deleted_fails",),
    ),
    Mutation(
        "service: what could not be saved counts as saved the next time",
        _SESSION,
        "self._unsaved = dirty or bool(error.keys)",
        "self._unsaved = False and bool(error.keys)",
        (f"{_TEST}_trouble.py::test_what_replaced_the_data_as_a_whole_is_told_of",),
    ),
    Mutation(
        "service: data that is no mapping is merged with what another program wrote",
        _SESSION,
        "self._visit.cleared = self._visit.cleared or self._whole or bool(stood_whole)",
        "self._visit.cleared = self._visit.cleared",
        (f"{_TEST}_trouble.py::test_what_replaced_the_data_as_a_whole_is_told_of",),
    ),
    Mutation(
        "service: a session's data is that which the caller keeps",
        _SERVICE,
        "visit.view, visit.shared = None, False",
        "visit.shared = True",
        (f"{_TEST}_create.py::test_s_16_initial_data_comes_back_equal",),
    ),
    Mutation(
        "service: a user may have any number of sessions",
        _SERVICE,
        "max_sessions_per_user: int | None = 1,",
        "max_sessions_per_user: int | None = None,",
        (f"{_TEST}_create.py::test_s_20_a_second_session_of_a_user_ends_the_first",),
    ),
    Mutation(
        "service: a new session that fails has ended the former one",
        _ENDING,
        "room = await index.admit(user_id, handle, limit=limit, evict=False)",
        "room = None",
        (f"{_TROUBLE}[False-True-memory]",),
    ),
    Mutation(
        "service: what a failed sign-in has evicted lives on beside the next one",
        _ENDING,
        "if not evicted or index is None or limit is None or user_id is None:",
        "if evicted or index is None or limit is None or user_id is None:",
        (f"{_TROUBLE}[False-False-memory]", f"{_TROUBLE}[True-False-memory]"),
    ),
    Mutation(
        "service: a secret that others can read will do",
        _SECRET,
        "if found.st_mode & _OURS_ALONE:",
        "if found.st_mode & 0:",
        ("tests/seeds/test_service_secret.py::test_a_file_that_others_may_use_is_refused",),
    ),
    Mutation(
        "service: of two programs that make a secret the last one wins",
        _SECRET,
        "os.link(new, path)",
        "os.link(new, path + '~')\n            os.replace(path + '~', path)",
        ("tests/seeds/test_service_secret.py::test_programs_that_begin_at_once_agree",),
    ),
)
