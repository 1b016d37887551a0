"""What is particular to stores over an object with `get`, `set` and `delete`.

They pass the contract in `test_contract`.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.errors import ConfigurationError, CorruptRecord, StoreError
from coatcheck.store import AsyncKeyValueStore, KeyValueStore, keyvalue
from coatcheck.store.envelope import seal, unseal
from coatcheck.store.protocol import (
    Purges,
    Scans,
    Stored,
    Updated,
    UserIndex,
)

KEY, OTHER = "0" * 32, "f" * 32
NAME = f"coatcheck:{KEY}"


class Engine:
    """The smallest object that will do."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def get(self, id: str) -> Any:
        return self.data.get(id)

    def set(self, id: str, data: str) -> None:
        self.data[id] = data

    def delete(self, id: str) -> bool:
        return self.data.pop(id, None) is not None


class AsyncEngine:
    """The same as coroutines, each of which lets other tasks run."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    async def get(self, id: str) -> Any:
        await anyio.lowlevel.checkpoint()
        return self.data.get(id)

    async def set(self, id: str, data: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.data[id] = data

    async def delete(self, id: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.data.pop(id, None)


@pytest.fixture(autouse=True)
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test but those of the warning be warned."""
    monkeypatch.setattr(keyvalue, "_warned", True)


@pytest.fixture
def engine() -> Engine:
    """Return an object that keeps values."""
    return Engine()


@pytest.fixture
def store(engine: Engine) -> KeyValueStore:
    """Return a store over the object."""
    return KeyValueStore(engine)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Return the event loop on which a test runs."""
    return request.param


# What the object sees


def test_the_object_is_given_ascii_text(engine: Engine, store: KeyValueStore) -> None:
    """`set` is given the namespaced handle and one ASCII string, whatever the payload is."""
    store.create(KEY, bytes(range(256)), expires_at=None, user_id="ann")
    ((name, value),) = engine.data.items()
    assert name == NAME
    assert type(value) is str
    assert value.isascii()
    assert value.isprintable()


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_object_may_answer_bytes(
    engine: Engine, store: KeyValueStore, kind: type[bytes | bytearray]
) -> None:
    """`get` may answer the text as bytes, as clients of many servers do."""
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    engine.data[NAME] = kind(engine.data[NAME].encode())
    assert store.get(KEY) == Stored(1, None, b"payload")
    assert store.update(KEY, b"new", version=1, expires_at=5e9) == Updated(2)
    assert store.get(KEY) == Stored(2, 5e9, b"new")


def test_it_has_no_capabilities(store: KeyValueStore) -> None:
    """There is no index, no purge and no scan, and the store does not pretend to have them."""
    assert not isinstance(store, UserIndex)
    assert not isinstance(store, Purges)
    assert not isinstance(store, Scans)
    assert store.namespace == "coatcheck"


def test_reads_never_write(engine: Engine, store: KeyValueStore) -> None:
    """`get` calls nothing but `get`, also for a record that has expired."""
    store.create(KEY, b"payload", expires_at=1.0, user_id=None)
    before = dict(engine.data)
    assert store.get(KEY) is None
    assert engine.data == before


def test_repr_shows_no_session(store: KeyValueStore) -> None:
    """The representation has neither a key nor a payload in it."""
    store.create(KEY, b"private", expires_at=None, user_id=None)
    assert repr(store) == "<KeyValueStore namespace='coatcheck'>"
    assert repr(AsyncKeyValueStore(AsyncEngine())) == "<AsyncKeyValueStore namespace='coatcheck'>"


# The object


@pytest.mark.parametrize("missing", ["get", "set", "delete"])
@pytest.mark.parametrize("kind", [KeyValueStore, AsyncKeyValueStore])
def test_missing_methods_are_named(kind: Callable[[object], object], missing: str) -> None:
    """An object that lacks a method is a ConfigurationError that names it."""
    methods = {name: print for name in ("get", "set", "delete") if name != missing}
    with pytest.raises(ConfigurationError, match=f"without {missing}"):
        kind(type("Engine", (), methods)())


@pytest.mark.parametrize("thing", [None, 5, Engine, "redis://"])
@pytest.mark.parametrize("kind", [KeyValueStore, AsyncKeyValueStore])
def test_what_is_no_such_object_is_refused(kind: Callable[[object], object], thing: object) -> None:
    """A class, `None` and other things are a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="get\\(id\\), set\\(id, data\\) and delete"):
        kind(thing)


def test_coroutines_are_refused() -> None:
    """An object with coroutines is a ConfigurationError that names the async store."""
    with pytest.raises(ConfigurationError, match="AsyncKeyValueStore"):
        KeyValueStore(AsyncEngine())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_awaitables_are_refused() -> None:
    """An object that answers awaitables is found out at the first call."""

    class Hidden(Engine):
        def get(self, id: str) -> Any:
            return AsyncEngine().get(id)

    with pytest.raises(StoreError, match="AsyncKeyValueStore"):
        KeyValueStore(Hidden()).get(KEY)


@pytest.mark.anyio
async def test_an_async_store_takes_plain_answers() -> None:
    """The async store works with methods that answer at once."""
    engine: Any = Engine()
    store = AsyncKeyValueStore(engine)
    assert await store.create(KEY, b"payload", expires_at=None, user_id=None)
    assert await store.get(KEY) == Stored(1, None, b"payload")
    await store.aclose()
    await store.aclose()


def test_the_warning_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first store in a process warns of what is weaker; the next ones say nothing."""
    monkeypatch.setattr(keyvalue, "_warned", False)
    with pytest.warns(UserWarning, match="within one process"):
        KeyValueStore(Engine())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KeyValueStore(Engine())
        AsyncKeyValueStore(AsyncEngine())


class Broken(Engine):
    """An object whose method of that name raises."""

    def __init__(self, method: str) -> None:
        super().__init__()
        setattr(self, method, self.fail)

    def fail(self, *_arguments: str) -> Any:
        raise OSError(f"connection to redis://user:password@host lost, key {_arguments}")


CALLS: dict[str, Callable[[KeyValueStore], object]] = {
    "get": lambda store: store.get(KEY),
    "create": lambda store: store.create(KEY, b"", expires_at=None, user_id=None),
    "update": lambda store: store.update(KEY, b"", version=1, expires_at=None),
    "touch": lambda store: store.touch(KEY, version=1, expires_at=5e9),
    "delete": lambda store: store.delete(KEY),
}


@pytest.mark.parametrize(
    ("method", "verb"),
    [*(("get", verb) for verb in CALLS), ("set", "create"), ("delete", "delete")],
)
def test_exceptions_of_the_object(method: str, verb: str) -> None:
    """Whatever the object raises is a StoreError with that as its cause and no secret in it."""
    store = KeyValueStore(Broken(method))
    for _ in range(2):
        with pytest.raises(StoreError, match=f"{method} of Broken raised OSError") as caught:
            CALLS[verb](store)
        assert isinstance(caught.value.__cause__, OSError)
        assert "password" not in str(caught.value)
        assert KEY not in str(caught.value)


@pytest.mark.anyio
async def test_exceptions_of_an_async_object() -> None:
    """So it is where the object is awaited, and the key is free afterwards."""
    engine = AsyncEngine()
    store = AsyncKeyValueStore(engine)

    async def fail(id: str, data: str) -> None:
        raise OSError("full")

    real, engine.set = engine.set, fail  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="set of AsyncEngine raised OSError"):
        await store.create(KEY, b"", expires_at=None, user_id=None)
    engine.set = real  # type: ignore[method-assign]
    assert await store.create(KEY, b"", expires_at=None, user_id=None)


@pytest.mark.anyio
async def test_a_cancelled_call_frees_the_key() -> None:
    """A task that is cancelled while it is at a key, or waits for it, keeps nobody from it."""
    engine = AsyncEngine()
    store = AsyncKeyValueStore(engine)
    stuck = anyio.Event()

    async def hang(id: str) -> Any:
        stuck.set()
        await anyio.sleep_forever()

    real, engine.get = engine.get, hang  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(store.delete, KEY)
        await stuck.wait()
        tasks.cancel_scope.cancel()
    engine.get = real  # type: ignore[method-assign]
    with anyio.fail_after(5):
        assert await store.create(KEY, b"payload", expires_at=None, user_id=None)


def test_two_stores_over_one_object(engine: Engine) -> None:
    """Compare-and-set holds between all stores of a process over one object."""
    stores = [KeyValueStore(engine) for _ in range(4)]
    assert stores[0].location == stores[1].location
    assert stores[0].location != KeyValueStore(Engine()).location
    stores[0].create(KEY, b"0", expires_at=None, user_id=None)

    def count_up(store: KeyValueStore) -> None:
        for _ in range(25):
            outcome: object = None
            while not isinstance(outcome, Updated):
                current = store.get(KEY)
                assert current is not None
                outcome = store.update(
                    KEY,
                    b"%d" % (int(current.payload) + 1),
                    version=current.version,
                    expires_at=None,
                )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count_up, stores))
    assert stores[0].get(KEY) == Stored(101, None, b"100")


# Values that are not ours


GARBAGE: list[Any] = [
    "",
    "hello",
    "{}",
    "AAAA",
    "ä",
    b"\xff\x00",
    b"",
    5,
    {"a": 1},
    base64.b64encode(b"c1" + bytes(30)).decode(),
    base64.b64encode(bytes(100)).decode(),
]


@pytest.mark.parametrize("value", GARBAGE, ids=repr)
def test_garbage_is_corrupt(engine: Engine, store: KeyValueStore, value: Any) -> None:
    """What is none of ours is CorruptRecord from `get`, StoreError elsewhere, and deletable."""
    engine.data[NAME] = value
    with pytest.raises(CorruptRecord):
        store.get(KEY)
    with pytest.raises(StoreError):
        store.update(KEY, b"", version=1, expires_at=None)
    with pytest.raises(StoreError):
        store.touch(KEY, version=1, expires_at=5e9)
    with pytest.raises(StoreError):
        store.create(KEY, b"", expires_at=None, user_id=None)
    assert engine.data[NAME] == value
    assert store.delete(KEY) is None
    assert store.create(KEY, b"new", expires_at=None, user_id=None)


def test_a_record_under_another_key_is_corrupt(engine: Engine, store: KeyValueStore) -> None:
    """A value that was moved to another key or another namespace is not taken for a record."""
    store.create(KEY, b"payload", expires_at=None, user_id=None)
    engine.data[f"coatcheck:{OTHER}"] = engine.data[f"other:{KEY}"] = engine.data[NAME]
    with pytest.raises(CorruptRecord):
        store.get(OTHER)
    with pytest.raises(CorruptRecord):
        KeyValueStore(engine, namespace="other").get(KEY)


def mutations(text: str) -> Iterator[str]:
    """Yield the text cut short at every place, and with every character changed in several ways."""
    for place in range(len(text)):
        yield text[:place]
        for other in "A/9=\n ":
            if text[place] != other:
                yield text[:place] + other + text[place + 1 :]
    yield text + "="
    yield text + "AAAA"
    yield text + "\n"


def test_every_mutation_is_noticed() -> None:
    """No value that was cut short or changed in one character is taken for another record."""
    record = Stored(3, 1_800_000_000.25, b"payload of a session")
    text, refused = seal(NAME, record), 0
    for mutation in mutations(text):
        try:
            assert unseal(NAME, mutation) == record
        except CorruptRecord:
            refused += 1
    # A needless "=" at the end may pass.
    assert refused >= sum(1 for _ in mutations(text)) - 1


@given(
    version=st.integers(1, 2**64 - 1),
    deadline=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    payload=st.binary(max_size=300),
)
def test_a_record_comes_back(version: int, deadline: float | None, payload: bytes) -> None:
    """What is sealed comes back equal, from text and from bytes."""
    record = Stored(version, deadline, payload)
    text = seal(NAME, record)
    assert unseal(NAME, text) == record
    assert unseal(NAME, text.encode()) == record


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_noise_is_corrupt(value: Any) -> None:
    """Noise is CorruptRecord and no other exception."""
    with pytest.raises(CorruptRecord):
        unseal(NAME, value)


@pytest.mark.anyio
async def test_tasks_on_one_key_take_turns() -> None:
    """Of many tasks that add one to the same record none loses its change."""
    store = AsyncKeyValueStore(AsyncEngine())
    await store.create(KEY, b"0", expires_at=None, user_id=None)

    async def count_up() -> None:
        outcome: object = None
        while not isinstance(outcome, Updated):
            current = await store.get(KEY)
            assert current is not None
            payload = b"%d" % (int(current.payload) + 1)
            outcome = await store.update(KEY, payload, version=current.version, expires_at=None)

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(count_up)
    assert await store.get(KEY) == Stored(11, None, b"10")
