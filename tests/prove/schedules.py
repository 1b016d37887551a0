"""How requests may break each other's sessions in some order that no test of one order has."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_SUCCESSION, _SAVING = "src/coatcheck/lifecycle/succession.py", "src/coatcheck/lifecycle/saving.py"
_TEST = "tests/schedules/test_schedules.py::test_sec_32_two_requests_in_every_order"
_THREE = "tests/schedules/test_schedules.py::test_sec_32_three_requests_in_random_orders"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "schedules: no tombstone",
        _SUCCESSION,
        "while self.old is not None and self.old_identity is not None:",
        "while False:",
        (f"{_TEST}[signed-in read,regenerate]",),
    ),
    Mutation(
        "schedules: who ends a session does not see that it was just replaced",
        "src/coatcheck/lifecycle/ending.py",
        "content is None or isinstance(content, Record):\n            return content\n",
        "content is None or isinstance(content, Record) or seen:\n            return None\n",
        (f"{_TEST}[signed-in regenerate,logout]",),
    ),
    Mutation(
        "schedules: who meets a conflict gives up",
        _SAVING,
        "        held = current\n",
        "        return\n",
        (f"{_TEST}[anonymous write-k1,write-k2]",),
    ),
    Mutation(
        "schedules: what is in flight speaks for the session that was replaced",
        "src/coatcheck/lifecycle/opening.py",
        "visit.phase = Phase.MUTE",
        "visit.phase = Phase.NEW",
        (_THREE, f"{_TEST}[signed-in write-k1,regenerate]"),
    ),
    Mutation(
        "schedules: two clicks are two sessions",
        _SUCCESSION,
        "            if await join(visit, change, self.old_identity, content, base=base):\n",
        "            if False:\n",
        (f"{_TEST}[anonymous login-A,login-A]",),
    ),
)
