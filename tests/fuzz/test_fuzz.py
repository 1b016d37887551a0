"""The quick form of the fuzz plan: what once broke a target, and some new inputs for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets

import pytest

from tests.fuzz.run import REGRESSIONS, Meter, replay, run
from tests.fuzz.table import ELSEWHERE, NAMED, TARGETS
from tests.fuzz.target import Feed, Fuzz, Target, edited

QUICK = [target for target in TARGETS if target.quick]
SEED = 20_261_122


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
def test_a_target_holds(target: Target, tmp_path: Path) -> None:
    """A few of the cases that `make fuzz` tries without end."""
    meter = run(target, Meter(cases=target.quick, seed=SEED, kept=tmp_path))
    assert meter.failures == []
    assert meter.done == target.quick


def test_what_once_broke_a_target_no_longer_does() -> None:
    """Every input under `regressions` is judged again."""
    for target in TARGETS:
        kept = list(replay(target))
        if kept and target.build is not None:
            check = target.build().check
            for _, data in kept:
                check(data)


def test_every_row_of_the_plan_is_there() -> None:
    """Eighteen rows, each with a target or a place of its own."""
    assert {target.row for target in TARGETS} | ELSEWHERE.keys() == set(range(1, 19))
    assert len(NAMED) == len(TARGETS)
    assert {folder.name for folder in REGRESSIONS.glob("*/")} <= NAMED.keys()


def broken_by(data: bytes) -> None:
    """Judge an input as a target would that has a hole."""
    if b"x" in data:
        raise RuntimeError("a hole")


def hanging(data: bytes) -> None:
    """Judge an input as a target would that has no end."""
    while data:
        pass


def always(data: bytes, check: Callable[[bytes], object]) -> Fuzz:
    """Return a target's works that make one input and no other."""

    def make(dice: Random) -> bytes:
        return data

    return Fuzz(make, check)


def made_of(data: bytes) -> Fuzz:
    """Return a target's works of which all inputs are the same."""
    return always(data, broken_by)


def target_of(fuzz: Fuzz) -> Target:
    """Return a target made of these works."""
    return Target("one", 1, 10, 10, "nothing breaks", build=lambda: fuzz)


def test_a_hole_is_found_and_the_input_kept(tmp_path: Path) -> None:
    """Each failure is told; the input lies there, to be replayed; after three it is enough."""
    target = target_of(made_of(b"a x"))
    meter = run(target, Meter(cases=10, kept=tmp_path / "one"))
    assert meter.done == len(meter.failures) == 3
    assert "a hole" in meter.failures[0]
    assert [data for _, data in replay(target, tmp_path)] == [b"a x"]
    assert run(target_of(made_of(b"a")), Meter(cases=10)).failures == []


def test_an_endless_input_is_a_failure(tmp_path: Path) -> None:
    """It is broken off, told and kept."""
    meter = run(target_of(always(b"a", hanging)), Meter(cases=1, kept=tmp_path, hang=0.02))
    assert len(meter.failures) == 1
    assert "far too long" in meter.failures[0]


def test_time_ends_a_run_too() -> None:
    """Without a number of cases the seconds count."""
    assert run(target_of(made_of(b"a")), Meter(seconds=0.0)).done == 0


def test_a_report_is_plain() -> None:
    """It goes from process to process as JSON, notes included."""
    meter = Meter(cases=1)
    meter.notes["acknowledged writes"] += 7
    report = json.loads(json.dumps(run(target_of(made_of(b"a")), meter).report()))
    assert (report["done"], report["failures"]) == (1, [])
    assert report["notes"] == {"acknowledged writes": 7}


def test_a_game_that_loses_is_a_failure() -> None:
    """A target that counts its own cases fails by what it asserts."""

    def play(meter: Meter) -> None:
        meter.done += 1
        raise AssertionError("torn")

    lost = Target("one", 1, 10, 10, "nothing breaks", play=play)
    assert "torn" in run(lost, Meter(cases=5)).failures[0]


def test_a_feed_reads_decisions() -> None:
    """Each takes a byte or two, and at the end everything is zero."""
    feed = Feed(b"\x05\x01\x00\x02ab")
    assert (feed.number(4), feed.number(1000), feed.text(9)) == (1, 256, "ab")
    assert not feed
    assert (feed.number(9), feed.pick("xyz"), feed.text(5)) == (0, "x", "")


def test_an_edit_changes_little() -> None:
    """Most edits are near what they began with, and nearly all differ from it."""
    dice = Random(1)
    edits = [edited(dice, b"0123456789" * 3) for _ in range(500)]
    assert sum(edit != b"0123456789" * 3 for edit in edits) > 450
    assert sum(b"3456" in edit for edit in edits) > 250
