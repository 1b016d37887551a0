"""A time tracker for the command line, on `SessionService`: sessions without any web.

    $ pip install coatcheck
    $ python time_tracker.py in shop
    shop: clocked in
    $ python time_tracker.py in garden
    shop: 0:00:...
    garden: clocked in
    $ python time_tracker.py out
    garden: 0:00:...
    $ python time_tracker.py report
    ... garden 0:00:...
    ... shop 0:00:...

Without a command it reads commands line by line, until the end of its input. It answers when the
change is saved: kill it at any moment, start it again, and the clock is still running. Everything
lies in the folder that the variable `TIME_TRACKER` names, or else in `time-tracker`, where you are.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from coatcheck import ServiceSession, SessionService

FOLDER = Path(os.environ.get("TIME_TRACKER", "time-tracker"))
KEPT = FOLDER / "session-id"
RUNNING = "running"
"""What is being done now: `(project, since when)`. Every other key is a day: `{project: time}`."""
USAGE = "usage: time_tracker.py [in PROJECT | out | report]"


def main(words: list[str]) -> None:
    """Obey the command, or each line of the input."""
    with SessionService(storage_dir=FOLDER, max_size=1_000_000) as service:  # decades of days
        session = open_session(service)
        for command in [words] if words else map(str.split, sys.stdin):
            print("\n".join(obey(command, session)), flush=True)


def open_session(service: SessionService) -> ServiceSession:
    """Return the session of the last run, or the first one ever."""
    if KEPT.exists():
        found = service.get_session(KEPT.read_text())
        if not found.session:  # and nothing is begun in its place: the times may still be there
            sys.exit(found.message)
        return found.session
    begun = service.new_session("time-tracker", session_timeout="indefinite")
    if not begun.session:
        sys.exit(begun.message)
    fresh = KEPT.with_suffix(".new")
    fresh.touch(0o600)  # the ID is a credential
    fresh.write_text(begun.session.session_id())
    fresh.replace(KEPT)  # at once, so that there is never half an ID
    return begun.session


def obey(command: list[str], session: ServiceSession) -> list[str]:
    """Do what the command says, and save it; return what there is to say then."""
    session.refresh()  # another terminal may have been at work
    data = session.get_data().value  # the live data: what is changed here is what is saved
    now = datetime.now(UTC)
    match command:
        case ["in", project]:
            said = [*stop(data, now), f"{project}: clocked in"]
            data[RUNNING] = (project, now)
        case ["out"]:
            said = stop(data, now) or ["nothing is running"]
        case ["report"]:
            said = report(data, now)
        case _:
            said = [USAGE]
    saved = session.save()
    if not saved:
        sys.exit(f"not saved: {saved.message}")
    return said


def stop(data: dict[str, Any], now: datetime) -> list[str]:
    """Add the time since the clock was started to the day on which it was."""
    if RUNNING not in data:
        return []
    project, since = data.pop(RUNNING)
    spent = max(now - since, timedelta())  # clocks are set back at times
    day = data.setdefault(since.astimezone().date().isoformat(), {})
    day[project] = day.get(project, timedelta()) + spent
    return [f"{project}: {whole_seconds(spent)}"]


def report(data: dict[str, Any], now: datetime) -> list[str]:
    """List what was done on each day, and what is being done."""
    lines = [
        f"{day} {project} {whole_seconds(time)}"
        for day, projects in sorted(data.items())
        if day != RUNNING
        for project, time in sorted(projects.items())
    ]
    if RUNNING in data:
        project, since = data[RUNNING]
        lines.append(f"since {since.astimezone():%H:%M} {project} {whole_seconds(now - since)}")
    return lines or ["nothing yet"]


def whole_seconds(time: timedelta) -> timedelta:
    """Leave out the fractions, which nobody bills."""
    return timedelta(seconds=int(time.total_seconds()))


if __name__ == "__main__":
    main(sys.argv[1:])
