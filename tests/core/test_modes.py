"""The tests mean what they say in every mode of the interpreter (SEC-86)."""

from __future__ import annotations

import sys

import pytest

from tests.core import asserting


def test_sec_86_asserts_of_tests_hold_under_python_o() -> None:
    """In test modules and in what they import: pytest turns each into a condition of its own."""
    one = 1
    with pytest.raises(AssertionError):
        assert one == 2
    with pytest.raises(AssertionError):
        asserting.expect_equal(one, 2)
    asserting.expect_equal(one, 1)


def test_the_mode_is_the_one_that_was_asked_for() -> None:
    """`make modes` asks through the environment, which reaches the workers too."""
    assert sys.flags.optimize == int(asserting.MODES.get("PYTHONOPTIMIZE") or 0)
    assert sys.flags.dev_mode == bool(asserting.MODES.get("PYTHONDEVMODE"))
