"""The pages are tried in earnest: what does not run, or prints otherwise, fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT, Workspace, blocks


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of its own, which counts as one of the project's."""
    monkeypatch.setattr("tests.docs.snippets.ROOT", tmp_path)
    return tmp_path / "page.md"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nno_such_name\n```\n", "no_such_name"),
        ("```python\nprint(1)  # 2\n```\n", "page.md:2: prints"),
        ("```perl\nprint 1\n```\n", "nothing tries a block in perl"),
        ("```\nprint(1)\n```\n", "nothing tries a block in no language"),
        ("```json\n{\n```\n", "property name"),
        ("```console\n$ reboot\n```\n", "does not know"),
        ("```console\n$ ls | wc\n```\n", "does not know"),
        ("```console\n$ make coffee\n```\n", "no target"),
        ("```console\n$ pip install 'coatcheck[coffee]'\n```\n", "no extra"),
        ("```console\n$ python -c 'print(1)'\n2\n```\n", "has to print"),
        ('```python title="a.py"\n1 +\n```\n', "invalid syntax"),
        ('```python title="a.py"\n1 / 0\n```\n', "division by zero"),
        ('```python title="test_a.py"\ndef test_it():\n    assert [] == [1]\n```\n', "assert"),
        ("- in a list\n\n    ```python\n    1 / 0\n    ```\n", "division by zero"),
        ("<!-- begin -->\n```python\n1 / 0\n```\n", "division by zero"),
        ("<!-- not run: -->\n```python\n1 / 0\n```\n", "division by zero"),
        ("<!-- not run: why -->\n\nText.\n\n```python\n1 / 0\n```\n", "division by zero"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "old"),
    ],
)
def test_what_is_wrong_on_a_page_fails(
    page: Path, workspace: Workspace, text: str, complaint: str
) -> None:
    """A mistake on a page is found."""
    page.write_text(text, encoding="utf-8")
    with pytest.raises(BaseException, match=complaint):
        workspace.play(page)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1 / 3)  # 0.3...\n```\n",
        "<!-- not run: it would never end -->\n```python\n1 / 0\n```\n",
        "```python\none = 1\n```\n\n```python\nassert one == 1\n```\n",
        "```console\n$ export A=b\n$ python -c \"print('$A')\"\nb\n```\n",
        "```console\n$ A=$(python -c 'print(1)')\n$ python -c \"print('$A')\"\n1\n```\n",
        "```console\n$ python -c 'print(1); print(2); print(3)'\n...\n3\n```\n",
        "```text\nanything\n```\n",
    ],
)
def test_what_is_right_on_a_page_passes(page: Path, workspace: Workspace, text: str) -> None:
    """A page may be written so."""
    page.write_text(text, encoding="utf-8")
    workspace.play(page)


def test_a_block_that_nothing_closes_is_found(page: Path) -> None:
    """Otherwise the rest of the page would be a block."""
    page.write_text("```python\n1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="nothing closes"):
        list(blocks(page))


def test_the_root_is_that_of_the_project() -> None:
    """The pages are looked for where they are."""
    assert (ROOT / "pyproject.toml").is_file()


def test_a_server_that_no_page_has_started_is_missed(tmp_path: Path) -> None:
    """A page cannot visit what it has not told to start."""
    shell = RealShell(tmp_path)
    with pytest.raises(AssertionError, match="nobody is served at port 5000"):
        shell.run("curl http://127.0.0.1:5000/")
    shell.close()
