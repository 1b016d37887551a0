"""The contract catches every defect that it was written against, and has no case for nothing."""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path
from typing import cast

import anyio
import pytest

from coatcheck.testing import AsyncStoreContract, StoreContract, async_driver
from tests.stores.broken import BROKEN, NARROW
from tests.stores.broken.awaited import BROKEN_AWAITED, AwaitedStore
from tests.stores.broken.processes import CopiedFile
from tests.stores.broken.torn import TORN
from tests.stores.cases import awaited_case, cases_of, failing_awaited, fails, run_case
from tests.stores.reference import ReferenceStore

BETWEEN_PROCESSES = "test_22_no_increment_is_lost_between_processes"
Broken = type[ReferenceStore] | type[AwaitedStore]
ALONE: list[tuple[Broken, str]] = [*NARROW.items(), *TORN.items()]
"""Stores that one case catches and no other."""
TOGETHER: list[tuple[Broken, tuple[str, ...]]] = [*BROKEN_AWAITED.items(), *BROKEN.items()]
"""Stores that several do."""
EVERYWHERE = {"test_32_random_sequences", "test_32_parallel_histories"}
"""The cases that look everywhere: nearly every broken store fails them too, at some length."""
NAMED = sorted({case for cases in BROKEN.values() for case in cases})
AWAITED = sorted(cases_of(AsyncStoreContract) - {BETWEEN_PROCESSES})


def failing(cases: Collection[str], kind: Broken, backend: str = "asyncio") -> set[str]:
    """Return which of the cases of the async contract fail on a store of that kind."""
    if issubclass(kind, ReferenceStore):
        return failing_awaited(cases, kind, backend=backend)
    return failing_awaited(cases, ReferenceStore, wrap=kind, backend=backend)


def name_of(kind: object) -> str:
    """Name a store in the name of a test."""
    return cast("type[object]", kind).__name__


@pytest.mark.parametrize("kind", BROKEN, ids=name_of)
def test_each_defect_is_caught(kind: type[ReferenceStore]) -> None:
    """Every case that is named for a defect fails on the store that has it."""
    assert [case for case in BROKEN[kind] if not fails(case, kind)] == []


@pytest.mark.parametrize("case", NAMED)
def test_the_correct_store_passes(case: str) -> None:
    """What fails on the broken stores passes on the one that they are copies of."""
    assert not fails(case, ReferenceStore)


def test_every_case_has_its_defect() -> None:
    """No case is there that no broken store fails."""
    assert cases_of(StoreContract) == {*NAMED, BETWEEN_PROCESSES}


def test_a_defect_between_processes_is_caught(tmp_path: Path) -> None:
    """Processes that each work on a copy lose what the others have done."""
    opened = functools.partial(CopiedFile, tmp_path / "records.json")

    def kind(*_: object, **__: object) -> CopiedFile:
        return opened()

    with pytest.raises(AssertionError, match="no increment is lost"):
        run_case(BETWEEN_PROCESSES, kind, {}, other_process=opened)
    with pytest.raises(AssertionError, match="no increment is lost"):
        anyio.run(awaited_case(BETWEEN_PROCESSES, kind, {}, other_process=opened))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", BROKEN_AWAITED, ids=name_of)
def test_each_defect_of_an_async_store_is_caught(kind: type[AwaitedStore], backend: str) -> None:
    """Every case that is named for a defect fails on the store that has it, and only there."""
    cases = BROKEN_AWAITED[kind]
    assert failing(cases, AwaitedStore, backend) == set()
    assert failing(cases, kind, backend) == {*cases}


@pytest.mark.parametrize("case", AWAITED)
def test_every_case_of_an_async_store_has_its_defect(case: str) -> None:
    """Each fails on some broken store, and passes on the one that it is a copy of."""
    kinds = [kind for kind, one in ALONE if one == case]
    kinds += [kind for kind, cases in TOGETHER if case in cases]
    assert failing([case], AwaitedStore) == set()
    assert any(failing([case], kind) for kind in kinds)


@pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(kind, case, id=name_of(kind)) for kind, case in ALONE],
)
def test_one_case_catches_it_and_no_other(
    kind: Broken, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that case, a store with such a defect would pass."""
    monkeypatch.setattr(async_driver, "PATIENCE", 0.05)  # so that a busy machine changes nothing
    looked_at = {case, *AWAITED} - (EVERYWHERE - {case})
    assert failing(looked_at, kind) == {case}


def test_every_case_is_needed() -> None:
    """For each there is a store that it catches alone; between processes nothing else looks."""
    assert {*(case for _, case in ALONE), BETWEEN_PROCESSES} == cases_of(AsyncStoreContract)


def test_every_number_of_the_list_is_there() -> None:
    """The cases of a store alone: 1 to 32, 50 (which can be cancelled), and 52 to 59.

    28 is about a verb that there is not. 33 is for caches and 34 to 48 for sessions over a store;
    49 and 51 need a server that goes away.
    """
    numbers = {int(case[5:7]) for case in cases_of(AsyncStoreContract)}
    assert numbers == {*range(1, 33), 50, *range(52, 60)} - {28}
