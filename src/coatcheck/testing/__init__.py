"""For tests: a clock, counting stores, and the suites that authors of stores and States run."""

from coatcheck.testing.clock import ManualClock as ManualClock
from coatcheck.testing.driver import MakeAsyncStore as MakeAsyncStore
from coatcheck.testing.driver import MakeStore as MakeStore
from coatcheck.testing.store_contract import StoreContract as StoreContract
