"""Where the demo keeps its secret and its sessions: one folder that only you may read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Place:
    """The folder of the demo, and what both sides need from it to have the same sessions."""

    folder: Path
    secret: str
    """Signs the session IDs."""

    @property
    def database(self) -> Path:
        return self.folder / "sessions.db"

    @property
    def store(self) -> str:
        """The store, as a URL."""
        return "sqlite:///" + quote(self.database.as_posix(), safe="/:")


def default_folder() -> Path:
    """Return where programs keep what they can do without: the XDG state directory."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "coatcheck-demo"


def open_place(folder: Path) -> Place:
    """Return the place in that folder, made at the first start and kept from then on."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # in case it was there before; fails if it is somebody else's
    return Place(folder, _kept_secret(folder / "secret.key"))


def _kept_secret(path: Path) -> str:
    """Return the secret in the file; a new secret means that everybody is signed out."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii")
