"""The IDs that all processes share, as the tabs of one browser share its cookies."""

from __future__ import annotations

import base64
import os
import zlib
from pathlib import Path
from typing import Final

_SLOT: Final = 128
_LENGTH: Final = 68


def handle_of(session_id: str) -> str:
    """Return the handle in a session ID."""
    return base64.urlsafe_b64decode(session_id)[3:19].hex()


class Jar:
    """A file with one ID in each slot."""

    def __init__(self, path: Path, slots: int) -> None:
        self.slots = slots
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def get(self, slot: int) -> str | None:
        """Return the ID in a slot, if there is one."""
        while True:
            found = os.pread(self._file, _LENGTH + 8, slot * _SLOT)
            if not found.strip(b"\0"):
                return None
            session_id, check = found[:_LENGTH], found[_LENGTH:]
            # Another process may be writing.
            if check == b"%08x" % zlib.crc32(session_id):
                return session_id.decode()

    def put(self, slot: int, session_id: str) -> None:
        """Put an ID into a slot."""
        text = session_id.encode()
        os.pwrite(self._file, text + b"%08x" % zlib.crc32(text), slot * _SLOT)
