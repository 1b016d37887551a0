"""The file store against other users and hostile files: modes, links, pipes, names."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store.file import FileStore
from coatcheck.store.protocol import GARBAGE_AFTER, Gone, Stored
from coatcheck.testing import ManualClock
from tests.stores.file_tools import (
    HOUR,
    KEY,
    NOBODY,
    OTHER,
    all_files,
    ended,
    file_of,
    forked,
    let_others_pass,
    sessions,
)

HOSTILE = (
    "../../etc/passwd",
    "..\\..\\x",
    "/etc/passwd",
    "a/b",
    "",
    ".",
    "..",
    "~root",
    "a\0b",
    "a\nb",
    "CON",
    "a:b",
    "a" * 300,
    "*",
    "$(reboot)",
    "\ud800",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{RIGHT-TO-LEFT OVERRIDE}txt",
)


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the stores go by."""
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[FileStore]:
    """Return a store with one record."""
    store = FileStore(tmp_path / "sessions", timeout=0.1, clock=clock)
    store.create(KEY, b"payload", expires_at=clock() + HOUR, user_id="ann")
    yield store
    store.close()


def mode(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(path.lstat().st_mode)


# Who may read and write


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_sec_75_everything_is_for_its_owner_alone(
    tmp_path: Path, clock: ManualClock, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders are 0700, those above too, and files 0600, whatever the umask."""
    replaced: list[int] = []
    real = os.replace

    def replace(source: str, target: str, **where: Any) -> None:
        replaced.append(stat.S_IMODE(os.stat(source, dir_fd=where["src_dir_fd"]).st_mode))
        real(source, target, **where)

    monkeypatch.setattr(os, "replace", replace)
    before = os.umask(umask)
    try:
        store = FileStore(tmp_path / "var" / "lib" / "sessions", clock=clock)
        store.admit("ann", KEY, limit=None, evict=False)
        store.create(KEY, b"payload", expires_at=None, user_id="ann")
        store.update(KEY, b"new", version=1, expires_at=clock() + HOUR)
        store.touch(KEY, version=2, expires_at=clock() + 2 * HOUR)
        store.claim_purge(600)
        store.close()
    finally:
        os.umask(before)
    paths = list((tmp_path / "var").rglob("*"))
    assert {mode(path) for path in paths if path.is_dir()} == {0o700}
    assert mode(tmp_path / "var") == 0o700
    assert {mode(path) for path in paths if path.is_file()} == {0o600}
    assert set(replaced) == {0o600}
    assert len(replaced) == 4


def test_sec_75_files_are_private_from_the_first_instant(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file that is made is made as 0600, in no way that follows a link."""
    made: list[tuple[int, int]] = []
    real = os.open

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            made.append((mode, flags))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_)
    store.create(OTHER, b"payload", expires_at=None, user_id="ann")
    store.admit("bob", OTHER, limit=None, evict=False)
    assert {mode for mode, _flags in made} == {0o600}
    assert all(flags & os.O_NOFOLLOW and flags & os.O_CLOEXEC for _mode, flags in made)


@pytest.mark.parametrize("permissions", [0o770, 0o777, 0o1777, 0o722, 0o702])
def test_sec_75_a_directory_that_others_may_change_is_refused(
    tmp_path: Path, permissions: int
) -> None:
    """It is a ConfigurationError that names the remedy, and nothing is made in it."""
    directory = tmp_path / "sessions"
    directory.mkdir()
    directory.chmod(permissions)
    with pytest.raises(ConfigurationError, match=f"chmod 700 '{re.escape(str(directory))}'"):
        FileStore(directory)
    assert list(directory.iterdir()) == []
    assert mode(directory) == permissions


@pytest.mark.parametrize("name", ["coatcheck", "coatcheck/sessions", "coatcheck/users"])
def test_a_folder_inside_that_others_may_change_is_refused(store: FileStore, name: str) -> None:
    """What was opened up later is found at the next start."""
    store.close()
    (Path(store.directory) / name).chmod(0o777)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        FileStore(store.directory)


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A directory of another user is a ConfigurationError that says whose it is."""
    if os.geteuid() == 0:
        directory = tmp_path / "sessions"
        directory.mkdir(mode=0o700)
        os.chown(directory, NOBODY, -1)
    else:
        directory = Path("/")
    with pytest.raises(ConfigurationError, match="belongs to the user"):
        FileStore(directory)


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe"])
def test_what_is_no_directory_is_refused(tmp_path: Path, kind: str) -> None:
    """A file, a link or a pipe in the directory's place is a ConfigurationError."""
    path, target = tmp_path / "sessions", tmp_path / "target"
    if kind == "file":
        path.write_bytes(b"")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
        if kind == "link":
            target.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        FileStore(path)
    assert not target.exists() or list(target.iterdir()) == []


@pytest.mark.parametrize("name", ["coatcheck", "coatcheck/sessions", "coatcheck/users"])
def test_a_link_in_a_folder_s_place_is_refused(tmp_path: Path, name: str) -> None:
    """A link inside the directory leads nowhere."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    link = tmp_path / "sessions" / name
    link.parent.mkdir(mode=0o700, parents=True)
    for folder in (link.parent, tmp_path / "sessions"):
        folder.chmod(0o700)
    link.symlink_to(target)
    with pytest.raises(ConfigurationError):
        FileStore(tmp_path / "sessions")
    assert list(target.iterdir()) == []


def test_a_link_in_a_shard_s_place_is_told(store: FileStore, tmp_path: Path) -> None:
    """A link among the shards is a StoreError; nothing is read or written where it leads."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (sessions(store) / OTHER[:2]).symlink_to(target)
    (target / OTHER).write_bytes(file_of(store).read_bytes())
    for call in (
        lambda: store.get(OTHER),
        lambda: store.create(OTHER, b"x", expires_at=None, user_id=None),
        lambda: store.delete(OTHER),
    ):
        with pytest.raises(StoreError, match="is not the folder that the store has made"):
            call()
    assert [path.name for path in target.iterdir()] == [OTHER]


@pytest.mark.parametrize("directory", ["", "a\0b"])
def test_a_path_that_is_none_is_refused(directory: str) -> None:
    """An empty path, or one with NUL in it, is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="must be a path"):
        FileStore(directory)


# What lies in a record's place


def plant_link(path: Path, secret: Path) -> None:
    """Plant a symbolic link to a file of somebody else."""
    path.symlink_to(secret)


def plant_dangling(path: Path, secret: Path) -> None:
    """Plant a symbolic link to nothing."""
    path.symlink_to(secret.with_name("nothing"))


def plant_loop(path: Path, secret: Path) -> None:
    """Plant a symbolic link to itself."""
    path.symlink_to(path)


def plant_hard_link(path: Path, secret: Path) -> None:
    """Plant a second name of a file of somebody else."""
    os.link(secret, path)


def plant_pipe(path: Path, secret: Path) -> None:
    """Plant a named pipe, at which a reader would wait."""
    os.mkfifo(path)


def plant_folder(path: Path, secret: Path) -> None:
    """Plant a folder."""
    path.mkdir()


def plant_socket(path: Path, secret: Path) -> None:
    """Plant a socket."""
    listening = socket.socket(socket.AF_UNIX)
    # A socket's own path may have 108 bytes at most.
    descriptor = os.open(path.parent, os.O_RDONLY)
    listening.bind(f"/proc/self/fd/{descriptor}/{path.name}")
    listening.close()
    os.close(descriptor)


def plant_foreign(path: Path, secret: Path) -> None:
    """Plant a file that another program has written."""
    path.write_bytes(b"coatcheck is not what wrote this\n")


def plant_empty(path: Path, secret: Path) -> None:
    """Plant an empty file."""
    path.touch()


PLANTS: tuple[Callable[[Path, Path], None], ...] = (
    plant_link,
    plant_dangling,
    plant_loop,
    plant_hard_link,
    plant_pipe,
    plant_folder,
    plant_socket,
    plant_foreign,
    plant_empty,
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: str(plant.__name__)[6:])
def test_sec_76_what_is_no_record_is_left_alone(
    store: FileStore, clock: ManualClock, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """Nothing in a record's place is followed, read, waited for, written or removed."""
    secret = tmp_path / "secret"
    secret.write_bytes(file_of(store).read_bytes())
    secret.chmod(0o600)
    content = secret.read_bytes()
    path = file_of(store)
    path.unlink()
    plant(path, secret)
    before, begun = path.lstat(), time.monotonic()
    with pytest.raises(CorruptRecord):
        store.get(KEY)
    assert store.create(KEY, b"new", expires_at=None, user_id=None) is False
    assert store.update(KEY, b"new", version=1, expires_at=None) == Gone()
    assert store.touch(KEY, version=1, expires_at=clock() + 9 * HOUR) is False
    assert store.delete(KEY, user_id="ann") is None
    assert list(store.scan()[0]) == []
    clock.advance(HOUR + GARBAGE_AFTER)
    assert store.purge() == 0
    assert time.monotonic() - begun < 1
    assert secret.read_bytes() == content
    assert not secret.with_name("nothing").exists()
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_size, after.st_nlink) == (
        before.st_ino,
        before.st_mode,
        before.st_size,
        before.st_nlink,
    )


@pytest.mark.parametrize("plant", [plant_link, plant_dangling, plant_hard_link, plant_pipe])
def test_sec_76_what_lies_in_the_way_of_a_write_is_not_written_to(
    store: FileStore, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """A file is written under a name that is made anew, whatever was there."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    plant(file_of(store).parent / "new", secret)
    outcome = store.update(KEY, b"new", version=1, expires_at=None)
    assert outcome == (2,)
    assert store.get(KEY) == Stored(2, None, b"new")
    assert secret.read_bytes() == b"secret"
    assert not secret.with_name("nothing").exists()
    assert not file_of(store).is_symlink()
    assert mode(file_of(store)) == 0o600


@pytest.mark.parametrize("plant", [plant_link, plant_dangling, plant_loop, plant_folder])
def test_a_lock_file_that_is_none_is_told(
    store: FileStore, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """A link or a folder in the place of a lock file is a StoreError, and leads nowhere."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    lock = file_of(store).parent / "lock"
    lock.unlink()
    plant(lock, secret)
    with pytest.raises(StoreError):
        store.update(KEY, b"new", version=1, expires_at=None)
    assert secret.read_bytes() == b"secret"
    assert not secret.with_name("nothing").exists()


# Names


def test_sec_73_a_bad_key_reaches_no_file(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is none is a ValueError before anything is opened."""

    def never(*arguments: object, **options: object) -> int:
        raise AssertionError(f"the system was called with {arguments}")

    for name in ("open", "replace", "unlink", "mkdir", "stat", "listdir"):
        monkeypatch.setattr(os, name, never)
    bad = (*HOSTILE, KEY + "\n", KEY.upper(), "../" + KEY[:29], "/" * 32)
    for key in bad:
        for call in (
            lambda: store.get(key),  # noqa: B023 - called at once
            lambda: store.create(key, b"", expires_at=None, user_id=None),  # noqa: B023
            lambda: store.update(key, b"", version=1, expires_at=None),  # noqa: B023
            lambda: store.touch(key, version=1, expires_at=1.0),  # noqa: B023
            lambda: store.delete(key),  # noqa: B023
            lambda: store.admit("ann", key, limit=1, evict=True),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="32 lower-case hex digits"):
                call()
    monkeypatch.undo()


def test_sec_74_no_text_of_a_user_reaches_a_path(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever users are called, only hex digits and our own names become paths."""
    paths: list[str] = []
    real = os.open

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        paths.append(str(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_)
    for number, user in enumerate(HOSTILE):
        key = f"{number:032x}"
        admitted = store.admit(user, key, limit=3, evict=True)
        assert store.create(key, b"payload", expires_at=None, user_id=user)
        assert store.confirm(user, key, getattr(admitted, "epoch", None) or 0)
        assert [entry.key for entry in store.entries(user)] == [key]
    for number, user in enumerate(HOSTILE):
        assert list(store.revoke(user)) == [f"{number:032x}"]
        assert store.delete(f"{number:032x}") == Stored(1, None, b"payload")
        assert list(store.entries(user)) == []
    allowed = re.compile(r"[0-9a-f]{2}/([0-9a-f]{32}|[0-9a-f]{64}|lock|new)")
    assert [path for path in paths if not allowed.fullmatch(path)] == []
    names = {path.name for path in all_files(Path(store.directory))}
    assert names == {KEY, "lock"}


def test_a_scan_takes_any_cursor(store: FileStore) -> None:
    """A cursor that is no cursor of ours opens nothing and does no harm."""
    for cursor in (*HOSTILE, "zz", "0"):
        keys, after = store.scan(cursor)
        assert set(keys) <= {KEY}
        assert after is None


def test_a_store_that_another_user_made_is_not_ours() -> None:
    """It is refused, whatever its permissions are."""
    with tempfile.TemporaryDirectory() as top:
        directory = let_others_pass(Path(top)) / "sessions"
        FileStore(directory).close()
        directory.chmod(0o755)
        if os.geteuid() != 0:
            directory = Path("/")

        def refuse() -> None:
            with pytest.raises(ConfigurationError, match="belongs to the user 0"):
                FileStore(directory)

        assert ended(forked(refuse, user=NOBODY)) == 0
