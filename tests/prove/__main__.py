"""Applies each committed mutation to a copy of the code; fails if the tests let one live.

    python -m tests.prove [--only WORD] [--jobs 2] [--list]

A mutation is killed when one of the tests that it names fails, all of which pass where nothing was
changed. One whose text is no longer found, that keeps the tests from running at all, or makes them
hang, is an error: a proof that proves nothing must not look like one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tests.prove.mutations import LEAST, MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "adapters", "tests", "examples")
TIMEOUT = 60
"""Seconds for which one mutation's tests may run; they take two, on a machine that is not busy."""
PLUGINS = ("anyio", "timeout")
"""The plugins of pytest that the tests need; to load all that are installed takes twice as long."""
PASSED, FAILED = 0, 1
"""Exit statuses of pytest; any other means that no test gave a verdict."""


def faults_of_the_table() -> list[str]:
    """Say what the table lacks, or has twice."""
    names = Counter(mutation.name for mutation in MUTATIONS)
    faults = [f"two mutations are named {name!r}" for name, count in names.items() if count > 1]
    counts = Counter(mutation.subject for mutation in MUTATIONS)
    for subject, least in LEAST.items():
        if counts[subject] < least:
            faults.append(f"{subject!r} has {counts[subject]} mutations, and needs {least}")
    faults += [f"{subject!r} is not in LEAST" for subject in counts.keys() - LEAST.keys()]
    return faults


def copy_of_the_code(folder: Path) -> None:
    """Copy what the tests need into the folder, compiled.

    Each compiled file carries a hash of its source, so that a mutation within the same second, and
    of the same length, is never run as what it was before.
    """
    for name in CODE:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*cache")
        )
    for name in ("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    compiling = ("-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *CODE)
    subprocess.run([sys.executable, *compiling], cwd=folder, check=True)


def run_tests(
    tests: Sequence[str], folder: Path, timeout: float = TIMEOUT
) -> tuple[int | None, str]:
    """Run tests on a copy; return pytest's exit status, `None` after `timeout`, and its output."""
    path = os.pathsep.join(str(folder / name) for name in ("src", "adapters", "."))
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [*command, *(part for plugin in PLUGINS for part in ("-p", plugin)), *tests],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HYPOTHESIS_PROFILE": "ci",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # With what it has started: some tests are about several processes.
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""
    return process.returncode, output


@contextmanager
def mutated(mutation: Mutation, folder: Path) -> Generator[None]:
    """Apply a mutation to a copy, and undo it; raises `ValueError` where its text is not once."""
    target = folder / mutation.file
    original = target.read_text(encoding="utf-8")
    if original.count(mutation.old) != 1:
        raise ValueError(f"its text stands {original.count(mutation.old)} times in {mutation.file}")
    target.write_text(original.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        yield
    finally:
        target.write_text(original, encoding="utf-8")


def verdict(mutation: Mutation, folder: Path) -> str | None:
    """Try one mutation in a copy; return what is wrong, `None` if it was killed."""
    try:
        with mutated(mutation, folder):
            status, output = run_tests(mutation.tests, folder)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    if status == FAILED:
        return None
    if status == PASSED:
        return "it lives: " + " ".join(mutation.tests)
    if status is None:
        return f"its tests were not through after {TIMEOUT} s"
    return f"pytest gave no verdict ({status}):\n{output[-800:]}"


def fault_of_the_tests(mutations: Sequence[Mutation], folder: Path) -> str | None:
    """Run all tests that are named on the code as it is; return what is wrong, if they fail."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    status, output = run_tests(tests, folder, 10 * TIMEOUT)
    return None if status == PASSED else f"tests fail where nothing is changed:\n{output[-2000:]}"


def prove(mutations: Sequence[Mutation], folder: Path, jobs: int) -> int:
    """Try mutations in as many copies as jobs; return how many proved nothing."""
    copies: SimpleQueue[Path] = SimpleQueue()
    copy_of_the_code(folder / "0")
    for job in range(1, jobs):
        shutil.copytree(folder / "0", folder / str(job))
    for job in range(jobs):
        copies.put(folder / str(job))

    def on_a_copy(work: Callable[[Path], str | None]) -> str | None:
        copy = copies.get()
        try:
            return work(copy)
        finally:
            copies.put(copy)

    wrongs = 0
    with ThreadPoolExecutor(jobs) as pool:
        unchanged = pool.submit(on_a_copy, partial(fault_of_the_tests, mutations))
        attempts = [pool.submit(on_a_copy, partial(verdict, mutation)) for mutation in mutations]
        for mutation, attempt in zip(mutations, attempts, strict=True):
            wrong = attempt.result()
            wrongs += wrong is not None
            print(f"{'ALIVE ' if wrong else 'killed'} {mutation.name}", flush=True)
            if wrong:
                print(f"       {wrong}", flush=True)
        fault = unchanged.result()
    if fault:
        wrongs += 1
        print(fault)
    return wrongs


def main() -> int:
    """Try all mutations; return the exit status."""
    parser = argparse.ArgumentParser(description="Prove that the tests bite.")
    parser.add_argument("--only", default="", help="only mutations whose name has this word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="name the mutations, and do nothing")
    options = parser.parse_args()
    faults = faults_of_the_table()
    if faults:
        parser.error("; ".join(faults))
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.name]
    if not chosen:
        parser.error(f"no mutation has {options.only!r} in its name")
    if options.list:
        print("\n".join(mutation.name for mutation in chosen))
        return 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        wrongs = prove(chosen, Path(folder), options.jobs)
    seconds = time.monotonic() - start
    print(f"{len(chosen)} mutations in {seconds:.0f} s, {wrongs} of them wrong")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
