"""Tortures the stores: many processes on shared sessions, with and without kills.

    python -m tests.torture                            every engine, both ways, 60 s each
    python -m tests.torture --engine redis --seconds 5
    python -m tests.torture --url redis://127.0.0.1/5  a server of your own, and empty

The exit status is 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys

from tests.torture.defects import DEFECTS
from tests.torture.engines import ENGINES
from tests.torture.run import Plan, torture

KILL_EVERY = 5.0
"""Seconds between two kills, unless it is said otherwise."""


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--engine", action="append", choices=ENGINES, help="one or more of ours")
    which.add_argument("--url", help="the URL of an empty server or place, which is not killed")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--kill-every", type=float, metavar="S", help="seconds; 0: kill nothing")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--defect", default="", choices=DEFECTS, help="break the store first")
    given = parser.parse_args()
    every = [0.0, KILL_EVERY] if given.kill_every is None else [given.kill_every]
    clean = True
    for engine in [given.url] if given.url else given.engine or ENGINES:
        for kill_every in [0.0] if given.url else every:
            plan = Plan(
                engine=engine,
                seconds=given.seconds,
                processes=given.processes,
                kill_every=kill_every or None,
                slots=given.sessions,
                seed=given.seed,
                defect=given.defect,
                keep=True,
            )
            report = torture(plan)
            sys.stdout.write(f"{report}\n\n")
            sys.stdout.flush()
            clean &= report.verdict.clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
