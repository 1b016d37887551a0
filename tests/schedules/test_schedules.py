"""Two requests in every order and three in random ones, on the stores that need no server."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import Conflict, Gone, Updated, UpdateOutcome
from coatcheck.testing.clock import ManualClock
from tests.core.operations import (
    CLEAR,
    DESTROY,
    EXPIRE,
    LOGIN_A,
    LOGOUT,
    READ,
    REGENERATE,
    RENEWALS,
    SAVE_REGENERATE,
    SIGN_INS,
    SIGNED_IN,
    TOUCH,
    WRITE_K1,
    WRITE_K2,
)
from tests.core.schedules import Broken, Operation, Start, World
from tests.schedules.__main__ import main
from tests.schedules.plays import Play, pairs, replay, try_all, try_random, worlds

RUNS = 300
SOME = (
    (READ, LOGOUT),
    (WRITE_K1, WRITE_K2),
    (WRITE_K1, LOGOUT),
    (WRITE_K1, REGENERATE),
    (WRITE_K1, CLEAR),
    (WRITE_K1, EXPIRE),
    (TOUCH, DESTROY),
    (LOGIN_A, LOGOUT),
)


def _names(play: Play) -> str:
    return play.names


# Two that replace the session, in three calls and more: thousands of orders, for `make schedules`.
QUICK = [
    play
    for play in pairs()
    if SAVE_REGENERATE not in play.operations or not {*SIGN_INS, *RENEWALS} >= {*play.operations}
]


@pytest.mark.parametrize("play", QUICK, ids=_names)
def test_sec_32_two_requests_in_every_order(play: Play) -> None:
    """Whatever the order of two requests' store calls, every promise holds."""
    with worlds("memory://") as make:
        assert try_all(make, play) >= 1


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_sec_32_two_requests_in_every_order_on_a_disk(kind: str, tmp_path: Path) -> None:
    """So they hold where sessions lie in files and in SQLite."""
    url = f"file://{tmp_path}/sessions" if kind == "file" else f"sqlite:///{tmp_path}/sessions.db"
    with worlds(url) as make:
        for pair in SOME:
            assert try_all(make, Play(SIGNED_IN, pair, late=EXPIRE in pair)) > 1
        assert try_random(make, runs=RUNS // 5, seed=3) > RUNS // 10


def test_sec_32_three_requests_in_random_orders() -> None:
    """Any three operations, begun and answered late or not, break no promise either."""
    with worlds("memory://") as make:
        assert try_random(make, runs=RUNS, seed=2) > RUNS // 2


class UpsertStore(MemoryStore):
    """Writes what is gone again: destroyed sessions come back."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if isinstance(outcome, Gone):
            self.create(key, payload, expires_at=expires_at, user_id=None)
            return Updated(1)
        return outcome


class LastWriteWinsStore(MemoryStore):
    """Compares no versions: what another request wrote is lost."""

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        outcome = super().update(key, payload, version=version, expires_at=expires_at)
        if isinstance(outcome, Conflict):
            return super().update(
                key, payload, version=outcome.current.version, expires_at=expires_at
            )
        return outcome


def _on(kind: Callable[..., MemoryStore]) -> Callable[[Start], World]:
    clock = ManualClock()
    return lambda start: World(start, clock=clock, place=lambda _: kind(clock=clock))


@pytest.mark.parametrize(
    ("kind", "pair", "what"),
    [
        (UpsertStore, (WRITE_K1, DESTROY), "brought back"),
        (LastWriteWinsStore, (WRITE_K1, WRITE_K2), "is lost, and nobody was told"),
    ],
    ids=["upsert", "last-write-wins"],
)
def test_a_store_that_breaks_a_promise_is_seen_and_the_schedule_can_be_run_again(
    kind: type[MemoryStore], pair: tuple[Operation, ...], what: str
) -> None:
    """What fails says how to see it again."""
    make = _on(kind)
    with pytest.raises(Broken, match=what) as broken:
        try_all(make, Play(SIGNED_IN, pair, late=False))
    found = re.search(r'--replay "([^"]+)"', str(broken.value))
    assert found is not None
    assert what in replay(make, found[1])
    assert what not in replay(_on(MemoryStore), found[1])
    with pytest.raises(Broken):
        try_random(make, runs=2000, seed=1)


def test_the_command_says_how_many_schedules_there_were(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Per pair, in all, and the random ones."""
    run = partial(main, ["--only", "signed-in write-k1,write-k2", "--runs", "5", "--walks", "0"])
    assert run() == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ +[0-9]+  signed-in write-k1,write-k2$", printed, re.MULTILINE)
    assert "5  random schedules of three" in printed
