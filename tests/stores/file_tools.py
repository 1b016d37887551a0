"""What the tests of the file store have in common."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coatcheck.store.file import FileStore
from coatcheck.store.protocol import Stored

HOUR = 3600.0
NOBODY = 65534
"""A user who owns nothing."""
KEY, OTHER = "ab" + "0" * 30, "cd" + "f" * 30


def sessions(store: FileStore) -> Path:
    """Return the folder of the records."""
    return Path(store.directory) / "coatcheck" / "sessions"


def file_of(store: FileStore, key: str = KEY) -> Path:
    """Return the file of a record."""
    return sessions(store) / key[:2] / key


def put(store: FileStore, key: str = KEY, payload: bytes = b"payload", **options: Any) -> Stored:
    """Create a record that lives for an hour and return it."""
    deadline = options.pop("expires_at", store.clock() + HOUR)
    assert store.create(key, payload, expires_at=deadline, **{"user_id": None, **options})
    return Stored(1, deadline, payload)


def all_files(folder: Path) -> Iterator[Path]:
    """Yield all that lies below a folder but folders."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def let_others_pass(top: Path, *names: str) -> Path:
    """Let other users look into a folder, and into those below it, one in another."""
    for name in ("", *names):
        top /= name
        top.chmod(top.stat().st_mode | 0o055)
    return top


def forked(work: Callable[[], object], *, user: int | None = None) -> int:
    """Begin a child process that runs `work`, as another user if one is named; return its ID."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if user is not None and os.geteuid() == 0:
            os.setuid(user)
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - the exit status tells
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a child process and return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
