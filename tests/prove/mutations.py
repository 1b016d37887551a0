"""The mutations: each breaks one promise, and names the tests that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One way to break the code."""

    name: str
    """What is broken, beginning with the promise or the store: `"3: ..."`, `"sqlite: ..."`."""
    file: str
    old: str
    """Text that stands exactly once in the file ..."""
    new: str
    """... and what takes its place."""
    tests: tuple[str, ...]
    """The tests, as pytest names them, of which at least one must fail."""


MUTATIONS: tuple[Mutation, ...] = ()
