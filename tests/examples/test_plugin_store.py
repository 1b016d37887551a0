"""The store in a distribution of its own: installed as anybody would, it is one like the others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.docs.project import ROOT
from tests.strict import PYTEST

PLUGIN = ROOT / "examples" / "plugin_store"


def run(*command: str | Path, folder: Path, **more: str) -> str:
    """Run a command in a folder and return what it prints; fails with it where that fails."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **more}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the distribution, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, *offline, "--target", folder, PLUGIN, folder=folder)
    return folder


def test_the_distribution_names_its_scheme(installed: Path, tmp_path: Path) -> None:
    """`lmdb://` is the URL of a store once it is installed, and none before."""
    program = (
        "from coatcheck import SessionManager\n"
        f"manager = SessionManager(secret='x' * 43, store='lmdb://{tmp_path}/sessions')\n"
        "session_id = manager.create('ada', {'basket': ['hat']}).id\n"
        "print(manager.open(session_id)['basket'], len(manager.sessions_of('ada')))\n"
    )
    said = run(sys.executable, "-c", program, folder=tmp_path, PYTHONPATH=str(installed))
    assert said == "['hat'] 1\n"
    without = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "no store is installed for the scheme 'lmdb'" in without.stderr


def test_it_passes_the_published_suite(installed: Path, tmp_path: Path) -> None:
    """All cases, for it has all capabilities; its tests see the package as it is installed."""
    # Where the system has a folder without a disk to wait for, that is the place for it.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as fast:
        said = run_suite(installed, Path(fast), tmp_path)
    assert re.search(r"^[0-9]{3} passed in ", said, re.MULTILINE), said


def run_suite(installed: Path, temporary: Path, folder: Path) -> str:
    """Run the tests of the distribution, and return what pytest says."""
    pytest_alone = (*PYTEST, "-q", "-p", "no:cacheprovider", "-c", "/dev/null")
    return run(
        sys.executable,
        *pytest_alone,
        *("--basetemp", temporary / "tests", "--rootdir", PLUGIN, PLUGIN),
        folder=folder,
        PYTHONPATH=str(installed),
    )
