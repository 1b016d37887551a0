"""The time tracker: what it said that it saved is there, whatever happens to its process."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT
from tests.e2e.servers import PATIENCE
from tests.examples.test_web import console

ROUNDS: Final = 12
PROJECTS: Final = 60
"""On how many projects it works in a round, if it lives to see them all."""
USAGE: Final = "usage: time_tracker.py [in PROJECT | out | report]\n"
"""What it says to anything else."""


class Terminal:
    """Runs the time tracker of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "time-tracker"
        shutil.copy(ROOT / "examples" / "time_tracker.py", folder)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start it with a command, or without one, to be told by its input."""
        return subprocess.Popen(
            [sys.executable, "time_tracker.py", *words],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> str:
        """Run a command to its end; return what it says."""
        with self.start(*words) as process:
            said, complaint = process.communicate(timeout=PATIENCE)
        assert (process.returncode, complaint) == (0, "")
        return said

    def complaint(self, *words: str) -> str:
        """Run a command that fails; return what it says of that."""
        with self.start(*words) as process:
            said, complaint = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (1, "")
        return complaint


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in a folder that has the time tracker, and nothing else."""
    return Terminal(tmp_path)


def test_what_it_tells_to_type(tmp_path: Path) -> None:
    """Each command in its docstring works and prints what stands below it."""
    shutil.copy(ROOT / "examples" / "time_tracker.py", tmp_path)
    RealShell(tmp_path).play(console("time_tracker"), "time_tracker")


def test_killed_in_the_middle_of_work(terminal: Terminal) -> None:
    """Killed with SIGKILL again and again, it has lost nothing of what it said.

    Nor has it made anything up. What was under way when it was killed may be saved or not: nothing
    was said of it.
    """
    said: list[str] = []
    interrupted = 0
    for number in range(ROUNDS):
        projects = [f"{number}-{project}" for project in range(PROJECTS)]
        process = terminal.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("report\n?\n" + "".join(f"in {one}\nout\n" for one in projects))
        process.stdin.flush()
        check(said, list(iter(process.stdout.readline, USAGE)))

        said += [process.stdout.readline() for _ in range(5 * number + 1)]
        process.kill()
        # A line that was cut short was not said.
        said += [line for line in process.stdout.readlines() if line.endswith("\n")]
        process.communicate()
        assert process.returncode == -9
        interrupted += not said[-1].startswith(projects[-1])
    assert interrupted > 2, "it was killed in the middle of nothing"


def check(said: Sequence[str], shown: Sequence[str]) -> None:
    """Compare what was said with what a report shows."""
    begun = [line.removesuffix(": clocked in\n") for line in said if "clocked in" in line]
    ended = dict(line.removesuffix("\n").split(": ") for line in said if "clocked in" not in line)
    reported = dict(re.findall(r"^\d{4}-\d\d-\d\d (\S+) (\S+)$", "".join(shown), re.MULTILINE))
    running = re.findall(r"^since \d\d:\d\d (\S+) ", "".join(shown), re.MULTILINE)

    assert {project: reported.get(project) for project in ended} == ended
    assert set(begun) <= {*reported, *running}
    assert len({*reported, *running} - set(begun)) <= 1
    assert len(set(reported) - set(ended)) <= 1


def test_killed_while_it_begins(terminal: Terminal) -> None:
    """However often its very first start is killed, the next one works."""
    before = time.monotonic()
    terminal.run("report")
    needed = time.monotonic() - before
    shutil.rmtree(terminal.kept)
    for part in range(6, 12):
        with terminal.start("in", "shop") as process:
            try:
                process.wait(part / 12 * needed)
            except subprocess.TimeoutExpired:
                process.kill()
    assert terminal.run("in", "garden").endswith("garden: clocked in\n")
    assert re.fullmatch(r"(.* shop .*\n)?since .* garden .*\n", terminal.run("report"))


def test_a_key_or_a_database_that_is_not_there(terminal: Terminal) -> None:
    """It says what is wrong, begins nothing in its place, and goes on when that is put right."""
    terminal.run("in", "shop")
    for name, excuse in (("secret.key", "secret"), ("sessions.db", "session")):
        terminal.kept.joinpath(name).rename(terminal.folder / name)
        assert excuse in terminal.complaint("out")
        terminal.folder.joinpath(name).rename(terminal.kept / name)
        assert " shop " in terminal.run("report")
