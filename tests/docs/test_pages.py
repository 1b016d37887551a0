"""Every page does what it says: its programs run, and its consoles print what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, Workspace, blocks, pages

TUTORIAL = ROOT / "docs" / "tutorial"
_ALONE = [
    page for page in pages() if page.parent != TUTORIAL and next(blocks(page), None) is not None
]


@pytest.mark.parametrize("page", _ALONE, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, workspace: Workspace) -> None:
    """Whoever types what stands on a page, from its top to its end, sees what stands there."""
    workspace.play(page)


def test_the_tutorial_does_what_it_says(workspace: Workspace) -> None:
    """The pages of the tutorial go on from each other."""
    tutorial = sorted(TUTORIAL.glob("*.md"))
    for page in tutorial:
        workspace.play(page)
    assert len(tutorial) == 4
