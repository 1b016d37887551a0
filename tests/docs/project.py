"""What the project itself says of its commands, extras and tests, for pages to be held against."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]


@functools.cache
def make_targets() -> frozenset[str]:
    """Return the targets of the Makefile that are meant to be called."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@functools.cache
def extras() -> frozenset[str]:
    """Return the extras of the distribution."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return frozenset(project["optional-dependencies"])


@functools.cache
def names_of_tests() -> frozenset[str]:
    """Return the names of all tests, and of the scenarios that are played behind every adapter."""
    return frozenset(name for path in (ROOT / "tests").rglob("*.py") for name in _tests_in(path))


def _tests_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            scenario = any("scenario(" in ast.unparse(one) for one in node.decorator_list)
            if scenario or (node.name.startswith("test_") and path.name.startswith("test_")):
                yield node.name
