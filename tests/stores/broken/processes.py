"""A store that is right within one process, and wrong between several."""

from __future__ import annotations

import json
from pathlib import Path

from coatcheck.clock import system_clock
from coatcheck.store.protocol import Stored
from tests.stores.reference import Backend, Record, ReferenceStore


class CopiedFile(ReferenceStore):
    """Reads its file when it is opened, and writes all of it at each change."""

    def __init__(self, path: Path) -> None:
        super().__init__(Backend(), clock=system_clock)
        self.path = path
        if path.exists():
            for key, version, payload in json.loads(path.read_text()):
                stored = Stored(version, None, bytes.fromhex(payload))
                super().put(key, Record(stored, None))

    def put(self, key: str, record: Record) -> None:
        super().put(key, record)
        rows = [
            (key, record.stored.version, record.stored.payload.hex())
            for (_, key), record in self.backend.records.items()
        ]
        new = self.path.with_suffix(f".{id(self)}")
        new.write_text(json.dumps(rows))
        new.replace(self.path)
