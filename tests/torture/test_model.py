"""The model says of a history whether a promise was broken, and which."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.torture import journal
from tests.torture.journal import History, Journal, Operation, Seen
from tests.torture.model import (
    ERROR,
    FOREIGN,
    KINDS,
    LOST,
    LOST_SESSION,
    REVIVED,
    TOLD_WRONG,
    UNLISTED,
    Model,
)

H, NEXT = "a" * 32, "b" * 32
KEY = "w 1"
LIFE = 100.0


def op(kind: str, begin: float, end: float = inf, result: str = "ok", **what: Any) -> Operation:
    """Return an operation on the session `H`, unless it says otherwise."""
    handle = None if kind in ("create", "revoke-user", "list") else H
    made = Operation(kind, begin, "tester", handle, end=end, result=result)
    for name, value in what.items():
        setattr(made, name, value)
    return made


def saw(number: int = 0, count: int = 0, *, born: str = "one", user: str | None = "ann") -> Seen:
    """Return what was found in a live session, with one key of one writer."""
    return Seen(user, born, {KEY: (born, number)} if number else {}, count)


CREATE = op("create", 0, 1, user="ann", bears="one", new=H)
WRITE = op("write", 2, 3, born="one", wrote=(KEY, 7))
READ = op("read", 9, 10, seen=saw(7))
GONE = op("read", 9, 10, "none")
REGENERATE = op("regenerate", 4, 5, born="one", new=NEXT, seen=saw(7))


def found(*operations: Operation, faults: bool = False) -> dict[str, int]:
    """Return how often the model finds what."""
    history = History(sorted(operations, key=lambda one: one.begin))
    verdict = Model(history, lambda time: time, LIFE, faults=faults).check()
    return {kind: len(cases) for kind, cases in verdict.found.items() if cases}


@pytest.mark.parametrize(
    "operations",
    [
        [CREATE, WRITE, READ],
        # What overlaps may come in either order.
        [CREATE, op("write", 2, 9.5, born="one", wrote=(KEY, 7)), op("read", 9, 10, seen=saw())],
        [CREATE, op("write", 2, 9.5, born="one", wrote=(KEY, 7)), READ],
        [CREATE, op("logout", 8, 9.5, born="one"), GONE],
        [CREATE, op("logout", 8, 9.5, born="one"), op("read", 9, 10, seen=saw())],
        [CREATE, op("count", 2, 3, born="one"), op("read", 9, 10, seen=saw(0, 1))],
        # What follows a session is found under its new handle alone.
        [CREATE, WRITE, REGENERATE, op("read", 9, 10, handle=NEXT, seen=saw(7)), GONE],
        [CREATE, op("revoke-user", 4, 5, user="ann"), GONE],
        [CREATE, op("revoke-user", 4, 5, user="ann", keep=(H,)), op("read", 9, 10, seen=saw())],
        [CREATE, op("clear", 4, 5, born="one", bears="two", user="ann"),
         op("read", 9, 10, seen=saw(born="two"))],
        [CREATE, op("list", 9, 10, user="ann", listed=(H,))],
        [CREATE, op("list", 9, 10, user="bob")],
        [CREATE, op("shorten", 2, 3, born="one"), op("read", 150, 151, "none")],
        [CREATE, op("write", 2, 3, "dropped", born="one", wrote=(KEY, 7)),
         op("read", 9, 10, seen=saw())],
    ],
)  # fmt: skip
def test_what_may_be(operations: list[Operation]) -> None:
    """A history in which nothing is wrong is found to be clean."""
    assert found(*operations) == {}


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        (LOST, [CREATE, WRITE, op("read", 9, 10, seen=saw())]),
        (LOST, [CREATE, WRITE, REGENERATE, op("read", 9, 10, handle=NEXT, seen=saw())]),
        (LOST, [CREATE, op("count", 2, 3, born="one"), op("read", 9, 10, seen=saw())]),
        (LOST_SESSION, [CREATE, GONE]),
        (LOST_SESSION, [CREATE, op("shorten", 2, 3, born="one"), GONE]),
        (LOST_SESSION, [CREATE, op("revoke-user", 4, 5, user="bob"), GONE]),
        (LOST_SESSION, [CREATE, op("logout", 11, 12, born="one"), GONE]),
        (REVIVED, [CREATE, WRITE, REGENERATE, READ]),
        (REVIVED, [CREATE, op("logout", 4, 5), op("read", 9, 10, seen=saw())]),
        (REVIVED, [CREATE, op("delete", 4, 5, born="one", handle=NEXT),
                   op("read", 9, 10, seen=saw())]),
        (REVIVED, [CREATE, op("clear", 4, 5, born="one", bears="two", user="ann"),
                   op("read", 9, 10, seen=saw())]),
        (REVIVED, [CREATE, op("revoke-user", 4, 5, user="ann"), op("read", 9, 10, seen=saw())]),
        (REVIVED, [CREATE, op("shorten", 2, 3, born="one"), op("read", 150, 151, seen=saw())]),
        (REVIVED, [CREATE, op("logout", 4, 5), op("list", 9, 10, user="ann", listed=(H,))]),
        (FOREIGN, [CREATE, op("read", 9, 10, seen=saw(born="other"))]),
        (FOREIGN, [CREATE, op("read", 9, 10, seen=saw(user="bob"))]),
        (FOREIGN, [CREATE, op("read", 9, 10, seen=saw(8))]),
        (FOREIGN, [CREATE, op("read", 9, 10, seen=saw(0, 1))]),
        (FOREIGN, [CREATE, WRITE, op("clear", 4, 5, born="one", bears="two", user="ann"),
                   op("read", 9, 10, seen=Seen("ann", "two", {KEY: ("one", 7)}, 0))]),
        (UNLISTED, [CREATE, op("list", 9, 10, user="ann")]),
        (TOLD_WRONG, [CREATE, op("write", 2, 3, "dropped", born="one", wrote=(KEY, 7)), READ]),
        (ERROR, [CREATE, op("read", 9, result="unknown")]),
        (ERROR, [CREATE, op("read", 9, 10, "error KeyError")]),
    ],
)  # fmt: skip
def test_what_must_not_be(kind: str, operations: list[Operation]) -> None:
    """Each promise that a history breaks is found, and nothing else is."""
    assert found(*operations) == {kind: 1}


@pytest.mark.parametrize(
    "operations",
    [
        [CREATE, op("write", 2, result="unknown", born="one", wrote=(KEY, 7)), READ],
        [CREATE, op("write", 2, result="unknown", born="one", wrote=(KEY, 7)),
         op("read", 9, 10, seen=saw())],
        [CREATE, op("count", 2, result="unknown", born="one"), op("read", 9, 10, seen=saw(0, 1))],
        [CREATE, op("logout", 2, result="unknown", born="one"), GONE],
        [CREATE, op("logout", 2, result="unknown", born="one"), op("read", 9, 10, seen=saw())],
        # The first try was carried out, and its answer lost; the second was told of another's.
        [CREATE, op("write", 2, 3, "dropped", born="one", wrote=(KEY, 7)), READ],
    ],
)  # fmt: skip
def test_what_nobody_knows_the_outcome_of(operations: list[Operation]) -> None:
    """Where the server was killed, what was not acknowledged may have happened or not."""
    assert found(*operations, faults=True) == {}


def test_what_was_acknowledged_is_kept_through_kills_too() -> None:
    """A killed server is no excuse for a lost write, a lost session or a revived one."""
    assert found(CREATE, WRITE, op("read", 9, 10, seen=saw()), faults=True) == {LOST: 1}
    assert found(CREATE, GONE, faults=True) == {LOST_SESSION: 1}
    ended = op("destroy", 4, 5, born="one")
    assert set(found(CREATE, ended, READ, WRITE, faults=True)) == {REVIVED}


def test_each_kind_is_found_somewhere() -> None:
    """No kind of finding is one that this module never provokes, but the purge's."""
    provoked = {LOST, LOST_SESSION, REVIVED, FOREIGN, UNLISTED, TOLD_WRONG, ERROR}
    assert set(KINDS) - provoked == {"orphan left after the purge"}


def test_a_journal_survives_its_writer(tmp_path: Path) -> None:
    """What was written is read; an operation without an end is unknown, half a line is none."""
    path = tmp_path / "1.journal"
    notes = Journal(path)
    first = notes.begin("write", "1", handle=H)
    notes.plan(first, born="one", wrote=(KEY, 7))
    notes.end(first, "ok", seen=("ann", "one", {KEY: ("one", 6)}, 2), new=NEXT, id="secret")
    notes.begin("count", "1", handle=H)
    notes.stats({"SessionMerged": 3})
    with path.open("ab") as file:
        file.write(b'{"i": 3, "kind": "re')
    history = journal.read([path])
    one, other = history.operations
    assert (one.kind, one.wrote, one.result, one.new) == ("write", (KEY, 7), "ok", NEXT)
    assert one.seen == Seen("ann", "one", {KEY: ("one", 6)}, 2)
    assert one.begin <= one.end <= other.begin < other.end == inf
    assert other.result == "unknown"
    assert history.ids == {NEXT: "secret"}
    assert history.stats == {"SessionMerged": 3}
