"""For tests: a clock, counting stores, and the suites that authors of stores and States run."""

from coatcheck.testing.async_store_contract import AsyncStoreContract as AsyncStoreContract
from coatcheck.testing.clock import ManualClock as ManualClock
from coatcheck.testing.counting import AsyncCountingStore as AsyncCountingStore
from coatcheck.testing.counting import CountingStore as CountingStore
from coatcheck.testing.driver import MakeAsyncStore as MakeAsyncStore
from coatcheck.testing.driver import MakeStore as MakeStore
from coatcheck.testing.state_contract import CookieClient as CookieClient
from coatcheck.testing.state_contract import HeaderClient as HeaderClient
from coatcheck.testing.state_contract import StateContract as StateContract
from coatcheck.testing.store_contract import StoreContract as StoreContract
