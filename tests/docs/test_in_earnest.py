"""Pages with servers work for whoever types them: each server is a process, as for a reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT, Workspace, blocks, pages
from tests.docs.test_pages import TUTORIAL

_STARTS: Final = re.compile(r"^\$ (flask|uvicorn|gunicorn) ", re.MULTILINE)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty folder in which what a page names is started."""
    space = Workspace(tmp_path, monkeypatch, RealShell)
    yield space
    space.close()


def _starts_a_server(page: Path) -> bool:
    return page.parent != TUTORIAL and any(
        block.language == "console" and not block.shown_only and _STARTS.search(block.text)
        for block in blocks(page)
    )


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if _starts_a_server(page)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_with_servers(page: Path, workspace: Workspace) -> None:
    """README's quick starts, and the guides that start something."""
    workspace.play(page)


def test_the_tutorial(workspace: Workspace) -> None:
    """All four pages, one after the other, in one folder."""
    for page in sorted(TUTORIAL.glob("*.md")):
        workspace.play(page)
