"""Time, injected: whoever needs the time is given a `Clock`, so that no test sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns the seconds since the epoch (UTC) as a float; `time.time` is the default one."""

system_clock: Clock = time.time
