"""What is no test module and asserts, to see whether that is heeded there; and which mode is on."""

from __future__ import annotations

import os
from typing import Final

MODES: Final = {name: os.environ.get(name) for name in ("PYTHONOPTIMIZE", "PYTHONDEVMODE")}


def expect_equal(one: object, other: object) -> None:
    """Assert, as helpers of tests do."""
    assert one == other
