"""The Redis store for synchronous programs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias, Unpack

from coatcheck import checks
from coatcheck.clock import Clock, system_clock
from coatcheck.drivers import run_now
from coatcheck.errors import CorruptRecord
from coatcheck.store.arguments import check_deadline, check_namespace
from coatcheck.store.protocol import (
    DEFAULT_NAMESPACE,
    Admission,
    IndexEntry,
    Stored,
    UpdateOutcome,
    check_key,
)
from coatcheck.store.redis import records
from coatcheck.store.redis.keys import Names, time_to_live
from coatcheck.store.redis.link import Stepped
from coatcheck.store.redis.opening import Extras, open_link
from coatcheck.store.redis.recent import Recent, swapped
from coatcheck.store.redis.replicas import WaitingLink, check_replicas
from coatcheck.store.redis.scripts import UPDATE
from coatcheck.store.redis.steps import Steps, outcome, update_arguments
from coatcheck.store.redis.trouble import NotAString, NotUnderstood

if TYPE_CHECKING:
    import redis

    Client: TypeAlias = redis.Redis | redis.RedisCluster | redis.ConnectionPool


class RedisStore:
    """Sessions in Redis or Valkey, for any number of processes on any number of machines.

    Each session is one key, `<namespace>/s/<handle>`, and each user with sessions has another one,
    `<namespace>/u/<user>`, so every operation works in a cluster too. Redis 7.0 or later.

    Args:
        server: a URL (`redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`,
            `valkey://`), or a client of redis-py: a `Redis`, also that of a Sentinel's
            `master_for`, a `RedisCluster`, or a `ConnectionPool`. A client is used as it is, with
            its own timeouts and retries, and never closed.
        timeout: seconds to wait for the server, 3 unless told; a client has its own.
        wait_replicas: how many replicas must have a write before it counts as made, for at most 0.8
            of the timeout; else it is a `StoreError`. Without it a failover may take back what had
            not reached the replica: a change, or a sign-out. Not for a cluster.
        namespace: the namespace of the IDs; stores of different namespaces may share a server.
        clock: the source of time.
        extras: more about a URL's server: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths),
            `db` for a socket.

    Raises:
        ConfigurationError: for an option that is wrong.
        StoreError: for a cluster that cannot be reached; all else connects when it is used.
    """

    def __init__(
        self,
        server: str | Client,
        *,
        timeout: float | None = None,
        wait_replicas: int = 0,
        namespace: str = DEFAULT_NAMESPACE,
        clock: Clock = system_clock,
        **extras: Unpack[Extras],
    ) -> None:
        self.namespace = check_namespace(namespace)
        self.clock = clock
        self._link, self.location = open_link(server, timeout, extras)
        if check_replicas(self._link, wait_replicas):
            self._link = WaitingLink(self._link, wait_replicas)
        names = Names(self.namespace)
        self._sessions = names.sessions
        self._recent = Recent(usable=self._link.verbatim)
        self._read, self._call, self._run = self._link.read, self._link.call, self._link.run
        self._steps = Steps(Stepped(self._link), names, self._now)

    def _now(self) -> float:
        return self.clock()

    def __repr__(self) -> str:
        return f"<RedisStore {self._link.where!r} namespace={self.namespace!r}>"

    def get(self, key: str, /) -> Stored | None:
        """Return the live record, or `None`; raise `CorruptRecord` for what is none of ours."""
        name = self._sessions + check_key(key).encode()
        try:
            value = self._read("GET", name)
        except NotAString as error:
            raise CorruptRecord(str(error)) from error
        record = records.live(value, self.clock())
        if record is not None:
            self._recent.keep(name, value)
        return record

    def create(
        self, key: str, payload: bytes, /, *, expires_at: float | None, user_id: str | None
    ) -> bool:
        """Insert at version 1; `False` where a live record has the key."""
        name = self._sessions + check_key(key).encode()
        check_deadline(expires_at)
        if user_id is not None or expires_at is None:
            return run_now(self._steps.create(key, payload, expires_at, user_id))
        life, token = time_to_live(expires_at, self.clock()), records.new_token()
        value = records.first(payload, expires_at, None, token)
        if self._call("SET", name, value, "NX", "PX", life) is not None:
            return True
        return run_now(self._steps.take(key, value, life, None, token))

    def update(
        self, key: str, payload: bytes, /, *, version: int, expires_at: float | None
    ) -> UpdateOutcome:
        """Replace payload and deadline if the live record still has `version`."""
        name = self._sessions + check_key(key).encode()
        check_deadline(expires_at)
        now = self.clock()
        swap = self._recent.swap(name, payload, version, expires_at, now)
        if swap is not None:
            try:
                done = swapped(swap, self._call(*swap), version, now)
            except NotUnderstood:
                self._recent.refused()
            else:
                if done is not None:
                    return done
        arguments = update_arguments(payload, version, expires_at, now)
        reply = self._run(UPDATE, name, *arguments)
        if isinstance(reply, list):
            return run_now(self._steps.update(key, payload, version, expires_at))
        return outcome(reply, version)

    def touch(self, key: str, /, *, version: int, expires_at: float) -> bool:
        """Move the deadline of exactly `version` forward."""
        self._recent.forget(self._sessions + check_key(key).encode())
        check_deadline(expires_at)
        return run_now(self._steps.touch(key, version, expires_at))

    def delete(self, key: str, /, *, user_id: str | None = None) -> Stored | None:
        """Remove the record and its index entry; return the live record that this call removed."""
        self._recent.forget(self._sessions + check_key(key).encode())
        return run_now(self._steps.delete(key, user_id))

    def entries(self, user_id: str, /) -> Sequence[IndexEntry]:
        """Return the user's entries, oldest admission first."""
        return run_now(self._steps.entries(user_id))

    def admit(
        self,
        user_id: str,
        key: str,
        /,
        *,
        limit: int | None,
        evict: bool,
        replaces: str | None = None,
    ) -> Admission:
        """Enter `key`, before its record is created; see `UserIndex.admit`."""
        check_key(key)
        if replaces is not None:
            check_key(replaces)
        return run_now(self._steps.admit(user_id, key, limit, evict, replaces))

    def confirm(self, user_id: str, key: str, epoch: int, /) -> bool:
        """Say whether the session may live; see `UserIndex.confirm`."""
        return run_now(self._steps.confirm(user_id, check_key(key), epoch))

    def revoke(self, user_id: str, /, *, keep: Collection[str] = ()) -> Sequence[str]:
        """Advance the user's epoch; return all keys but `keep`."""
        return run_now(self._steps.revoke(user_id, keep))

    def forget(self, user_id: str, key: str, /) -> None:
        """Remove the entry, if it is there; the record is left alone."""
        run_now(self._steps.forget(user_id, check_key(key)))

    def purge(self, limit: int = 1000, /) -> int:
        """Remove index entries without a record; the server removes expired records by itself."""
        checks.count("limit", limit)
        return run_now(self._steps.purge())

    def claim_purge(self, interval: float, /) -> bool:
        """Say whether the caller is the one, among all processes, to purge in this `interval`."""
        return run_now(self._steps.claim_purge(interval))

    def scan(
        self, cursor: str | None = None, /, *, count: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return some live keys and the cursor of the next page, `None` after the last."""
        return run_now(self._steps.scan(cursor, checks.count("count", count)))

    def close(self) -> None:
        """Close the connections of a store that was given a URL."""
        self._link.close()
