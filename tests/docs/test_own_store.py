"""The store on the page about writing one keeps the contract, tried as the page tells to."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from coatcheck.testing.store_cases.index import IndexCases
from coatcheck.testing.store_cases.processes import ProcessCases
from coatcheck.testing.store_cases.upkeep import PurgeCases, ScanCases
from tests.docs.snippets import ROOT, Block, blocks

PAGE = ROOT / "docs" / "how-to" / "write-a-store.md"
NAME = "dict_store"


def _module(name: str, block: Block) -> ModuleType:
    """Make a module of a block; its code says that it stands on the page, which contracts trace."""
    module = ModuleType(name)
    module.__file__ = str(PAGE)
    text = "\n" * (block.line - 1) + block.text
    exec(compile(text, str(PAGE), "exec", dont_inherit=True), vars(module))
    return module


_store, *_, _suite = (block for block in blocks(PAGE) if block.language == "python")
_dict_store = sys.modules[NAME] = _module(NAME, _store)
TestDictStore: Any = _module("suite", _suite).TestDictStore
del sys.modules[NAME]
# They would be skipped: the page's store has one process and no capabilities.
for _cases in (IndexCases, PurgeCases, ScanCases, ProcessCases):
    for _name in vars(_cases):
        if _name.startswith("test_"):
            setattr(TestDictStore, _name, None)


@pytest.fixture(autouse=True)
def _imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the module imported while the suite runs, and not while pages do."""
    monkeypatch.setitem(sys.modules, NAME, _dict_store)


def test_the_suite_is_that_of_the_page() -> None:
    """The page's own class is what pytest finds here."""
    assert TestDictStore.__name__ == "TestDictStore"
    assert _suite.shown_only
