"""Redis with TLS: the server's certificate is checked, and its name."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coatcheck.errors import StoreError
from coatcheck.store import open_async_store, open_store
from coatcheck.store.protocol import Stored
from tests.servers import redis as servers
from tests.stores.redis_ways import KEY, NEVER, Way


def certify(folder: Path) -> None:
    """Write `key.pem`, and `cert.pem`, which says of itself that it is 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a server for tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "key.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the certificate lies."""
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    return folder


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """The port of somebody who speaks TLS, and passes on to a server: that of the wheel cannot."""
    server, port = servers.shared(), servers.free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    loop = asyncio.new_event_loop()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, front = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_pass_on(reader, front), _pass_on(behind, writer))

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(relay, "127.0.0.1", port, ssl=context)

    relaying = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield port

    async def stop() -> None:
        relaying.close()
        # What is left is on its way to its end, as both sides have closed.
        for _ in range(50):
            if len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0.02)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("kind", ["url", "async-url"])
def test_a_certificate_that_is_trusted(kind: str, port: int, folder: Path) -> None:
    """Both stores speak TLS to a server whose certificate they are told to trust."""
    open_either = open_store if kind == "url" else open_async_store
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={folder}/cert.pem"
    with Way(kind, open_either(url)) as way:
        way.delete(KEY)
        way.create(KEY, b"x" * 100_000)
        assert way.get(KEY) == Stored(1, NEVER, b"x" * 100_000)
        assert way.delete(KEY) is not None


@pytest.mark.parametrize("kind", ["url", "async-url"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_is_not(kind: str, host: str, port: int, folder: Path) -> None:
    """Nobody's certificate will do, nor one for another name."""
    open_either = open_store if kind == "url" else open_async_store
    trust = f"?ssl_ca_certs={folder}/cert.pem" if host == "localhost" else ""
    with (
        Way(kind, open_either(f"rediss://{host}:{port}{trust}")) as way,
        pytest.raises(StoreError, match="certificate"),
    ):
        way.get(KEY)
