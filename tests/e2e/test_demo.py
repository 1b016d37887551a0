"""The demonstration, driven against itself."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo"


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration in a process of its own."""
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )


def test_demo_check() -> None:
    """What the demo promises on its pages holds over HTTP, on both sides, for two clients."""
    done = run_demo("--check")
    assert done.returncode == 0, done.stdout
    assert "All as it should be" in done.stdout


def test_taken_port(tmp_path: Path) -> None:
    """Where the port is taken the demo says so, and how to choose another."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_demo("--port", str(port), "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in done.stdout
    assert "Traceback" not in done.stdout


def test_private_data(tmp_path: Path) -> None:
    """The secret and the sessions of the demo are for the eyes of their owner only."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        run_demo("--port", str(other.getsockname()[1]), "--data", str(tmp_path / "data"))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
