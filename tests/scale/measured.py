"""The constants of the model, and what else the page shows: as `make bench` printed them.

`make bench ARGS="--only footprint"`, then `flat`, `hot`. The bytes are the same on every machine;
times are not, so all of them are from one machine, and only their relation is to be relied on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.benchmarks.flat import SIZES
from tests.benchmarks.footprint import Bytes, Cost

MACHINE: Final = (
    "in November 2026 on two virtual cores that had other work too: Python 3.11.7, Valkey 9.1,"
    " PostgreSQL 18, MariaDB 10.11, SQLite 3.40 and files, all of them on a file system in memory"
)

FOOTPRINTS: Final = {
    "Redis": Bytes(165, 1.01, 188),
    "PostgreSQL": Bytes(298, 1.00, 360),
    "MariaDB": Bytes(267, 1.57, 201),
    "SQLite": Bytes(-64, 1.60, 121),
    "file": Bytes(4352, 0.00, 4352),
    "memory": Bytes(335, 1.00, 456),
}

KEY: Final = 528
"""What `MEMORY USAGE` says of a session's name in Redis."""
INDEX: Final = 144
"""And of the name of a user's index with one session."""

COSTS: Final = {
    "Redis": {
        "get": Cost(13.3, 64, 416),
        "update": Cost(22.0, 590, 4),
        "touch": Cost(18.3, 190, 4),
        "create": Cost(12.0, 516, 5),
        "delete": Cost(11.5, 67, 416),
        "admit": Cost(26.8, 192, 41),
        "confirm": Cost(15.8, 144, 4),
    },
    "PostgreSQL": {
        "get": Cost(34.0),
        "update": Cost(52.0),
        "touch": Cost(62.0),
        "create": Cost(50.0),
        "delete": Cost(44.0),
        "admit": Cost(352.0),
        "confirm": Cost(36.0),
    },
    "MariaDB": {
        "get": Cost(58.0),
        "update": Cost(82.0),
        "touch": Cost(76.0),
        "create": Cost(62.0),
        "delete": Cost(80.0),
        "admit": Cost(194.0),
        "confirm": Cost(64.0),
    },
}


@dataclass(frozen=True)
class Purge:
    """How many expired records were removed from among as many live ones."""

    removed: int
    seconds: float
    longest: float
    """Milliseconds of the longest step."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.removed / self.seconds


FLAT_SIZES: Final = SIZES
FLAT: Final[dict[str, dict[str, tuple[float, ...]]]] = {
    "Redis": {
        "read": (20.8, 21.0, 21.9, 21.6),
        "write": (56.6, 52.2, 51.6, 53.7),
        "new, then deleted": (43.4, 42.5, 42.9, 45.6),
    },
    "PostgreSQL": {
        "read": (1064.1, 1551.3, 801.6, 907.0),
        "write": (3257.0, 2827.3, 2597.3, 2320.9),
        "new, then deleted": (2454.3, 1563.4, 2131.6, 2286.0),
    },
    "SQLite": {
        "read": (11.0, 14.1, 19.0, 26.4),
        "write": (32.8, 41.5, 51.7, 45.8),
        "new, then deleted": (35.2, 58.5, 73.7, 83.5),
    },
    "MariaDB": {
        "read": (159.0, 137.2, 140.0, 140.9),
        "write": (366.7, 326.9, 339.7, 345.9),
        "new, then deleted": (314.6, 292.5, 301.8, 296.4),
    },
    "memory": {
        "read": (4.3, 8.1, 8.9, 13.9),
        "write": (18.7, 20.3, 30.0, 44.1),
        "new, then deleted": (24.0, 33.3, 37.2, 45.8),
    },
    "file": {
        "read": (31.4, 11.1, 29.6),
        "write": (157.5, 174.2, 138.6),
        "new, then deleted": (188.4, 188.3, 161.8),
    },
}
PURGES: Final[dict[str, Purge]] = {
    "PostgreSQL": Purge(500000, 71.1, 635),
    "SQLite": Purge(500000, 21.7, 1329),
    "MariaDB": Purge(500000, 106.2, 1029),
    "file": Purge(50000, 13.5, 1592),
}

HOT: Final[dict[str, dict[str, tuple[float, ...]]]] = {
    "Redis": {
        "enter": (91, 82, 93),
        "enter, limited": (102, 205, 17732),
        "list": (22, 98, 63709),
        "read": (58, 112),
        "write": (135, 169),
    },
    "PostgreSQL": {
        "enter": (2404, 2053, 1913),
        "enter, limited": (2888, 3023, 77120),
        "list": (662, 504, 47276),
        "read": (478, 485),
        "write": (614, 1766),
    },
    "MariaDB": {
        "enter": (536, 566, 640),
        "enter, limited": (971, 1224, 164595),
        "list": (231, 692, 220304),
        "read": (477, 187),
        "write": (179, 1110),
    },
    "SQLite": {
        "enter": (66, 62, 65),
        "enter, limited": (70, 162, 15325),
        "list": (16, 170, 31191),
        "read": (15, 23),
        "write": (32, 53),
    },
    "file": {
        "enter": (174, 970, 151547),
        "enter, limited": (159, 1140, 154880),
        "list": (39, 432, 93713),
        "read": (36, 114),
        "write": (174, 391),
    },
}
