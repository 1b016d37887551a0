"""What each process did, written down as it does it, so that its death takes nothing with it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Seen:
    """What an operation found in a live session."""

    user: str | None
    born: str | None
    """The name of the session's life: what a `clear` and a sign-in by another user begin anew."""
    keys: Mapping[str, tuple[str, int]]
    """For each key that one writer alone changes: the life it was written in, and the number."""
    count: int


@dataclass(slots=True)
class Operation:
    """One operation, from its begin to its end on the clock that all processes share."""

    kind: str
    begin: float
    writer: str = ""
    handle: str | None = None
    """The session that was asked for."""
    user: str | None = None
    keep: tuple[str, ...] = ()
    born: str | None = None
    """The life that it was about to change, as it was read."""
    wrote: tuple[str, int] | None = None
    """The key and the number that it was about to write."""
    bears: str | None = None
    """The life that it was about to begin."""
    end: float = inf
    result: str = "unknown"
    """`ok`; `none`: no such session; `dropped`: told that it was not done; `unknown`: an error of
    the store; `cancelled`; `error ...`. One that nobody wrote the end of is unknown."""
    seen: Seen | None = None
    new: str | None = None
    """The handle that the session has from now on."""
    listed: tuple[str, ...] = ()


@dataclass
class History:
    """Everything that was written down, and every ID that was handed out."""

    operations: list[Operation] = field(default_factory=list[Operation])
    ids: dict[str, str] = field(default_factory=dict[str, str])
    """For each handle its ID."""
    stats: dict[str, int] = field(default_factory=dict[str, int])


class Journal:
    """Appends to a file, line by line, past every buffer of the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._number = 0

    def begin(self, kind: str, writer: str, **what: Any) -> int:
        """Note that an operation begins; return its number."""
        self._number += 1
        self._write({"i": self._number, "kind": kind, "writer": writer, **what})
        return self._number

    def plan(self, number: int, **what: Any) -> None:
        """Note what it is about to do, before it does so."""
        self._write({"i": number, **what}, time_as=None)

    def end(self, number: int, result: str, **what: Any) -> None:
        """Note that it has ended; an unknown outcome may still come about at any time."""
        known = result not in ("unknown", "cancelled")
        self._write({"i": number, "result": result, **what}, time_as="end" if known else "gave_up")

    def stats(self, numbers: Mapping[str, int]) -> None:
        """Note how often something happened."""
        self._write({"stats": dict(numbers)}, time_as=None)

    def _write(self, what: dict[str, Any], time_as: str | None = "begin") -> None:
        if time_as is not None:
            what[time_as] = time.monotonic()
        os.write(self._file, json.dumps(what).encode() + b"\n")


def read(paths: Iterable[Path]) -> History:
    """Return what several processes have written; a last line cut short by a death is none."""
    history = History()
    for path in paths:
        found: dict[int, Operation] = {}
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue
            entry: dict[str, Any] = json.loads(line)
            for name, number in entry.get("stats", {}).items():
                history.stats[name] = history.stats.get(name, 0) + number
            if "i" in entry:
                _take(history, found, entry)
        history.operations += found.values()
    history.operations.sort(key=lambda operation: operation.begin)
    return history


def _take(history: History, found: dict[int, Operation], entry: dict[str, Any]) -> None:
    number = entry.pop("i")
    entry.pop("gave_up", None)
    session_id = entry.pop("id", None)
    if session_id is not None:
        history.ids[entry["new"]] = session_id
    for name in ("keep", "listed"):
        if name in entry:
            entry[name] = tuple(entry[name])
    if entry.get("wrote"):
        entry["wrote"] = tuple(entry["wrote"])
    if entry.get("seen"):
        user, born, keys, count = entry["seen"]
        entry["seen"] = Seen(user, born, {key: (at, to) for key, (at, to) in keys.items()}, count)
    if number not in found:
        found[number] = Operation(**entry)
        return
    for name, value in entry.items():
        setattr(found[number], name, value)
