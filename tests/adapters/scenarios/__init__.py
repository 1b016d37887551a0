"""What must come true behind every adapter and on every store."""

from tests.adapters.scenarios import caching as caching
from tests.adapters.scenarios import ending as ending
from tests.adapters.scenarios import failing as failing
from tests.adapters.scenarios import guards as guards
from tests.adapters.scenarios import identity as identity
from tests.adapters.scenarios import ids as ids
from tests.adapters.scenarios import outages as outages
from tests.adapters.scenarios import reading as reading
from tests.adapters.scenarios import rotation as rotation
from tests.adapters.scenarios import streaming as streaming
from tests.adapters.scenarios import times as times
from tests.adapters.scenarios import travelling as travelling
from tests.adapters.scenarios import writing as writing
from tests.adapters.scenarios.table import SCENARIOS as SCENARIOS
from tests.adapters.scenarios.table import Scenario as Scenario
