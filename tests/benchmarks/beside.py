"""One run beside the other libraries: with their harness, which is a checkout of its own.

    python -m tests.benchmarks.beside --harness PATH [--python PYTHON] [--out FOLDER] [--brief]

In this order, each part into a file of its own in the folder, and all of it in less than ten
minutes on two quiet cores:

    redis.txt     every peer on Redis beside the raw-socket probes, pinned to one core with the
                  server, wall time, round trips and commands (`run.py`)
    others.txt    memory, files and SQLite, likewise
    servers.txt   uvicorn with uvloop, and gunicorn, one worker each, under wrk (`server.py`); a
                  write there is sixteen connections that change one and the same session: who
                  compares before it writes has to try again, and who does not loses changes
    burst.txt     sixteen requests at once (`--only burst`)
    sql.txt       PostgreSQL and MariaDB beside bare drivers (`--only sql`)

PYTHON is an interpreter that has this project, uvicorn with httptools and uvloop, gunicorn, and the
libraries: Flask-Session, starsessions, Beaker, Litestar and Django. wrk comes from the system
(Debian: apt-get install wrk).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.servers.redis import Server

ON_REDIS: Final = (
    *("coatcheck-*/redis", "lowerbound/*-redis-raw", "flask-session/redis*", "starsessions/redis"),
    *("beaker/redis", "litestar/redis", "django/redis"),
)
"""Sixteen at most, for the databases of a server."""
ELSEWHERE: Final = (
    *("*/memory", "*/file", "*/sqlite"),
    *("lowerbound/*-memory", "lowerbound/*-file", "lowerbound/*-sqlite*"),
)
SERVED: Final = (
    *("bare/starlette", "coatcheck-starlette/redis", "coatcheck-asgi/redis", "starsessions/redis"),
    *("litestar/redis", "lowerbound/starlette-redis-raw"),
    *("bare/flask", "coatcheck-flask/redis", "coatcheck-wsgi/redis", "flask-session/redis"),
    *("beaker/redis", "django/redis", "lowerbound/flask-redis-raw"),
)
CPU: Final = 1


def run(out: Path, name: str, command: Sequence[str], folder: Path | None = None) -> None:
    """Run a program to its end, its output in a file; say how long it took, or that it failed."""
    begun = time.monotonic()
    path = os.pathsep.join((str(terse_wrk(out)), os.environ.get("PATH", os.defpath)))
    with open(out / f"{name}.txt", "w", encoding="utf-8") as file:
        done = subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "PATH": path},
        )
    verdict = "" if done.returncode == 0 else f", failed with {done.returncode}"
    print(f"{name}: {time.monotonic() - begun:.0f} s{verdict}, in {out / name}.txt", flush=True)


def terse_wrk(out: Path) -> Path:
    """Return a folder with a wrk that leaves out a table, in which `89.50%` reads as a median."""
    folder = out / "bin"
    folder.mkdir(exist_ok=True)
    wrk = folder / "wrk"
    real = shutil.which("wrk")
    wrk.write_text(f"#!/bin/sh\n{real or 'false'} \"$@\" | sed '/Thread Stats/,/Req.Sec/d'\n")
    wrk.chmod(0o755)
    return folder


def main() -> None:
    """Read the options, and run all parts one after the other."""
    parser = argparse.ArgumentParser(description="Measure beside other libraries.")
    parser.add_argument("--harness", type=Path, required=True, help="the folder with run.py")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has them all")
    parser.add_argument("--out", type=Path, default=Path("beside"))
    parser.add_argument("--only", help="one part: redis, others, servers, burst, sql")
    parser.add_argument("--brief", action="store_true", help="see whether it runs; worth no more")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rounds = ["--rounds", "2", "--batch-ms", "5"] if options.brief else []
    seconds = ["--seconds", "1" if options.brief else "4", "--repeat", "1"]
    server = Server("databases 16")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(int(server.ask("INFO", "server")["process_id"]), {CPU})
    harness = [options.python, "-W", "ignore"]
    pinned = ["--cpu", str(CPU), "--redis", server.url, *rounds]
    ours = [sys.executable, "-m", "tests.benchmarks", "--only"]
    parts: dict[str, tuple[list[str], Path | None]] = {
        "redis": ([*harness, "run.py", *pinned, "--peers", *ON_REDIS], options.harness),
        "others": ([*harness, "run.py", *pinned, "--peers", *ELSEWHERE], options.harness),
        "servers": (
            [
                *(*harness, "server.py", "--redis", server.url, *seconds),
                *("--scenarios", "read", "new", "write", "--peers", *SERVED),
            ],
            options.harness,
        ),
        "burst": ([*ours, "burst"], None),
        "sql": ([*ours, "sql"], None),
    }
    for name, (command, folder) in parts.items():
        if options.only in (None, name):
            run(options.out.resolve(), name, command, folder)
    server.remove()


if __name__ == "__main__":
    main()
