"""Tries schedules of requests on a store, and says how many there were; see the package."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from importlib import import_module

from tests.core.schedules import Broken
from tests.schedules.plays import pairs, replay, try_all, try_random, worlds
from tests.schedules.rotation import STATES, rounds, site_on, try_rounds, walk

HELP = "of an empty one; or redis, postgresql, mariadb: a server that is started for this"
WALK = 400
"""Steps of one random life."""


def main(arguments: list[str] | None = None) -> int:
    """Try all pairs, random triples, rotations; return 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.schedules", description=__doc__)
    parser.add_argument("--store", default="memory://", metavar="URL", help=HELP)
    parser.add_argument("--runs", type=int, default=10_000, help="random schedules of three")
    parser.add_argument("--seed", type=int, default=1, help="of the random ones")
    parser.add_argument("--only", default="", metavar="WORD", help="pairs with that in their name")
    parser.add_argument("--no-pairs", action="store_true", help="random ones only")
    parser.add_argument("--walks", type=int, default=1000, help="lives with rotated IDs; 0: none")
    parser.add_argument("--replay", metavar="TEXT", help="one schedule, as a failure prints it")
    options = parser.parse_args(arguments)
    logger = logging.getLogger("coatcheck")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        return _try(options)
    finally:
        logger.setLevel(before)


def _try(options: argparse.Namespace) -> int:
    if options.store in ("redis", "postgresql", "mariadb"):
        options.store = import_module(f"tests.servers.{options.store}").fresh_url()
    with worlds(options.store) as make:
        if options.replay:
            print(replay(make, options.replay))
            return 0
        began, total = time.monotonic(), 0
        try:
            for play in () if options.no_pairs else pairs(options.only):
                count = try_all(make, play)
                total += count
                print(f"{count:6}  {play.names}")
            if not options.no_pairs:
                print(f"{total:6}  schedules of two requests: all there are, no promise broken")
            different = try_random(make, runs=options.runs, seed=options.seed)
        except Broken as broken:
            print(broken, file=sys.stderr)
            return 1
        print(f"{options.runs:6}  random schedules of three ({different} different, seed")
        print(f"        {options.seed}): no promise broken, {time.monotonic() - began:.0f} s")
    return _rotate(options.store, options.walks, options.seed) if options.walks else 0


def _rotate(url: str, walks: int, seed: int) -> int:
    """Try requests while IDs are rotated; return 1 where somebody was signed out."""
    began, total, rotations = time.monotonic(), 0, 0
    with site_on(url) as site:
        try:
            for state in STATES:
                total += sum(try_rounds(site, state, acts) for acts in rounds())
            for number in range(walks):
                rotations += walk(site, steps=WALK, seed=seed + number)
        except Broken as broken:
            print(broken, file=sys.stderr)
            return 1
    print(f"{total:6}  schedules beside a rotation: all there are, nobody signed out")
    print(
        f"{walks:6}  random lives of {WALK} steps, with {rotations} rotations: nobody signed out,"
    )
    print(f"        no alarm, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
