"""What all tests share: a mode in which nothing may be skipped, and how hard hypothesis tries.

`COATCHECK_NO_SKIPS=1 make test` makes every skipped test a failed one, by name.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Else `python -O` would take the asserts out of all that is no test module.
_FOLDERS = [path.name for path in Path(__file__).parent.iterdir() if path.is_dir()]
pytest.register_assert_rewrite(*(f"tests.{name}" for name in _FOLDERS if "__" not in name))

# Passed on to the worker processes under another name: what begins with COATCHECK_ is read as a
# setting of sessions.
_NO_SKIPS = os.environ.pop("COATCHECK_NO_SKIPS", os.environ.get("NO_SKIPS", "")) not in ("", "0")
if _NO_SKIPS:
    os.environ["NO_SKIPS"] = "1"

# `HYPOTHESIS_PROFILE=long make test` before a release. No deadline: CI machines stall.
settings.register_profile("short", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("short"), derandomize=True)
settings.register_profile("long", parent=settings.get_profile("short"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "short"))


def pytest_configure(config: pytest.Config) -> None:
    """Look for every ID that is issued in what the suite leaves behind."""
    # Here, so that the product is imported when a test might run, and not for `--help`.
    from tests.leaks import Plugin

    config.pluginmanager.register(Plugin(), "leaks")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped, where nothing may be skipped."""
    report = yield
    return _without_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that was skipped as a whole, where nothing may be skipped."""
    report = yield
    return _without_skip(report)


def _without_skip(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and _NO_SKIPS:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and nothing may be: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers `make test` had to test on."""
    if not getattr(terminalreporter.config.option, "numprocesses", None):
        return
    # Here, because most runs of a few tests need none of them.
    from tests.servers import mariadb, postgresql, redis

    there = {
        "Redis": redis.binary() is not None,
        "PostgreSQL": postgresql.programs() is not None,
        "MariaDB": mariadb.program("mariadbd") is not None,
    }
    words = [name if found else f"no {name}" for name, found in there.items()]
    terminalreporter.write_line(f"servers to test on: {', '.join(words)}")
