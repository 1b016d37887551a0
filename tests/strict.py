"""How tests start a pytest of their own."""

from __future__ import annotations

import sys
from typing import Final

_AS_IT_IS: Final = "ignore:assertions not in test modules:pytest.PytestConfigWarning"

PYTEST: Final = (
    *("-m", "pytest", "-W", "error"),
    # Under `python -O` it says that it takes asserts from test modules alone, which is enough.
    *(("-W", _AS_IT_IS) if sys.flags.optimize else ()),
)
"""The arguments for Python with which a warning is an error."""
