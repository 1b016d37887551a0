"""Every page does what it says: its programs run, and its consoles print what stands there.

Those that start servers are in `test_in_earnest`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.snippets import ROOT, Workspace, blocks, pages

TUTORIAL = ROOT / "docs" / "tutorial"
_STARTS: Final = re.compile(r"^\$ (flask|uvicorn|gunicorn) ", re.MULTILINE)


def starts_a_server(page: Path) -> bool:
    """Say whether a console of the page does."""
    return any(
        block.language == "console" and not block.shown_only and _STARTS.search(block.text)
        for block in blocks(page)
    )


_QUIET = [
    page
    for page in pages()
    if next(blocks(page), None) is not None
    and page.parent != TUTORIAL
    and not starts_a_server(page)
]


@pytest.mark.parametrize("page", _QUIET, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, workspace: Workspace) -> None:
    """Whoever types what stands on a page, from its top to its end, sees what stands there."""
    workspace.play(page)
