"""Rules of the repository that no linter has; those against holes are in `test_lint_rules.py`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("src", "adapters")
    for path in (ROOT / folder).rglob("*.py")
)
LONGEST_MODULE = 400


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_in_one_sitting(module: str) -> None:
    """A longer one holds a second noun."""
    lines = (ROOT / module).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_MODULE


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    """What is tracked works wherever it is checked out."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ("git", "grep", "-lIE", r"(^|[^A-Za-z0-9_.])/(work|home/[a-z]+|Users)/")
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert tracked.stdout.split() == []
    assert not tracked.stderr
