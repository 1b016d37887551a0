"""What the contract does where a store lacks something: nothing passes silently."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest

from coatcheck.drivers import Blocking
from coatcheck.store.protocol import Store
from coatcheck.testing import AsyncStoreContract, StoreContract
from coatcheck.testing.driver import SteppedDriver
from coatcheck.testing.store_cases.processes import skip_without

BARE = Blocking(cast(Store, object()))


class Silent(StoreContract):
    """Says nothing of capabilities."""


class Promising(StoreContract):
    """Promises all."""

    capabilities = frozenset[Any]({"index", "purge", "scan", "enrol"})


class Modest(StoreContract):
    """Promises none."""

    capabilities = frozenset[Any]()


class OneObject(StoreContract):
    """Cannot open its records a second time."""

    reopens = False


class AsyncOneObject(AsyncStoreContract):
    """Cannot open its records a second time."""

    reopens = False


@pytest.mark.parametrize("method", ["index", "purges", "scans", "enrols"])
def test_a_promised_capability_that_is_missing_fails(method: str) -> None:
    """It fails, and says what to write."""
    with pytest.raises(pytest.fail.Exception, match="Promising.capabilities promises"):
        getattr(Promising(), method)(SteppedDriver(), BARE)


@pytest.mark.parametrize("method", ["index", "purges", "scans", "enrols"])
def test_an_unpromised_capability_that_is_missing_skips(method: str) -> None:
    """It skips, and says what to write."""
    with pytest.raises(pytest.skip.Exception, match=r"write its methods and add '\w+'"):
        getattr(Modest(), method)(SteppedDriver(), BARE)


@pytest.mark.parametrize("method", ["index", "purges", "scans"])
def test_who_says_nothing_promises_what_stores_have(method: str) -> None:
    """An index, a purge and a scan."""
    with pytest.raises(pytest.fail.Exception, match="Silent.capabilities promises"):
        getattr(Silent(), method)(SteppedDriver(), BARE)


def test_who_says_nothing_promises_no_enrolment() -> None:
    """No store needs it."""
    with pytest.raises(pytest.skip.Exception, match="the store has no Enrols"):
        Silent().enrols(SteppedDriver(), BARE)


def test_without_another_process_the_case_skips() -> None:
    """It skips, and says which fixture to write."""
    with pytest.raises(pytest.skip.Exception, match=r"no fixture `other_process`.*partial"):
        skip_without(None, Modest())


@pytest.mark.parametrize("contract", [OneObject, AsyncOneObject])
def test_a_store_of_one_object_has_fewer_cases(contract: type[object]) -> None:
    """Cases that open the records again are not there where that was ruled out."""
    left_out = {name for name in dir(contract) if name.startswith("test_")}
    left_out -= {name for name in left_out if callable(getattr(contract, name))}
    assert left_out == {
        "test_09_what_is_stored_stays",
        "test_10_two_stores_are_one",
        "test_17_clocks_of_two_machines",
        "test_22_no_increment_is_lost_between_processes",
        "test_55_what_is_stored_stays",
        "test_58_what_is_enrolled_stays",
        "test_57_scan_goes_on_elsewhere",
    }


def test_both_contracts_have_the_same_cases() -> None:
    """An async store has the cases of a blocking one, awaited, and one of its own."""
    blocking = {name for name in dir(StoreContract) if name.startswith("test_")}
    awaited = {name for name in dir(AsyncStoreContract) if name.startswith("test_")}
    assert awaited - blocking == {"test_50_cancelled_update"}
    assert not blocking - awaited
    for name in blocking:
        assert not inspect.iscoroutinefunction(getattr(StoreContract, name))
        is_sync = name == "test_52_use_after_fork"
        assert inspect.iscoroutinefunction(getattr(AsyncStoreContract, name)) is not is_sync


@pytest.mark.parametrize("contract", [StoreContract, AsyncStoreContract])
def test_every_case_says_what_it_demands(contract: type[object]) -> None:
    """Each case has a number in its name and one sentence for a docstring."""
    for name in dir(contract):
        if name.startswith("test_"):
            assert name[5:7].isdigit(), name
            sentence = (getattr(contract, name).__doc__ or "").strip().splitlines()[0]
            assert sentence.endswith("."), name
