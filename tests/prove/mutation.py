"""What a mutation is."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One way to break the code."""

    name: str
    """What is broken, after the subject that it belongs to: `"3: ..."`, `"sqlite: ..."`."""
    file: str
    old: str
    """Text that stands exactly once in the file ..."""
    new: str
    """... and what takes its place."""
    tests: tuple[str, ...]
    """The tests, as pytest names them, of which at least one must fail: few and fast ones."""

    @property
    def subject(self) -> str:
        """The promise, by its number, or the part that is broken."""
        return self.name.partition(":")[0]


def scenarios(site: str, *names: str) -> tuple[str, ...]:
    """Name scenarios of `tests/adapters` on one site, such as `"wsgi-memory"`."""
    test = "tests/adapters/test_scenarios.py::test_a_scenario_comes_true"
    return tuple(f"{test}[{site}-{name}]" for name in names)
