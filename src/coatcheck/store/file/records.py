"""The records of a file store: one file each, a header line and the payload."""

from __future__ import annotations

import os

from coatcheck.clock import Clock
from coatcheck.errors import CorruptRecord
from coatcheck.store.file import header as headers
from coatcheck.store.file.folder import Folder, begin_to_read
from coatcheck.store.file.header import Header
from coatcheck.store.protocol import (
    GARBAGE_AFTER,
    Conflict,
    Gone,
    Stored,
    Updated,
    UpdateOutcome,
    is_key,
    make_stored,
)


class Records:
    """The records in a folder. Whatever the system refuses is an `OSError` here."""

    def __init__(self, folder: Folder, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock

    def get(self, key: str) -> Stored | None:
        """Return the live record; raise `CorruptRecord` for a file not ours or not whole."""
        try:
            return self._read(key)
        except CorruptRecord:
            # A touch writes the header in its place. Whoever reads in the middle of that may see
            # some old and some new bytes, as one read in some thousands does where somebody
            # touches without a pause: the checksum tells, and the lock is held meanwhile.
            with self.folder.locked(key[:2]):
                return self._read(key)

    def create(
        self, key: str, payload: bytes, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1, unless a live record or a file not of ours is there."""
        header = headers.begin(key, payload, expires_at, user_id)
        with self.folder.locked(key[:2]):
            try:
                old = self._header(key)
            except CorruptRecord:
                return False
            if old is not None and self._is_live(old):
                return False
            self.folder.replace(key, headers.encode(header) + payload)
            return True

    def update(
        self, key: str, payload: bytes, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        with self.folder.locked(key[:2]):
            try:
                header = self._header(key)
                if header is None or not self._is_live(header):
                    return Gone()
                if header.version != version:
                    current = self._read(key)
                    return Gone() if current is None else Conflict(current)
            except CorruptRecord:
                return Gone()
            header = headers.follow(header, payload, expires_at)
            self.folder.replace(key, headers.encode(header) + payload)
            return Updated(header.version)

    def touch(self, key: str, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        with self.folder.locked(key[:2]):
            try:
                descriptor = self.folder.open_for_change(key)
                if descriptor is None:
                    return False
                try:
                    header, _ = _split(key, begin_to_read(descriptor))
                    if header.version != version or not self._is_live(header):
                        return False
                    if header.expires_at is not None and header.expires_at < expires_at:
                        # The new line is as long as the old one, and one call writes it. What a
                        # reader sees meanwhile is told in `get`.
                        line = headers.encode(header._replace(expires_at=expires_at))
                        os.pwrite(descriptor, line, 0)
                    return True
                finally:
                    os.close(descriptor)
            except CorruptRecord:
                return False

    def delete(self, key: str) -> tuple[Stored | None, str | None]:
        """Remove a record; return it, if it was live, and whose it was. Leave other files alone."""
        with self.folder.locked(key[:2]):
            try:
                whole = self._whole(key)
            except CorruptRecord:
                whole = None
            if whole is None:
                return None, None
            header, payload = whole
            self.folder.remove(key)
            # With a damaged payload it is ours all the same, and nobody could read it.
            sound = _is_sound(header, payload) and self._is_live(header)
            removed = Stored(header.version, header.expires_at, payload) if sound else None
            return removed, header.user_id

    def lives(self, name: str) -> bool:
        """Say whether a file is a live record."""
        header = self._peek(name)
        return header is not None and self._is_live(header)

    def is_there(self, key: str) -> bool:
        """Say whether there is a file of that name, a live record or not."""
        try:
            return self.folder.read(key, whole=False) is not None
        except CorruptRecord:
            return True

    def is_damaged(self, name: str) -> bool:
        """Say whether a file has the name of a record and is none."""
        if not is_key(name) or self._peek(name) is not None:
            return False
        with self.folder.locked(name[:2]):
            try:
                self._header(name)
            except CorruptRecord:
                return True
        return False

    def is_garbage(self, name: str) -> bool:
        """Say whether a file is a record that expired long ago."""
        return self._is_garbage(self._peek(name))

    def collect(self, name: str) -> tuple[bool, str | None]:
        """Remove a record that expired long ago; say whether it was one, and whose."""
        with self.folder.locked(name[:2]):
            header = self._header(name)
            if header is None or not self._is_garbage(header):
                return False, None
            self.folder.remove(name)
            return True, header.user_id

    def _is_live(self, header: Header) -> bool:
        return header.expires_at is None or self._clock() < header.expires_at

    def _is_garbage(self, header: Header | None) -> bool:
        if header is None or header.expires_at is None:
            return False
        return self._clock() - header.expires_at >= GARBAGE_AFTER

    def _read(self, key: str) -> Stored | None:
        """Return the live record; raise `CorruptRecord` for what is not whole."""
        data = self.folder.read(key)
        if data is None:
            return None
        header, payload = _split(key, data)
        _, expires_at, version, _, _, _ = header
        if expires_at is not None and self._clock() >= expires_at:
            return None
        if not _is_sound(header, payload):
            raise CorruptRecord("the payload in the file is damaged")
        return make_stored((version, expires_at, payload))

    def _whole(self, key: str) -> tuple[Header, bytes] | None:
        """Return what is in a file, live and sound or not; raise `CorruptRecord` without header."""
        data = self.folder.read(key)
        return None if data is None else _split(key, data)

    def _header(self, key: str) -> Header | None:
        """Return the header of a record, live or not, without reading the payload."""
        data = self.folder.read(key, whole=False)
        return None if data is None else _split(key, data)[0]

    def _peek(self, name: str) -> Header | None:
        """Return the header of a record; `None` for whatever is none."""
        if not is_key(name):
            return None
        try:
            try:
                return self._header(name)
            except CorruptRecord:
                # Perhaps a touch was under way, as in `get`.
                with self.folder.locked(name[:2]):
                    return self._header(name)
        except CorruptRecord:
            return None


def _is_sound(header: Header, payload: bytes) -> bool:
    return len(payload) == header.size and headers.checksum(payload) == header.checksum


def _split(key: str, data: bytes) -> tuple[Header, bytes]:
    """Return the header with which a file begins, and what was read of the payload."""
    end = data.find(b"\n", 0, headers.LIMIT)
    if end < 0:
        raise CorruptRecord("the file does not begin with a header")
    return headers.decode(key, data[:end]), data[end + 1 :]
