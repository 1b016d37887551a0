"""The fenced blocks of the project's pages, and a place in which a page is tried as it stands.

A reader's way through a page is played in order, in one folder:

- `python` with a title is a file, which is written under that name;
- `python` without one is run, in the namespace of the page; what it prints is compared with the
  comments behind its calls of `print`, if it has any;
- `console` is played by `tests.docs.shell`, and what it prints is compared.

A comment before a block says what is different about it:

- `<!-- not run: reason -->`: the block is shown only;
- `<!-- begin -->`: from here on there is a new folder and a new namespace.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest

from coatcheck.events import logger as _logger
from tests.docs.shell import Shell, output_of, pattern

ROOT: Final = Path(__file__).resolve().parents[2]
SECRET: Final = "JZ4bVY3rE0mXq7T1cWn9uKs5aHd2fGpL8oRxQyN6vBk"
"""What `SECRET_KEY` is in the environment of a page."""

_FENCE: Final = re.compile(
    r"(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*)(?P<info>.*)"
)
_TITLE: Final = re.compile(r'title="([^"]+)"')
_PRINTS: Final = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
_NOT_RUN: Final = re.compile(r"<!-- not run: \S.* -->")
_BEGIN: Final = "<!-- begin -->"
SHOWN: Final = frozenset({"text", "http", "ini", "nginx", "html", "sql"})
"""Languages of blocks that nothing can be tried with."""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    """The number of its first line, without the fence."""
    language: str
    title: str | None
    text: str
    shown_only: bool
    begins: bool

    @property
    def place(self) -> str:
        """Where it stands, for what errors say."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return all pages that have blocks to be tried: those of the root and those of the site."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page; raises `ValueError` for a fence that nothing closes."""
    lines = page.read_text(encoding="utf-8").splitlines()
    said: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        opening = _FENCE.fullmatch(line)
        if opening is None:
            if line.strip().startswith("<!--"):
                said.append(line.strip())
            elif line.strip():
                said.clear()
            continue
        first = number
        while number < len(lines) and lines[number].strip() != opening["fence"]:
            number += 1
        if number == len(lines):
            raise ValueError(f"{page}:{first}: nothing closes this block")
        title = _TITLE.search(opening["info"])
        yield Block(
            page,
            first + 1,
            opening["language"],
            title[1] if title else None,
            textwrap.dedent("\n".join(lines[first:number]) + "\n"),
            any(_NOT_RUN.fullmatch(comment) for comment in said),
            _BEGIN in said,
        )
        number += 1
        said.clear()


class Workspace:
    """The folder in which pages are tried, and the names that their blocks share."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        make_shell: Callable[[Path], Shell] = Shell,
    ) -> None:
        self._root = folder
        self._monkeypatch = monkeypatch
        self._make_shell = make_shell
        self._shells: list[Shell] = []
        monkeypatch.setenv("SECRET_KEY", SECRET)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        self._level = _logger.level
        self.begin()

    def begin(self) -> None:
        """Go to a new folder, and forget all names."""
        self.folder = self._root / str(len(self._shells) + 1)
        self.folder.mkdir()
        self._monkeypatch.chdir(self.folder)
        self._monkeypatch.setattr(sys, "path", [str(self.folder), *sys.path])
        self.shell = self._make_shell(self.folder)
        self._shells.append(self.shell)
        self.names: dict[str, Any] = {"__name__": "page"}

    def play(self, page: Path) -> None:
        """Try a page from its first line to its last."""
        for block in blocks(page):
            if block.begins:
                self.begin()
            self._try(block)
        for file in sorted(self.folder.glob("*.py")):
            if file.stem not in self.shell.used:
                self._test(self.shell.load(file.stem))

    def _test(self, module: ModuleType) -> None:
        """Run the tests in a file of the page, if it is one of tests."""
        if module.__name__.startswith("test_"):
            for name, test in list(vars(module).items()):
                if name.startswith("test_"):
                    test()

    def _try(self, block: Block) -> None:
        if block.shown_only:
            return
        if block.title is not None:
            file = self.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            self.shell.used.discard(file.stem)
            if block.language == "python":
                compile(block.text, block.title, "exec")
        elif block.language == "python":
            # Line breaks before it, so that a traceback names the line of the page.
            text = "\n" * (block.line - 1) + block.text
            code = compile(text, str(block.page), "exec", dont_inherit=True)
            printed = output_of(lambda: exec(code, self.names))
            expected = "".join(f"{line}\n" for line in _PRINTS.findall(block.text))
            if expected and not pattern(expected).fullmatch(printed):
                raise AssertionError(f"{block.place}: prints\n{printed}")
        elif block.language == "console":
            self.shell.play(block.text, block.place)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language not in SHOWN:
            raise AssertionError(
                f"{block.place}: nothing tries a block in {block.language or 'no language'}: write"
                " python or console, or a language of what is only shown (text, ini, ...)"
            )

    def module(self, name: str) -> ModuleType:
        """Return a file of the page as a module, as the page's consoles left it."""
        return self.shell.load(name)

    def close(self) -> None:
        """Forget the modules, and end what the shell has begun."""
        _logger.setLevel(self._level)
        for shell in self._shells:
            shell.close()
