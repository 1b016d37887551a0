"""How values may come back as something else."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_CODECS = "src/coatcheck/codecs"
_TESTS = "tests/core/test_codecs"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "codec: a tuple comes back as a list",
        f"{_CODECS}/lowering.py",
        "        return tuple(items)\n",
        "        return items\n",
        (f"{_TESTS}.py::test_kept",),
    ),
    Mutation(
        "codec: a set is written in the order that it happens to have",
        f"{_CODECS}/binary.py",
        "*sorted(value, key=lambda item: packb(item, self._default, OPTIONS))",
        "*value",
        (f"{_TESTS}.py::test_the_same_in_every_process",),
    ),
    Mutation(
        "codec: a set that needs care is written in the order that it happens to have",
        f"{_CODECS}/lowering.py",
        "            items.sort(key=self._dump)\n",
        "",
        (f"{_TESTS}.py::test_the_same_in_every_process",),
    ),
    Mutation(
        "codec: what comes back as another type is written",
        f"{_CODECS}/binary.py",
        "elif kind is not markup_type():\n            return False",
        "elif kind is None:\n            return False",
        (f"{_TESTS}_refusals.py::test_refused",),
    ),
    Mutation(
        "codec: what follows a record is not looked at",
        f"{_CODECS}/binary.py",
        "if not canonical or kind is not dict:",
        "if kind is not dict:",
        (f"{_TESTS}_hostile.py::test_sec_22_a_hostile_record_is_corrupt",),
    ),
    Mutation(
        "codec: an application's dictionary is taken for a tag",
        f"{_CODECS}/tagged.py",
        'return len(value) == 1 and next(iter(value))[:1] == "!"',
        "return not value",
        (f"{_TESTS}.py::test_session_may_look_like_a_tag",),
    ),
    Mutation(
        "codec: JSON writes what it has not as what it has",
        f"{_CODECS}/tagged.py",
        "                packb(data, None, OPTIONS)\n",
        "",
        (f"{_TESTS}.py::test_kept",),
    ),
    Mutation(
        "codec: JSON writes an application's dictionary as if it were a tag",
        f"{_CODECS}/tagged.py",
        "                if '{\"!' not in text:\n",
        "                if text:\n",
        (f"{_TESTS}.py::test_session_may_look_like_a_tag",),
    ),
    Mutation(
        "codec: a key occurs twice in JSON",
        f"{_CODECS}/lowering.py",
        "    if len(made) != count:\n",
        "    if len(made) > count:\n",
        (f"{_TESTS}_hostile.py::test_sec_22_a_hostile_record_is_corrupt",),
    ),
)
