"""What the engines themselves take for what a request needs of them, at whatever size.

The same keys, the same bytes, on the same tables where an engine has any: a `dict` of tuples, bare
files, bare statements of the driver, and Redis' commands through a socket. A read is one of them, a
write that and one more, a new session one and one to remove it. Whatever these take longer beside
a million records is the engine's and the machine's; what a store takes besides is ours.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tests.benchmarks import engines
from tests.benchmarks.engines import FUTURE, NAMESPACE, Engine, key_of


def _nothing() -> None:
    """Close nothing."""


class Requests(NamedTuple):
    """What requests ask for, each by a key: of a record that is there, or of one that is not."""

    read: Callable[[str], object]
    write: Callable[[str], object]
    begin: Callable[[str], object]
    close: Callable[[], object] = _nothing


def changed(payload: bytes, number: int) -> bytes:
    """Return another payload of the same size."""
    return payload[:-4] + (number & 0xFFFFFFFF).to_bytes(4, "big")


def of(engine: Engine, table: str, count: int, payload: bytes) -> Requests:
    """Return the bare operations beside `count` records, with which the table is filled."""
    if isinstance(engine, engines.Redis):
        number = engine.number(table)
        return _commands(engine.server.port, number, payload)
    if isinstance(engine, engines.SQLite):
        connection = sqlite3.connect(f"{engine.folder}/{table}.db", isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        return _statements(connection, "sessions", "key", "?", payload)
    if isinstance(engine, engines.SQL):
        name = f"{table}_sessions"
        return _statements(engine.server.connect(), name, engine.key_column, "%s", payload)
    if isinstance(engine, engines.File):
        return _files(f"{engine.folder}/{table}-bare", count, payload)
    return _dict(count, payload)


def _dict(count: int, payload: bytes) -> Requests:
    table = {key_of(number): (1, FUTURE, bytes(memoryview(payload))) for number in range(count)}

    def write(key: str) -> None:
        version, ends, found = table[key]
        table[key] = version + 1, ends, changed(found, version)

    def begin(key: str) -> None:
        table[key] = 1, FUTURE, bytes(memoryview(payload))
        del table[key]

    return Requests(table.__getitem__, write, begin)


def _files(folder: str, count: int, payload: bytes) -> Requests:
    for number in range(256):
        os.makedirs(f"{folder}/{number:02x}")

    def put(key: str, content: bytes) -> None:
        path = f"{folder}/{key[:2]}/{key}"
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, content)
        os.close(descriptor)
        os.replace(f"{path}.new", path)

    def read(key: str) -> bytes:
        descriptor = os.open(f"{folder}/{key[:2]}/{key}", os.O_RDONLY)
        content = os.read(descriptor, 16_384)
        os.close(descriptor)
        return content

    def write(key: str) -> None:
        content = read(key)
        put(key, changed(content, content[-1] + 1))

    def begin(key: str) -> None:
        put(key, payload)
        os.unlink(f"{folder}/{key[:2]}/{key}")

    for number in range(count):
        put(key_of(number), payload)
    return Requests(read, write, begin)


def _statements(connection: Any, table: str, column: str, mark: str, payload: bytes) -> Requests:
    cursor = connection.cursor()
    where = f"WHERE namespace = '{NAMESPACE}' AND {column} = {mark}"
    select = f"SELECT version, expires_at, payload FROM {table} {where}"
    update = f"UPDATE {table} SET version = version + 1, payload = {mark} {where}"
    insert = f"INSERT INTO {table} VALUES ('{NAMESPACE}', {mark}, 1, {FUTURE:.1f}, NULL, {mark})"
    delete = f"DELETE FROM {table} {where}"

    def read(key: str) -> Any:
        cursor.execute(select, (key,))
        return cursor.fetchall()

    def write(key: str) -> None:
        ((version, _, found),) = read(key)
        cursor.execute(update, (changed(found, version), key))

    def begin(key: str) -> None:
        cursor.execute(insert, (key, payload))
        cursor.execute(delete, (key,))

    return Requests(read, write, begin, connection.close)


_END: Final = b"\r\n"


def _commands(port: int, database: int, payload: bytes) -> Requests:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(*words: bytes) -> bytes:
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            parts += [b"$%d\r\n" % len(word), word, _END]
        link.sendall(b"".join(parts))
        reply = link.recv(65_536)
        # Local answers of some hundred bytes come whole.
        if not reply.endswith(_END) or reply.startswith(b"-"):
            raise RuntimeError(f"Redis answered {reply[:80]!r}")
        return reply

    def name_of(key: str) -> bytes:
        return f"{NAMESPACE}/s/{key}".encode()

    def read(key: str) -> bytes:
        return ask(b"GET", name_of(key)).partition(_END)[2][:-2]

    def write(key: str) -> None:
        # As it was, for what follows the record's head is not ours to make.
        ask(b"SET", name_of(key), read(key), b"KEEPTTL")

    def begin(key: str) -> None:
        ask(b"SET", name_of(key), payload, b"PX", b"86400000")
        ask(b"DEL", name_of(key))

    ask(b"SELECT", b"%d" % database)
    return Requests(read, write, begin, link.close)


RUNS: Final[Mapping[str, str]] = {"read": "read", "write": "write", "new, then deleted": "begin"}
"""How the requests are called, and the field of `Requests` that is it."""
