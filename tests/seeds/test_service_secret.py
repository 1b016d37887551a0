"""The secret that a program makes for itself and keeps in a file."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck.errors import ConfigurationError
from coatcheck.keys import is_weak
from coatcheck.service.secret import LONGEST, NAME, kept_secret


def test_it_is_made_once(tmp_path: Path) -> None:
    """It is strong, for its owner alone, and the same for ever; nothing else is left behind."""
    before = os.umask(0)
    try:
        secret = kept_secret(str(tmp_path / "in" / "here"))
    finally:
        os.umask(before)
    assert not is_weak(secret)
    assert kept_secret(str(tmp_path / "in" / "here")) == secret
    (path,) = (tmp_path / "in" / "here").iterdir()
    assert path.name == NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "in").stat().st_mode) == 0o700
    assert kept_secret(str(tmp_path)) != secret


def test_programs_that_begin_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever links the file first wins, also where all found none."""
    barrier = threading.Barrier(4, timeout=30)
    link = os.link

    def link_together(source: str, target: str) -> None:
        barrier.wait()
        link(source, target)

    monkeypatch.setattr(os, "link", link_together)
    secrets: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: secrets.append(kept_secret(str(tmp_path))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert secrets == [kept_secret(str(tmp_path))] * 4
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31 + b"\n\n\n", b"x" * (LONGEST + 1)])
def test_a_file_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is left as it is, and the message says what to do."""
    path = tmp_path / NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="restore it, or remove it"):
        kept_secret(str(tmp_path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Who can read it can forge IDs, and who can write it knows it."""
    kept_secret(str(tmp_path))
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        kept_secret(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """They know it."""
    kept_secret(str(tmp_path))
    os.chown(tmp_path / NAME, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to the user 65534"):
        kept_secret(str(tmp_path))


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    (path.parent / "elsewhere").write_bytes(b"x" * 64)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("make", [_link, os.mkdir, _pipe])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A link, which somebody may have planted, a folder, a pipe: without waiting, and at once."""
    make(tmp_path / NAME)
    with pytest.raises(ConfigurationError, match=r"secret=\.\.\."):
        kept_secret(str(tmp_path))


def test_a_disk_that_is_full_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next program finds no half of a secret."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            kept_secret(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert len(kept_secret(str(tmp_path))) >= 32
