"""What a store brings with it where it decides itself how a session travels.

Nearly every store keeps records under handles, and the client holds a signed ID. A store that
leaves the record with the client is asked, where an adapter or manager is made, for what takes the
place of that: IDs that carry the record, and the State that they travel by.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from coatcheck.config import SessionConfig
from coatcheck.ids import Identity
from coatcheck.keys import KeyRing
from coatcheck.state.protocol import State


class IDs(Protocol):
    """What makes the IDs that clients hold, and reads them: an `IDSigner`, mostly."""

    def mint(self) -> Identity:
        """Return a new identity."""
        ...

    def sign(self, identity: Identity, /) -> str:
        """Return the ID that the client is to hold."""
        ...

    def verify(self, text: str, /) -> tuple[Identity, bool] | None:
        """Return whose ID it is, and whether it need not be issued anew; `None` for none of ours.

        Never raises for any string.
        """
        ...


class Passage(NamedTuple):
    """How the sessions of one adapter or manager travel."""

    ids: IDs
    state: State
    sign_in_needs: str | None
    """What `login` lacks, where nobody may sign in."""


def brings_passage(store: object) -> bool:
    """Say whether a store leaves the record with the client."""
    return callable(getattr(store, "passage", None))


class BringsPassage(Protocol):
    """A store that leaves the record with the client."""

    def passage(self, config: SessionConfig, keys: KeyRing, namespace: str, /) -> Passage:
        """Return how sessions of that configuration travel; raises `ConfigurationError`."""
        ...
