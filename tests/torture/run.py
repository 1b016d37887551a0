"""One run: the processes are started, the server or they are killed, and all is checked."""

from __future__ import annotations

import json
import os
import random  # noqa: TID251 - it is to be repeatable
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from coatcheck import SessionManager
from coatcheck.store import open_store
from coatcheck.store.protocol import GARBAGE_AFTER
from tests.servers.databases import wait_for
from tests.torture import journal
from tests.torture.clock import SharedClock
from tests.torture.doors import SECRET
from tests.torture.engines import ENGINES, Engine, GivenEngine, new_folder
from tests.torture.journal import History, Operation
from tests.torture.model import ERROR, ORPHAN, Model, Verdict
from tests.torture.worker import GO, LIFE, Settings, look

ROOT: Final = Path(__file__).resolve().parents[2]
SPEED: Final = 20.0
"""How much faster than the real clock the application's is, so that much expires in a minute."""
GRACE: Final = 60.0
"""Seconds that a process may take to finish its last operation."""
LONG: Final = 40 * 86_400.0
"""Seconds after which every session has expired."""


@dataclass
class Plan:
    """What is to be done."""

    engine: str
    """One of `ENGINES`, or a URL."""
    seconds: float = 60.0
    processes: int = 8
    kill_every: float | None = None
    """Seconds between two kills; `None`: nothing is killed."""
    slots: int = 300
    users: int = 40
    seed: str = "1"
    defect: str = ""
    keep: bool = False
    """Whether the journals stay where something was found."""


@dataclass
class Report:
    """What came of it."""

    plan: Plan
    verdict: Verdict
    history: History
    kills: int = 0
    away: list[float] = field(default_factory=list[float])
    """For each time that the server was killed, the seconds until it answered again."""
    exits: list[int] = field(default_factory=list[int])
    journals: Path | None = None
    """Where the journals were kept, if something was found."""

    def __str__(self) -> str:
        kinds = Counter(one.kind for one in self.history.operations)
        results = Counter(one.result.partition(" ")[0] for one in self.history.operations)
        stats = self.history.stats
        lines = [
            f"{self.plan.engine}: {self.plan.processes} processes, {self.plan.seconds:g} s,"
            f" {self.kills} kills" + (f" (away {sum(self.away):.1f} s)" if self.away else ""),
            f"operations {sum(kinds.values()):,}: "
            + ", ".join(f"{name} {number:,}" for name, number in kinds.most_common()),
            "results: " + ", ".join(f"{name} {number:,}" for name, number in results.most_common()),
            "events: " + ", ".join(f"{name} {number:,}" for name, number in sorted(stats.items())),
            str(self.verdict),
            *([f"the journals are in {self.journals}"] if self.journals else []),
        ]
        return "\n".join(lines)


def torture(plan: Plan) -> Report:
    """Do what the plan says; must be called in the main thread, with which the servers end."""
    folder = new_folder()
    try:
        engine = (
            ENGINES[plan.engine](folder) if plan.engine in ENGINES else GivenEngine(plan.engine)
        )
        try:
            report = _Run(plan, engine, folder).carry_out()
        finally:
            engine.remove()
        if plan.keep and not report.verdict.clean:
            report.journals = Path(tempfile.mkdtemp(prefix="coatcheck-journals-"))
            for path in folder.glob("*.journal"):
                shutil.copy(path, report.journals)
        return report
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(self, plan: Plan, engine: Engine, folder: Path) -> None:
        self.plan = plan
        self.engine = engine
        self.folder = folder
        self.clock = SharedClock(time.monotonic(), SPEED)
        self.until = 0.0
        self.random = random.Random(plan.seed)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.started = 0
        self.report = Report(plan, Verdict(), History())

    def carry_out(self) -> Report:
        """Run it, then check it."""
        for _ in range(self.plan.processes):
            self.workers.append(self._start())
        try:
            self._begin()
            self._kill_now_and_then()
            for worker in self.workers:
                self.report.exits.append(worker.wait(self.plan.seconds + GRACE))
        finally:
            for worker in self.workers:
                worker.kill()
                worker.wait()
        self._check()
        return self.report

    def _start(self) -> subprocess.Popen[bytes]:
        self.started += 1
        settings = Settings(
            number=self.started - 1,
            url=self.engine.url,
            folder=str(self.folder),
            slots=self.plan.slots,
            users=self.plan.users,
            started=self.clock.started,
            speed=SPEED,
            seed=self.plan.seed,
            defect=self.plan.defect,
        )
        return subprocess.Popen(
            [sys.executable, "-m", "tests.torture.worker", json.dumps(asdict(settings))],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
        )

    def _begin(self) -> None:
        """Let all processes begin at once, for to start them takes seconds on a busy machine."""
        wait_for(lambda: len(list(self.folder.glob("*.ready"))) == len(self.workers))
        self.until = time.monotonic() + self.plan.seconds
        (self.folder / "go.new").write_text(repr(self.until))
        (self.folder / "go.new").rename(self.folder / GO)

    def _kill_now_and_then(self) -> None:
        every = self.plan.kill_every
        while every is not None:
            wait = every * (0.7 + 0.6 * self.random.random())
            if time.monotonic() + wait > self.until - every / 2:
                return
            time.sleep(wait)
            # Every third time a process of ours, and always where there is no server.
            if self.engine.serves and self.report.kills % 3 != 2:
                begun = time.monotonic()
                self.engine.kill()
                self.report.away.append(time.monotonic() - begun)
            else:
                place = self.random.randrange(len(self.workers))
                self.workers[place].kill()
                self.workers[place].wait()
                self.workers[place] = self._start()
            self.report.kills += 1

    def _check(self) -> None:
        report, faults = self.report, self.report.kills > 0
        report.history = history = journal.read(sorted(self.folder.glob("*.journal")))
        store: Any = open_store(self.engine.url, clock=self.clock)
        manager = SessionManager(store=store, secret=SECRET, clock=self.clock)
        for handle, session_id in list(history.ids.items()):
            begin = time.monotonic()
            session = manager.open(session_id)
            seen = None if session is None else look(session)
            one = Operation("read", begin, "the end", handle, end=time.monotonic())
            one.result = "none" if seen is None else "ok"
            if seen is not None:
                user, born, keys, count = seen
                one.seen = journal.Seen(
                    user, born, {key: (at, number) for key, (at, number) in keys.items()}, count
                )
            history.operations.append(one)
        model = Model(history, self.clock.at, LIFE, faults=faults)
        report.verdict = model.check()
        for number in report.exits:
            if number:
                report.verdict.add(ERROR, f"a process ended with {number}")
        if not any(one.result == "ok" and one.wrote for one in history.operations):
            report.verdict.add(ERROR, "nothing was written in all the time")
        if not isinstance(self.engine, GivenEngine):
            self._check_orphans(store, manager)
        store.close()

    def _check_orphans(self, store: Any, manager: SessionManager) -> None:
        """After a purge every entry of the index has its record; after the last one none is left.

        Whoever was killed may have left an entry without a record, which goes after two minutes.
        """
        verdict = self.report.verdict
        users = sorted({one.user for one in self.report.history.operations if one.user is not None})
        self.clock.ahead += 2 * GARBAGE_AFTER
        manager.purge_expired()
        for user in users:
            for entry in store.entries(user):
                if store.get(entry.key) is None:
                    verdict.add(ORPHAN, f"{entry.key} in the index of {user}")
        for user in users:
            manager.revoke_user(user)
            verdict.found[ORPHAN] += [f"{entry} of {user}" for entry in store.entries(user)]
        self.clock.ahead += LONG
        manager.purge_expired()
        keys, cursor = store.scan(None)
        while cursor is not None and not keys:
            keys, cursor = store.scan(cursor)
        if keys:
            verdict.add(ORPHAN, f"{len(keys)} records outlive everything")
        for what, number in self.engine.left().items():
            if number:
                verdict.add(ORPHAN, f"{number} {what}")
