"""For tests: a clock, counting stores, and the suites that authors of stores and States run."""

from coatcheck.testing.clock import ManualClock as ManualClock
