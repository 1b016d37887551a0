"""What goes wrong with a real Redis server: a clear error in time, and no restart to recover."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coatcheck.drivers import Blocking, pause
from coatcheck.errors import CorruptRecord, StoreError
from coatcheck.store.protocol import Gone, Stored, Updated
from coatcheck.store.redis import RedisStore
from tests.servers import redis as servers
from tests.stores.redis_ways import KEY, KEYS, NEVER, WAYS, Way

TIMEOUT = 0.3
SLOWEST = 5 * TIMEOUT
"""What a call may take on a busy machine, though a client of redis-py retries three times."""


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    """A server to do anything to."""
    with servers.one_server("appendonly yes", "appendfsync always") as server:
        yield server


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, server: servers.Server) -> Iterator[Way]:
    """A store by each way, on the server as if it were new."""
    server.ask("FLUSHALL")
    with Way(request.param, server.url, timeout=TIMEOUT) as way:
        yield way


def fails_in_time(way: Way, match: str = "Redis") -> None:
    """Every method raises `StoreError`, soon; a client's own retries take their own time."""
    patient = way.client is not None
    for name, call in way.every_verb().items():
        begun = time.monotonic()
        with pytest.raises(StoreError, match=match):
            call()
        if not patient:
            assert time.monotonic() - begun < SLOWEST, name


@pytest.mark.parametrize("way", ["url", "async-url"], indirect=True)
def test_a_killed_server(way: Way, server: servers.Server) -> None:
    """While it is away every call is an error; then what was acknowledged is there."""
    way.create(KEY, b"kept")
    server.kill()
    fails_in_time(way, "cannot be reached")
    server.start()
    assert way.get(KEY) == Stored(1, NEVER, b"kept")
    assert way.update() == Updated(2)


@pytest.mark.parametrize("way", ["url", "async-url", "client"], indirect=True)
def test_a_server_restarted_in_between(way: Way, server: servers.Server) -> None:
    """Whoever has not called meanwhile notices nothing, though no script is known any more."""
    way.create(KEY, b"old")
    server.kill()
    server.start()
    way.rest()
    assert way.update() == Updated(2)
    assert way.get(KEY) == Stored(2, NEVER, b"new")


def test_a_server_restarted_empty(way: Way, server: servers.Server) -> None:
    """What is gone is gone: no update and no touch brings it back."""
    way.create(KEY, b"old")
    server.ask("FLUSHALL")
    server.ask("SCRIPT", "FLUSH")
    assert way.get(KEY) is None
    assert way.update() == Gone()
    assert way.touch() is False
    assert way.delete(KEY) is None
    assert server.ask("DBSIZE") == 0
    assert way.create() is True


@pytest.mark.parametrize("way", ["url", "async-url"], indirect=True)
def test_a_server_that_hangs(
    way: Way, server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late reply is nobody's: afterwards every key has its own value.

    Not because a connection that lay idle is looked at, which would find a reply that has come.
    """
    monkeypatch.setattr("coatcheck.store.redis.connection.IDLE", 60.0)
    for key in KEYS[:5]:
        way.create(key, key.encode())
    server.signal(signal.SIGSTOP)
    try:
        for key in KEYS[:3]:
            begun = time.monotonic()
            with pytest.raises(StoreError, match="did not answer within 0.3 s"):
                way.get(key)
            assert time.monotonic() - begun < SLOWEST
    finally:
        server.signal(signal.SIGCONT)
    for key in KEYS[4::-1] * 3:
        assert way.get(key) == Stored(1, NEVER, key.encode())


@pytest.mark.parametrize("way", ["url", "async-url"], indirect=True)
def test_a_server_that_hangs_fails_every_method(way: Way, server: servers.Server) -> None:
    """Whatever is asked of it, the wait is no longer than was configured."""
    way.create()
    server.signal(signal.SIGSTOP)
    kind = "url" if way.runner is None else "async-url"
    try:
        with Way(kind, server.url, timeout=0.1) as other:
            fails_in_time(other, "did not answer within 0.1 s")
    finally:
        server.signal(signal.SIGCONT)


def test_a_cluster_that_is_not_there() -> None:
    """No node answers, and redis-py's own error for that is no `RedisError`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StoreError, match="cannot be reached"):
        RedisStore(f"redis+cluster://127.0.0.1:{port}")


def test_a_connection_that_is_cut(way: Way, server: servers.Server) -> None:
    """A read is made again; a write is made again by nobody who cannot know what became of it."""
    way.create()
    for _ in range(3):
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert way.get(KEY) == Stored(1, NEVER, b"")
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    try:
        outcome = way.update()
    except StoreError:
        outcome = way.update()
    assert outcome == Updated(2)


def test_a_server_that_forgot_the_scripts(way: Way, server: servers.Server) -> None:
    """After SCRIPT FLUSH each script is sent whole, once."""
    for call in way.every_verb().values():
        server.ask("SCRIPT", "FLUSH")
        call()


def test_a_replica_that_takes_no_writes(way: Way, server: servers.Server) -> None:
    """It reads, it says what is wrong, and it goes on when it is a primary again."""
    way.create(KEY, b"old")
    server.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        assert way.get(KEY) == Stored(1, NEVER, b"old")
        for name in ("create", "update", "touch", "delete", "admit", "forget", "claim_purge"):
            with pytest.raises(StoreError, match="read-only replica"):
                way.every_verb()[name]()
    finally:
        server.ask("REPLICAOF", "NO", "ONE")
    assert way.update() == Updated(2)


def test_a_server_without_memory(way: Way, server: servers.Server) -> None:
    """Nothing can be stored, and everything can be read and ended."""
    way.create(KEY, b"old", "ann")
    server.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        for name in ("create", "update", "admit"):
            with pytest.raises(StoreError, match="no memory left"):
                way.every_verb()[name]()
        assert way.get(KEY) == Stored(1, NEVER, b"old")
        assert way.delete(KEY, user_id="ann") == Stored(1, NEVER, b"old")
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)
    assert way.create() is True


def test_a_wrong_password(way: Way, server: servers.Server) -> None:
    """It is told that the password is wrong, and never which one it was."""
    server.ask("CONFIG", "SET", "requirepass", "right-hunter2")
    kind = {True: "async-url", False: "url"}[way.runner is not None]
    try:
        wrong = server.url.replace("127.0.0.1", ":wrong-hunter2@127.0.0.1")
        with (
            Way(kind, wrong, timeout=TIMEOUT) as other,
            pytest.raises(StoreError, match="password") as caught,
        ):
            other.get(KEY)
        assert "hunter2" not in str(caught.value)
        right = server.url.replace("127.0.0.1", ":right-hunter2@127.0.0.1")
        with Way(kind, right) as other:
            assert other.create() is True
            assert "hunter2" not in f"{other.store!r} {other.store.location}"
    finally:
        server.ask("CONFIG", "SET", "requirepass", "", password="right-hunter2")


def test_what_others_have_put_there(way: Way, server: servers.Server) -> None:
    """It is no session for `get`, no room for a write, and gone after `delete`."""
    name = b"coatcheck/s/" + KEY.encode()
    for command in (("SET", name, "short"), ("SET", name, b"x" * 99), ("HSET", name, "a", "b")):
        server.ask("DEL", name)
        server.ask(*command)
        with pytest.raises(CorruptRecord):
            way.get(KEY)
        for write in (way.create, way.update, way.touch):
            with pytest.raises(StoreError, match="refused a command"):
                write()
    server.ask("DEL", name)
    server.ask("SET", name, "short")
    assert way.delete(KEY) is None
    assert way.create() is True


def test_what_others_have_put_in_between(way: Way, server: servers.Server) -> None:
    """Sessions are listed and users are purged, whatever else lies under names like theirs."""
    way.create()
    way.admit("ann", KEY, limit=None, evict=False)
    odd = b"coatcheck/s/" + b"\xff" * 32
    for command in (("SET", odd, "x"), ("HSET", "coatcheck/s/" + KEYS[1], "a", "b")):
        server.ask(*command)
    server.ask("SET", "coatcheck/u/bob", "no index")
    assert sorted(way.scan()[0]) == [KEY, KEYS[1]]
    with pytest.raises(CorruptRecord):
        way.get(KEYS[1])
    assert way.purge() == 0
    assert [entry.key for entry in way.entries("ann")] == [KEY]


@pytest.mark.parametrize("way", ["url", "async-url"], indirect=True)
def test_a_server_killed_under_load(way: Way, server: servers.Server) -> None:
    """What was acknowledged is kept, nothing is counted twice, and everybody goes on."""
    way.create(KEY, b"0")
    stop = threading.Event()

    async def count(store: Any) -> tuple[int, int]:
        acknowledged = unknown = 0
        while not stop.is_set():
            try:
                record = await store.get(KEY)
                number = b"%d" % (int(record.payload) + 1)
                sent = store.update(KEY, number, version=record.version, expires_at=NEVER)
            except StoreError:
                await pause(0.001)
                continue
            try:
                acknowledged += isinstance(await sent, Updated)
            except StoreError:
                unknown += 1
        return acknowledged, unknown

    async def together() -> list[tuple[int, int]]:
        return await asyncio.gather(*(count(way.store) for _ in range(4)))

    def crash() -> None:
        for _ in range(2):
            time.sleep(0.15)
            server.kill()
            server.start()
        time.sleep(0.15)
        stop.set()

    # The server is started in this thread, for it ends with the thread that has started it.
    with ThreadPoolExecutor(6) as pool:
        if way.runner is None:
            counting = [pool.submit(asyncio.run, count(Blocking(way.store))) for _ in range(4)]
            crash()
            counts = [one.result() for one in counting]
        else:
            counting_all = pool.submit(way.runner.run, together())
            crash()
            counts = counting_all.result()
    acknowledged = sum(one for one, _ in counts)
    unknown = sum(one for _, one in counts)
    record = way.get(KEY)
    assert acknowledged > 5
    assert acknowledged <= int(record.payload) <= acknowledged + unknown
    assert record.version == int(record.payload) + 1
