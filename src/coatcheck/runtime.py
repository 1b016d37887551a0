"""What the lifecycle works with: configuration, store, keys, codec, State, clock and events.

Made once by each adapter or manager. `Runtime.blocking` serves synchronous programs, in which the
lifecycle's coroutines never suspend; `Runtime.awaiting` serves programs with an event loop.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property, partial
from math import inf
from typing import Any, Final, TypeVar, cast

from coatcheck import drivers
from coatcheck.aead import Undecipherable
from coatcheck.codecs import BinaryCodec, Codec, JSONCodec
from coatcheck.config import SessionConfig
from coatcheck.csrf import CSRFTokens
from coatcheck.errors import ConfigurationError, CorruptRecord, SessionSealed
from coatcheck.events import DecryptFailed, Emitter, RecordCorrupt
from coatcheck.ids import Identity, IDSigner
from coatcheck.keys import KeyRing
from coatcheck.layout import pack, unpack
from coatcheck.passage import BringsPassage, Passage, brings_passage
from coatcheck.record import UNREADABLE, Content, Record, SealedRecord
from coatcheck.sealer import Sealer
from coatcheck.sealing import Sealing
from coatcheck.shapes import AnyStore, Shape, awaited, is_async, never_suspending
from coatcheck.state import CookieState
from coatcheck.store.memory import MemoryStore
from coatcheck.store.protocol import DEFAULT_NAMESPACE, Store
from coatcheck.store.urls import open_async_store, open_store

T = TypeVar("T")

_CUSTOM, _BINARY, _JSON = 0, 1, 2
MAX_CONFLICT_SECONDS: Final = 2.0
"""How long a save keeps retrying while other requests change the same session."""


async def _unshielded(work: Coroutine[Any, Any, T], /) -> T:
    """The counterpart of `drivers.shield` for work that never suspends, and so is not cancelled."""
    return await work


class Runtime:
    """Everything that is the same for all sessions of one adapter or manager."""

    def __init__(
        self,
        config: SessionConfig,
        shape: Shape,
    ) -> None:
        self.config = config
        self.shape = shape
        self.wrapped = store = shape.given
        """The store as it was given."""
        self.store = shape.store
        """The store in the shape of an async one."""
        self.opens_inline: bool = getattr(shape.store, "get_never_suspends", False)
        """Whether a session can be opened without suspending, and so at its first touch."""
        blocking = shape.blocking
        self.get_now = None if blocking is None else blocking.get
        """The store's `get` where it returns what it found, and no coroutine."""
        self.blocks = blocking is not None
        """Whether no call suspends, so that a coroutine can be stepped to its end at once."""
        self.shield: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]] = (
            _unshielded if self.blocks else drivers.shield
        )
        self.namespace = _namespace(config, store)
        self.clock = config.clock
        self.emit = Emitter(config.on_event, config.clock)
        self.slides = config.slide
        self._interval = config.touch_interval
        brings: BringsPassage | None = cast("Any", store) if brings_passage(store) else None
        needs_strong = type(store).__name__ if brings else "encrypt" if config.encrypt else None
        self.keys = KeyRing(config.secret, config.old_secrets, strong_for=needs_strong)
        self.in_client = brings is not None
        """Whether the record itself is with the client, so that what is written must reach it."""
        self.signer, self.state, self.sign_in_needs = (
            _passage(config, self.keys, self.namespace)
            if brings is None
            else brings.passage(config, self.keys, self.namespace)
        )
        self.rotates = config.rotate_every is not None and self.state.sends
        """Whether the secret halves of IDs are replaced from time to time."""
        self.rotate_every = config.rotate_every or inf
        self.vary = ", ".join(self.state.vary)
        self.codec, self.codec_number = _codec(config, store)
        self._codecs: dict[int, Codec] = {
            _BINARY: BinaryCodec(config.types),
            _JSON: JSONCodec(config.types),
        }
        self._codecs[self.codec_number] = self.codec
        self.decode: Callable[[bytes], dict[str, Any]] = getattr(
            self.codec, "decode_own", self.codec.decode
        )
        """Decodes the data of a record, whose checksum was right."""
        self.is_encoding_of: Callable[[bytes, Mapping[str, Any]], bool] = getattr(
            self.codec, "is_encoding_of", partial(Codec.is_encoding_of, self.codec)
        )
        """Says whether data is what those bytes are the encoding of."""
        self.pack: Callable[[Content], bytes] = partial(pack, text=self.codec_number == _JSON)
        """Turns a record or tombstone into a payload, in the layout that goes with the codec."""
        self.sealer: Sealer | None = None
        """Encrypts data; `None`: nobody does."""
        if config.encrypt:
            by_client = config.encrypt == "sealed"
            self.sealer = Sealer(self.keys, self.namespace, by_client=by_client)
            self.pack = partial(self.sealer.pack, text=self.codec_number == _JSON)
        self.empty = self.codec.encode({})
        self.persistent = True
        """Whether the client keeps the ID of a new session when it closes."""
        self.index, self.purges, self.scans = shape.users, shape.purges, shape.scans
        self.enrols = shape.enrols
        if config.max_sessions_per_user is not None and self.index is None:
            raise _needs_index("max_sessions_per_user", store)
        if config.rotate_every is not None and config.on_theft == "revoke-user" and not self.index:
            raise _needs_index("on_theft='revoke-user'", store)
        if config.rotate_every is not None and self.in_client:
            raise ConfigurationError(
                f"rotate_every has no effect with {type(store).__name__}, whose cookie is the"
                " session itself: leave it out"
            )

    @classmethod
    def blocking(cls, config: SessionConfig, store: AnyStore | str | None = None) -> Runtime:
        """Make the runtime of a synchronous program.

        Raises `ConfigurationError` for a store that must be awaited.
        """
        if store is None:
            store = _default_store(config)
        opened = (
            open_store(store, clock=config.clock, **_own_namespace(config))
            if isinstance(store, str)
            else store
        )
        if is_async(opened):
            raise ConfigurationError(
                f"{type(opened).__name__} must be awaited, and this program is synchronous: give"
                " the blocking store instead, for example by its URL"
            )
        return cls(config, never_suspending(cast("Store", opened)))

    @classmethod
    def awaiting(cls, config: SessionConfig, store: AnyStore | str | None = None) -> Runtime:
        """Make the runtime of a program with an event loop.

        A blocking store is called in threads, unless it says that it `never_blocks`.
        """
        if store is None:
            store = _default_store(config)
        opened = (
            open_async_store(store, clock=config.clock, **_own_namespace(config))
            if isinstance(store, str)
            else store
        )
        return cls(config, awaited(opened))

    @cached_property
    def csrf(self) -> CSRFTokens:
        """What makes and checks CSRF tokens; made when one is asked for, since few ever are."""
        return CSRFTokens(self.keys, self.namespace)

    def read(self, handle: str, payload: bytes) -> Content | None:
        """Return what a payload means; `None` for what is no record of ours, which is an event."""
        try:
            return unpack(payload)
        except CorruptRecord as error:
            self.report(handle, error)
            return None

    def opened(self, record: Record, identity: Identity, known: Sealing | None = None) -> Record:
        """Return a record as it was read with its data decrypted; raises `Undecipherable`.

        There is no fallback: a plain record is none where data is encrypted, nor the other way
        round. `known` is the session's sealing, where it was opened before.
        """
        if self.sealer is not None:
            return self.sealer.open(record, identity, known)
        if isinstance(record, SealedRecord):
            raise Undecipherable("the data is encrypted, and `encrypt` is off")
        return record

    def understood(
        self, payload: bytes, identity: Identity, known: Sealing | None = None
    ) -> Content:
        """Return what a payload means, with its data; raises `CorruptRecord`, as `opened` does."""
        content = unpack(payload)
        return self.opened(content, identity, known) if isinstance(content, Record) else content

    def report(self, handle: str, error: CorruptRecord) -> None:
        """Tell that what lies under a handle is no session."""
        kind = DecryptFailed if isinstance(error, Undecipherable) else RecordCorrupt
        self.emit(kind(handle, str(error)))

    def codec_of(self, number: int) -> Codec:
        """Return the codec that records name by that number; raises `CorruptRecord`."""
        try:
            return self._codecs[number]
        except KeyError:
            if number == UNREADABLE:
                raise SessionSealed from None
            raise CorruptRecord(f"the data is in codec {number}, which is not known") from None

    def data_of(self, record: Record) -> bytes:
        """Return the record's data in this runtime's codec; raises `CorruptRecord`."""
        codec = self.codec_of(record.codec)
        return record.data if codec is self.codec else self.codec.encode(codec.decode(record.data))

    def same_sessions(self, other: Runtime) -> bool:
        """Say whether both runtimes serve the same sessions: one namespace on one store."""
        if self.namespace != other.namespace:
            return False
        return self.shape.place == other.shape.place

    def touch_interval(self, idle: float) -> float:
        """Return how many seconds lie between two touches of a session with that idle timeout."""
        if self._interval is not None:
            return self._interval
        return 60.0 if idle >= 600.0 else idle / 10.0


def _needs_index(option: str, store: AnyStore) -> ConfigurationError:
    return ConfigurationError(
        f"{option} needs a store with a user index, and {type(store).__name__} has none: use"
        " memory://, file:///, sqlite:/// or another store that implements"
        " coatcheck.store.UserIndex"
    )


def _own_namespace(config: SessionConfig) -> dict[str, str]:
    """Return the configuration's namespace as an option, if it has one: a URL may have it too."""
    return {} if config.namespace == DEFAULT_NAMESPACE else {"namespace": config.namespace}


def _namespace(config: SessionConfig, store: AnyStore) -> str:
    """Return the namespace of store and configuration, which must not contradict each other."""
    own: str = getattr(store, "namespace", config.namespace)
    if config.namespace not in (own, DEFAULT_NAMESPACE):
        raise ConfigurationError(
            f"the store's namespace is {own!r}, the configuration's {config.namespace!r}: give the"
            " namespace once, to the store"
        )
    return own


def _codec(config: SessionConfig, store: AnyStore) -> tuple[Codec, int]:
    preferred: str = getattr(store, "preferred_codec", "binary")
    wanted = config.codec or preferred
    if wanted == "binary":
        return BinaryCodec(config.types), _BINARY
    if wanted == "json":
        return JSONCodec(config.types), _JSON
    if isinstance(wanted, str):
        raise ConfigurationError(f"codec={wanted!r} is not known: write 'binary' or 'json'")
    if isinstance(wanted, BinaryCodec):
        return wanted, _BINARY
    return wanted, _JSON if isinstance(wanted, JSONCodec) else _CUSTOM


def _passage(config: SessionConfig, keys: KeyRing, namespace: str) -> Passage:
    """Return how IDs travel that name a record: signed, by the State that is configured."""
    state = config.state or CookieState(config.cookie_name, options=config.cookie_options)
    return Passage(IDSigner(keys, namespace), state, None)


def _default_store(config: SessionConfig) -> MemoryStore:
    if _several_workers_likely():
        warnings.warn(
            "no store is configured, so sessions live in this process's memory, and there seem to"
            " be several worker processes, which cannot see each other's: name a store, for example"
            " store='sqlite:///sessions.db'",
            stacklevel=4,
        )
    return MemoryStore(namespace=config.namespace, clock=config.clock)


def _several_workers_likely() -> bool:
    words = [*sys.argv, *os.environ.get("GUNICORN_CMD_ARGS", "").split()]
    flagged = any(word in ("-w", "--workers") or word.startswith("--workers=") for word in words)
    return flagged or os.environ.get("WEB_CONCURRENCY", "1") not in ("", "1")
