"""Coatcheck's sessions in LMDB, under the scheme `lmdb`."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from coatcheck import ConfigurationError
from coatcheck.clock import Clock
from coatcheck_lmdb.store import LMDBStore as LMDBStore


def open_by_url(url: str, *, is_async: bool, namespace: str, clock: Clock) -> LMDBStore:
    """Return the store of a URL such as `lmdb:///srv/shop/sessions?size=256`.

    There is no async one: Coatcheck calls this one in threads where it must not block. Raises
    `ConfigurationError` for whatever is wrong with the URL.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or path.strip("/") == "":
        raise ConfigurationError(
            "the URL of an LMDB store names a folder: write lmdb:///srv/shop/sessions"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    namespace = options.pop("namespace", namespace)
    size = options.pop("size", "1024")
    if options:
        raise ConfigurationError(
            f"an LMDB store has no option {min(options)!r}: it has namespace and size"
        )
    if not (size.isascii() and size.isdecimal() and 0 < int(size) <= 1_000_000):
        raise ConfigurationError("size in the URL of the store must be a number of MiB: size=256")
    return LMDBStore(path, megabytes=int(size), namespace=namespace, clock=clock)
