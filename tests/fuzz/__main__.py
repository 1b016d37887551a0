"""Runs the fuzz and property plan, and says of each target how many cases it tried.

    python -m tests.fuzz [--minutes 5] [--only WORD] [--jobs 2] [--seed N] [--full] [--list]

Without `--full` the time is shared among the targets; with it, each runs the number of cases that
the plan asks for before a release. Targets of bare bytes run under Atheris too, where that is
installed, with coverage for a guide. An input that breaks a promise is kept under `regressions/`,
where the tests find it ever after. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.run import REGRESSIONS, Meter, replay, run
from tests.fuzz.table import ELSEWHERE, NAMED, TARGETS
from tests.fuzz.target import Target

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds that a target may take longer than it was given, before it counts as hung."""
START = 2.5
"""Seconds that it takes to begin with a target."""
GUIDED_SHARE = 0.3
"""The part of the time that goes to coverage-guided fuzzing."""
_RESULT = "result: "


@dataclass
class Outcome:
    """What became of one target."""

    name: str
    row: int
    done: int = 0
    elapsed: float = 0.0
    failures: list[str] = field(default_factory=list[str])
    notes: dict[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        rate = self.done / self.elapsed if self.elapsed else 0.0
        notes = "".join(f", {name} {number:,}" for name, number in sorted(self.notes.items()))
        return (
            f"{self.row:>3} {self.name:<24} {self.done:>11,} cases {len(self.failures):>3} failed"
            f" {rate:>9,.0f}/s {self.elapsed:>6,.0f} s{notes}"
        )


def child(name: str, cases: int | None, seconds: float | None, seed: int) -> None:
    """Run one target in this process, after what broke it before, and print the outcome."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    target = NAMED[name]
    meter = Meter(cases, seconds, seed, kept=REGRESSIONS / name)
    if target.build is not None:
        check = target.build().check
        for file, data in replay(target):
            try:
                check(data)
            except Exception as error:  # noqa: BLE001 - any of them is a failure
                meter.failures.append(f"regression {file}: {error!r}")
    run(target, meter)
    print(_RESULT + json.dumps(meter.report()))


def command(arguments: list[str], outcome: Outcome, limit: float | None) -> str:
    """Run a part of this in a process of its own; return what it said."""
    path = os.pathsep.join(str(ROOT / name) for name in (".", "src", "adapters"))
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("PYTHONOPTIMIZE", None)
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        outcome.failures.append(f"it was not through after {limit:.0f} s")
        return ""
    finally:
        outcome.elapsed = time.monotonic() - began
    if done.returncode:
        outcome.failures.append(f"exit status {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def random_run(target: Target, seconds: float | None, full: bool, seed: int) -> Outcome:
    """Run a target with inputs of its own making."""
    outcome = Outcome(target.name, target.row)
    cases = target.full if full else None
    limit = None if full or seconds is None else seconds + PATIENCE
    arguments = ["--run", target.name, "--seed", str(seed)]
    arguments += ["--cases", str(cases)] if full else ["--seconds", str(seconds)]
    said = command(["-m", "tests.fuzz", *arguments], outcome, limit)
    for line in said.splitlines():
        if line.startswith(_RESULT):
            found = json.loads(line.removeprefix(_RESULT))
            outcome.done, outcome.elapsed = found["done"], found["elapsed"]
            outcome.failures += found["failures"]
            outcome.notes = found["notes"]
            break
    else:
        outcome.failures.append(f"no result:\n{said[-2000:]}")
    return outcome


def guided_run(target: Target, seconds: float) -> Outcome:
    """Run a target under Atheris, from the corpus of earlier runs."""
    outcome = Outcome(f"{target.name} (guided)", target.row)
    kept = REGRESSIONS / target.name
    kept.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={max(1, round(seconds))}",
        *("-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=20", "-verbosity=1"),
        *("-max_len=4096", f"-artifact_prefix={kept}/"),
    ]
    corpus = ROOT / "build" / "fuzz" / target.name
    arguments = ["-m", "tests.fuzz.guided", target.name, str(corpus), *options]
    said = command(arguments, outcome, seconds + PATIENCE)
    if found := re.search(r"stat::number_of_executed_units: ([0-9]+)", said):
        outcome.done = int(found[1])
    if covered := re.findall(r" cov: ([0-9]+)", said):
        outcome.notes["edges covered"] = int(covered[-1])
    if not outcome.done and not outcome.failures:
        outcome.failures.append(f"no result:\n{said[-2000:]}")
    if not any(kept.iterdir()):
        kept.rmdir()
    return outcome


def run_all(targets: list[Target], options: argparse.Namespace) -> int:
    """Run targets, several at a time, and print how each went; return how many failed."""
    seconds = options.minutes * 60 * options.jobs
    atheris = find_spec("atheris") is not None
    guided = [target for target in targets if target.guided and atheris]
    if not atheris:
        print("Atheris is not installed: nothing is guided by coverage (pip install '.[fuzz]')")
    share = GUIDED_SHARE if guided else 0.0
    seconds = max(0.0, seconds - START * (len(targets) + len(guided))) + len(targets)
    each = seconds * (1 - share) / len(targets)
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting: list[Future[Outcome]] = [
            pool.submit(random_run, target, each, options.full, options.seed) for target in targets
        ]
        waiting += [
            pool.submit(guided_run, target, seconds * share / len(guided)) for target in guided
        ]
        wrong = 0
        for future in waiting:
            outcome = future.result()
            print(outcome, flush=True)
            for failure in outcome.failures:
                print(f"      {failure}".replace("\n", "\n      "), flush=True)
            wrong += bool(outcome.failures)
    for row, where in ELSEWHERE.items():
        print(f"{row:>3} {where}")
    return wrong


def main() -> int:
    """Do what the command line says; return the exit status."""
    if not __debug__:
        raise SystemExit("under -O no check here would check anything")
    parser = argparse.ArgumentParser(description="Run the fuzz and property plan.")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, all together")
    parser.add_argument("--only", default="", help="only targets whose name has this word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--full", action="store_true", help="as many cases as before a release")
    parser.add_argument("--list", action="store_true", help="name the targets, and do nothing")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--cases", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        child(options.run, options.cases, options.seconds, options.seed)
        return 0
    chosen = [target for target in TARGETS if options.only in target.name]
    if not chosen:
        parser.error(f"no target has {options.only!r} in its name")
    if options.list:
        for target in chosen:
            print(f"{target.row:>3} {target.name:<16} {target.full:>11,}  {target.promise}")
        return 0
    print(f"seed {options.seed}", flush=True)
    return 1 if run_all(chosen, options) else 0


if __name__ == "__main__":
    sys.exit(main())
