"""Small programs that tests run in other processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program, with what it is to find in `sys.argv`."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a program, which is to end without an exception, and return what it printed."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def run(program: str, *arguments: object) -> str:
    """Run a program to its end and return what it printed."""
    return finish(start(program, *arguments))
