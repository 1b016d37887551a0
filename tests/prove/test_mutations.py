"""The table of mutations fits the code: `make prove` tries them, which takes longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove.__main__ import faults_of_the_table
from tests.prove.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_broken_in_some_way() -> None:
    """Each promise, store, State and adapter has its mutations, and no two have one name."""
    assert faults_of_the_table() == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_a_mutation_fits_its_file(mutation: Mutation) -> None:
    """Its text stands there once, what takes its place is Python, and its tests exist."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    mutated = text.replace(mutation.old, mutation.new)
    assert mutated != text
    compile(mutated, mutation.file, "exec")
    assert mutation.tests
    for test in mutation.tests:
        path, _, name = test.partition("::")
        function = name.rpartition("::")[2].partition("[")[0]
        inherited = name.startswith("Test")  # from the contract
        assert inherited or f"def {function}(" in (ROOT / path).read_text(encoding="utf-8")
