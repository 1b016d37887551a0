"""Applies each committed mutation to a copy of the code; fails if the tests let one live.

    python -m tests.prove [--only WORD] [--jobs 2]

A mutation is killed when the tests it names fail. One whose text is no longer found, or that keeps
the tests from running at all, is an error: a proof that proves nothing must not look like one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.prove.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "adapters", "tests", "examples")
TIMEOUT = 120
"""Seconds for which one mutation's tests may run; a mutation that makes them hang is killed."""
PASSED, FAILED = 0, 1
"""Exit statuses of pytest; any other means that no test gave a verdict."""


def copy_of_the_code(folder: Path) -> Path:
    """Copy what the tests need into the folder."""
    for name in CODE:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*cache")
        )
    for name in ("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def verdict(mutation: Mutation, folder: Path) -> str | None:
    """Try one mutation in a copy and undo it; return what is wrong, `None` if it was killed."""
    target = folder / mutation.file
    original = target.read_text(encoding="utf-8")
    if original.count(mutation.old) != 1:
        return f"its text stands {original.count(mutation.old)} times in {mutation.file}"
    target.write_text(original.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        path = os.pathsep.join(str(folder / name) for name in ("src", "adapters", "."))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        finished = subprocess.run(
            [*command, "-o", "addopts=--strict-markers", *mutation.tests],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    finally:
        target.write_text(original, encoding="utf-8")
    if finished.returncode == FAILED:
        return None
    if finished.returncode == PASSED:
        return "it lives: " + " ".join(mutation.tests)
    return f"pytest gave no verdict ({finished.returncode}):\n{finished.stdout[-800:]}"


def main() -> int:
    """Try all mutations, in as many copies as jobs; return the exit status."""
    parser = argparse.ArgumentParser(description="Prove that the tests bite.")
    parser.add_argument("--only", default="", help="only mutations whose name has this word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.name]
    if not chosen:
        parser.error(f"no mutation has {options.only!r} in its name")
    start, alive = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for job in range(options.jobs):
            copies.put(copy_of_the_code(Path(folder, str(job))))

        def attempt(mutation: Mutation) -> tuple[Mutation, str | None]:
            copy = copies.get()
            try:
                return mutation, verdict(mutation, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(options.jobs) as pool:
            for mutation, wrong in pool.map(attempt, chosen):
                alive += wrong is not None
                print(f"{'ALIVE ' if wrong else 'killed'} {mutation.name}", flush=True)
                if wrong:
                    print(f"       {wrong}", flush=True)
    killed = len(chosen) - alive
    print(f"{killed} of {len(chosen)} mutations killed in {time.monotonic() - start:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
