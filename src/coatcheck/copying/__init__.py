"""Moving sessions from one store to another while they are in use, without signing anybody out.

Theory of operation. A pass goes through all records of the source and brings the target up to date:
it copies what is missing and whatever has changed, byte for byte. Any number of passes run while
programs use the source; none uses the target yet. Then the programs go over to the target, and the
last pass brings what changed since, and removes what the source no longer has.

The last pass must not confuse what came from the source with what a program has done at the target:

- a record that the target lacks was never copied, or it was ended there, and must not come back;
- one that differs is an older copy, or a program has saved it there, and it must stay;
- one that the source lacks was ended there, and must go, or it began at the target.

A journal tells them apart: a store of its own, in which each copied key stands with the version
and the deadline of its copy. Before the last pass an entry is written before its copy, and the last
pass runs only after a complete one, so a copy without an entry is none. The last pass reserves the
key by a record that no ID opens, then writes the entry, then the session: wherever it breaks off,
what was there without an entry nobody can have used, and ended.

A tombstone is copied as any record is, so an ID that was replaced is as dead at the target; what
had its place there is overwritten. Epochs, deadlines and users lie in the payload. Versions count
from 1 at the target, and nobody there knows those of the source. A user's sessions are admitted in
the order of the source's index, and confirmed, as any new session is.

`transfer` is one pass; here stand the ways to ask for it.
"""

from __future__ import annotations

from coatcheck.clock import Clock, system_clock
from coatcheck.copying.transfer import Copied as Copied
from coatcheck.copying.transfer import Progress, Transfer
from coatcheck.drivers import run_now
from coatcheck.errors import ConfigurationError
from coatcheck.shapes import AnyStore, Shape, awaited, is_async, never_suspending
from coatcheck.store.protocol import Store


def copy_sessions(
    source: Store,
    target: Store,
    *,
    journal: Store | None = None,
    last: bool = False,
    switched_at: float | None = None,
    cursor: str | None = None,
    page: int = 1000,
    progress: Progress | None = None,
    clock: Clock = system_clock,
) -> Copied:
    """Bring all live sessions of one store into another: one pass.

    A pass may be interrupted anywhere and begun anew: what is there already is left as it is.

    Args:
        source: the store to read; it must be one that can be scanned. It is never written to.
        target: the store to write, of the same namespace. Until the last pass its records follow
            those of the source, so no program may use it yet.
        journal: a store that remembers what was copied, from the first pass to the last: one of its
            own, or the target's with another namespace, such as
            `open_store("redis://host:6379/0", namespace="moving")`. Without a journal there is no
            last pass; a copy between programs that are stopped needs none.
        last: whether no program writes to the source any more. Then what the source no longer has
            is removed from the target, and what programs have done there stays.
        switched_at: when the first program began to use the target, in seconds since the epoch;
            `None`: none has. For the last pass only.
        cursor: where an interrupted pass goes on: the `cursor` that `progress` was given last.
        page: how many keys are asked for at a time.
        progress: called with a `Copied` after each page. What it raises ends the pass.
        clock: the source of time.

    Returns:
        What the pass has done, since `cursor`.

    Raises:
        ConfigurationError: for stores that do not fit, or a last pass after an incomplete one.
        StoreError: where a store is broken. Nothing is lost: run the pass again.
    """
    return run_now(
        Transfer(
            source=_blocking(source),
            target=_blocking(target),
            journal=None if journal is None else _blocking(journal),
            last=last,
            switched_at=switched_at,
            page=page,
            progress=progress,
            clock=clock,
        ).run(cursor)
    )


async def copy_sessions_async(
    source: AnyStore,
    target: AnyStore,
    *,
    journal: AnyStore | None = None,
    last: bool = False,
    switched_at: float | None = None,
    cursor: str | None = None,
    page: int = 1000,
    progress: Progress | None = None,
    clock: Clock = system_clock,
) -> Copied:
    """Do what `copy_sessions` does with stores that are awaited; blocking ones run in threads."""
    return await Transfer(
        source=awaited(source),
        target=awaited(target),
        journal=None if journal is None else awaited(journal),
        last=last,
        switched_at=switched_at,
        page=page,
        progress=progress,
        clock=clock,
    ).run(cursor)


def _blocking(store: Store) -> Shape:
    if is_async(store):
        raise ConfigurationError(
            f"{type(store).__name__} must be awaited: give the blocking store, or write"
            " await copy_sessions_async(...)"
        )
    return never_suspending(store)
