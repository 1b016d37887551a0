"""Rules of the source that no linter has: each shuts out a whole class of mistakes."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("src", "adapters")
    for path in (ROOT / folder).rglob("*.py")
)
# Those that read what clients send.
PARSERS = [name for name in MODULES if re.search(r"/(cookies|ids)\.py$|/state/", name)]
LONGEST_MODULE = 400
DIGEST = re.compile(r"(?:.*_)?(?:mac|sig|signature|digest|token|secret_hash)")


def nodes(module: str) -> Iterator[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return ast.walk(ast.parse((ROOT / module).read_text(), module))


def name_of(node: ast.AST) -> str:
    """Return the last part of a name, or nothing."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_in_one_sitting(module: str) -> None:
    """A longer one holds a second noun."""
    assert len((ROOT / module).read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("module", MODULES)
def test_no_check_disappears_under_o(module: str) -> None:
    """`python -O` drops assertions, so none may keep anything safe."""
    assert not [node.lineno for node in nodes(module) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("module", MODULES)
def test_no_expression_ends_before_a_newline(module: str) -> None:
    r"""`$` also matches before a trailing newline: `fullmatch` and `\Z` do not."""
    for node in nodes(module):
        if isinstance(node, ast.Call) and name_of(node.func) in {"compile", "match", "search"}:
            for argument in node.args[:1]:
                text = str(argument.value) if isinstance(argument, ast.Constant) else ""
                anchors = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]", "", text)
                assert "$" not in anchors, f"line {node.lineno}"


@pytest.mark.parametrize("module", MODULES)
def test_digests_are_compared_in_constant_time(module: str) -> None:
    """`==` stops at the first difference and so tells where it is (CVE-2019-16782)."""
    for node in nodes(module):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            for side in (node.left, *node.comparators):
                assert not DIGEST.fullmatch(name_of(side)), f"line {node.lineno}: {name_of(side)}"


@pytest.mark.parametrize("module", PARSERS)
def test_parsers_know_ascii_only(module: str) -> None:
    r"""`strip()` also takes `\x85` and `\x1c`, `isdigit()` also takes other scripts' digits."""
    for node in nodes(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            bare = node.func.attr in {"strip", "lstrip", "rstrip", "split"} and not node.args
            assert not bare, f"line {node.lineno}: {node.func.attr}() without arguments"
            assert node.func.attr not in {"isdigit", "isdecimal", "isalnum", "isalpha", "isspace"}


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    """What is tracked works wherever it is checked out."""
    tracked = subprocess.run(
        ("git", "grep", "-lIE", r"(^|[^A-Za-z0-9_.])/(work|home/[a-z]+|Users)/"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert tracked.stdout.split() == []
