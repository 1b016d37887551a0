"""Pages with servers work for whoever types them: each server is a process, as for a reader."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT, Workspace, pages
from tests.docs.test_pages import TUTORIAL, starts_a_server


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty folder in which what a page names is started."""
    space = Workspace(tmp_path, monkeypatch, RealShell)
    yield space
    space.close()


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if page.parent != TUTORIAL and starts_a_server(page)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_with_servers(page: Path, workspace: Workspace) -> None:
    """README's quick starts, and the guides that start something."""
    workspace.play(page)


@pytest.mark.parametrize("curl", [shutil.which("curl"), None], ids=["curl", "stand-in"])
def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curl: str | None) -> None:
    """All four pages, one after the other, in one folder."""
    space = Workspace(tmp_path, monkeypatch, partial(RealShell, curl=curl))
    tutorial = sorted(TUTORIAL.glob("*.md"))
    assert len(tutorial) == 4
    try:
        for page in tutorial:
            space.play(page)
    finally:
        space.close()
