"""The constants of the model, and what else the page shows: as `make bench` printed them.

`make bench ARGS="--only footprint"`, then `flat` (with `--cpu` for what is in the process), `hot`.
The bytes are the same on every machine; times are not, so all of them are from one machine, and
only their relation is to be relied on.
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


@dataclass(frozen=True)
class Flat:
    """Microseconds of a request's store calls beside each number of sessions."""

    ours: tuple[float, ...]
    bare: tuple[float, ...]
    """Those of the engine's bare operations, in the same run."""


FLAT_SIZES: Final = SIZES
FLAT: Final[dict[str, dict[str, Flat]]] = {
    "Redis": {
        "read": Flat((19.75, 19.8, 20.04, 20.92), (17.6, 17.96, 18.56, 18.69)),
        "write": Flat((46.66, 47.46, 46.83, 48.11), (35.32, 36.34, 36.85, 36.49)),
        "new, then deleted": Flat((41.84, 41.71, 42.57, 42.7), (35.94, 35.91, 36.11, 36.94)),
    },
    "PostgreSQL": {
        "read": Flat((104.0, 101.92, 108.76, 127.61), (24.75, 26.55, 27.83, 33.67)),
        "write": Flat((222.49, 224.16, 229.4, 245.72), (60.41, 62.4, 73.95, 85.14)),
        "new, then deleted": Flat((231.24, 235.97, 240.67, 259.93), (57.19, 60.54, 63.34, 74.86)),
    },
    "MariaDB": {
        "read": Flat((153.34, 151.23, 199.21, 154.34), (66.42, 63.59, 80.76, 61.73)),
        "write": Flat((384.66, 354.51, 352.21, 394.24), (125.55, 121.32, 133.01, 125.81)),
        "new, then deleted": Flat((304.44, 309.65, 349.48, 400.73), (83.53, 84.45, 96.8, 90.97)),
    },
    "SQLite": {
        "read": Flat((5.94, 8.0, 9.86, 12.03), (4.27, 5.64, 7.76, 9.87)),
        "write": Flat((19.09, 22.58, 26.06, 27.13), (15.2, 19.07, 19.93, 23.21)),
        "new, then deleted": Flat((28.74, 32.64, 37.91, 35.9), (20.56, 24.98, 32.5, 39.74)),
    },
    "memory": {
        "read": Flat((0.21, 0.44, 0.81, 1.18), (0.07, 0.3, 0.56, 0.97)),
        "write": Flat((1.98, 3.21, 4.45, 5.93), (0.33, 1.09, 1.88, 2.87)),
        "new, then deleted": Flat((2.89, 3.37, 3.4, 3.74), (0.22, 0.28, 0.52, 0.72)),
    },
    "file": {
        "read": Flat((9.21, 9.61, 9.8), (5.0, 5.02, 5.52)),
        "write": Flat((46.43, 46.46, 47.03), (23.8, 24.59, 25.55)),
        "new, then deleted": Flat((54.94, 55.41, 58.55), (21.61, 22.26, 22.9)),
    },
}
"""Of several runs the one whose bare operations took the least, since others worked beside them: of
Redis the second of two, of PostgreSQL the first of two, of MariaDB the first of five."""
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
