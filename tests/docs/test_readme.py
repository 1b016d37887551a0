"""What README and the other pages of the root say of the project is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.project import ROOT, names_of_tests

README = (ROOT / "README.md").read_text(encoding="utf-8")
_PROMISE = re.compile(r"\| (?P<number>\d) \| \*\*(?P<promise>.+?)\*\*.* \| (?P<proofs>.*) \|")
_LINK = re.compile(r"\[[^]]*\]\((?P<target>[^)\s]+)\)")


def test_every_promise_names_the_tests_that_prove_it() -> None:
    """The table of promises has seven rows, and each names tests that there are."""
    rows = [match for match in map(_PROMISE.fullmatch, README.splitlines()) if match]
    assert [row["number"] for row in rows] == list("1234567")
    for row in rows:
        proofs = re.findall(r"`(\w+)`", row["proofs"])
        assert proofs, row["promise"]
        assert not set(proofs) - names_of_tests(), row["promise"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """What a page of the root links to inside the repository is there."""
    targets = [found["target"] for found in _LINK.finditer(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if not target.startswith(("https://", "#"))]
    assert [target for target in local if not (ROOT / target.partition("#")[0]).is_file()] == []


def test_readme_begins_with_the_two_commands() -> None:
    """Who reads no further knows how to see it and how to try it."""
    first = README.partition("\n## ")[0]
    assert "$ make demo\n$ make test\n" in first


def test_every_page_of_the_site_is_named_in_readme() -> None:
    """Who reads the pages in the repository finds all of them but the reference."""
    kinds = ("how-to", "explanation")
    pages = {f"docs/{path.parent.name}/{path.name}" for kind in kinds for path in _pages(kind)}
    assert pages - set(_LINK.findall(README)) == set()


def test_every_example_is_shown() -> None:
    """README links to each, and the site has its text."""
    site = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    names = [path.name for path in (ROOT / "examples").glob("*.py")]
    assert len(names) >= 5
    for name in names:
        assert f"(examples/{name})" in README
        assert f'--8<-- "examples/{name}"' in site


def _pages(kind: str) -> list[Path]:
    return sorted((ROOT / "docs" / kind).glob("*.md"))
