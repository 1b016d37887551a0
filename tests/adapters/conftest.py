"""What the tests of the adapters have in common."""

import pytest

pytest.register_assert_rewrite("tests.adapters.scenarios", "tests.adapters.site")
