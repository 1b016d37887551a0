"""The page of the documentation on many sessions, made from the model.

python -m tests.scale.page        writes docs/explanation/scale.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.footprint import TYPICAL
from tests.benchmarks.hot import PAYLOADS, SESSIONS
from tests.scale import measured
from tests.scale.model import (
    GAP,
    SIGNED_IN,
    TOUCH_INTERVAL,
    TRAFFIC,
    VISIT_REQUESTS,
    VISIT_WRITES,
    Node,
    carries,
    cluster,
    touches_a_second,
    touches_at_a_beat,
)

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "scale.md"
COUNTS: Final = (1e6, 1e8, 1e9)
NODES: Final = (3, 6, 12, 50)
_NODE: Final = Node()
_T: Final = f"{TOUCH_INTERVAL:.0f} s"
_G: Final = f"{GAP:.0f} s"
_N: Final = f"{VISIT_REQUESTS}"
_W: Final = f"{VISIT_WRITES}"
_U: Final = f"{SIGNED_IN:.0%}"
_GB: Final = f"{_NODE.memory / 1e9:.0f} GB"
_OF: Final = tuple(
    f"{share:.0%}" for share in (_NODE.memory_share, _NODE.processor_share, _NODE.network_share)
)

_INTRODUCTION: Final = f"""\
# Many sessions

<!-- Made from tests/scale: `make scale` writes this page, and nobody else does. -->

What does a session take, what do its requests cost, and how many of them does a machine carry? This
page answers with arithmetic, from constants that were measured, so that you can put in your own
numbers. It is made from `tests/scale`; the tests compare the bytes with real servers, and the
arithmetic of touches with a simulation.

The times were measured {measured.MACHINE}. Measure them again, on your machine:

```text
make bench ARGS="--only footprint"     # bytes, processor time and traffic
make bench ARGS="--only flat"          # 1,000 to 1,000,000 sessions, and purging these
make bench ARGS="--only flat --engines memory,sqlite,file --cpu"   # by the processor's time
make bench ARGS="--only hot"           # one user with many sessions, one large session
```

"""
_BYTES: Final = f"""\
## What a session takes

`overhead + factor * payload` bytes, and `user` besides where the session belongs to somebody, for
that user's index. A payload of {TYPICAL} bytes is a name, some settings and a basket, with all that
Coatcheck keeps itself. Measured on 100,000 sessions under scattered keys (5,000 files, and 20,000
in memory), as the difference between a full table and an empty one, all indexes included.

"""
_BYTES_NOTES: Final = f"""
- **Redis**: what `used_memory` grows by. The overhead is the record's head of 36 bytes, the name,
  and the entry in the table of names; `MEMORY USAGE`, which counts no tables, says {measured.KEY}
  bytes for the session's name, and {measured.INDEX} for that of a user's index, a small hash.
- **PostgreSQL, MariaDB**: a row, the primary key, and the index by which a purge finds what has
  expired. Keys come in no order, so MariaDB's pages, in which the rows lie by their keys, are
  filled to about two thirds: that is its factor.
- **SQLite**: up to about 900 bytes of payload, four rows or more lie in a page. What is larger
  takes pages of 4,096 bytes for itself, so 1,600 bytes take 4,690.
- **file**: a file takes whole blocks of 4,096 bytes and an inode, and so does that of a user.
"""
_TOUCHES: Final = f"""
## How few writes activity makes

Only `touch` says that somebody was there, and only when `touch_interval` has passed since it was
last said ({_T}, unless `expire` is shorter than ten minutes). If the requests of a session
come by chance, one each `g` seconds on average, and the interval is `T`, then a touch is followed
by `T` seconds without one, and after these by the next request, which is `g` away however long the
last one is ago:

    touches a second = 1 / (T + g)          writing back each time = 1 / g

so it is `1 + T / g` times fewer. Where requests come at an even beat, it is one in `ceil(T / g)`.

"""
_CLUSTER: Final = f"""
## What a cluster carries

Two kinds of use, per live session:

- **an hour**: a visit of {_N} requests, {_G} apart, {_W} of which change something; then nobody
  comes any more, and the session ends after an hour (`expire`).
- **remembered**: such a visit every other day for a month, with `remember=timedelta(days=30)`, so
  that most of the sessions that are kept are not in use.

Of the sessions, {_U} have a user. A node is a primary with {_GB}, of which {_OF[0]} is used,
one core that runs commands, of which {_OF[1]} is used, and a network of 1 Gbit/s, of which
{_OF[2]} is used. Each needs a replica as large beside it. Handles are random, so keys spread
evenly over all slots, and every operation is about one key: nothing gets slower because there are
more nodes.

"""
_FLAT: Final = """
## Beside a thousand sessions, and beside a million

Microseconds that a request's store calls take (a read is one, a write two, a new session one and
one to delete it again), one after the other, medians of interleaved rounds; where the engine is in
the process, of the processor's time. All sizes stood on the same engine at the same time. Beside
them, in turns with them and with the same keys and bytes, *bare* operations: a `dict` of tuples,
files, statements of the driver, commands through a socket.

"""
_FLAT_NOTES: Final = """
Between servers and their clients little or nothing grows. (MariaDB's 401 for a new session among a
million is of this run alone: four more had 302, 312, 319 and 549, beside 303, 686, 312 and 1198
among a thousand; the machine had other work.) Where the engine is in the process, what grows is the
bare operation, and the store's with it by about as much; so it is fewer times the bare one the more
there are:

- **memory**: a `dict` of a thousand sessions stays in the processor's caches; in one of a million
  each step leads to memory that was not used just now. A write takes one step more than a bare one,
  to the list of the anonymous sessions by their last use. Python's garbage collector looks at all
  sessions about each time their number has grown by a quarter: 0.18 s at a million, 0.02 s at the
  100,000 that a store holds unless told otherwise.
- **SQLite**: the tree is four pages deep with a thousand sessions, and seven with a million. More
  memory does not help. With a cache as large as the database (`PRAGMA cache_size`) a read of one of
  a million took as long, 8.9 us instead of 8.8, though it asked the system for no page instead of
  3.4; with the file mapped into memory (`mmap_size`) 7.8. But each commit of another connection
  empties the cache: the next read then took 14 us with SQLite's 2 MB, 70 with 64 MB, 126 with the
  file mapped. So Coatcheck sets neither.
"""
_PURGE: Final = """
And what a purge takes of that table, if each second record has expired. It runs after responses, in
steps of at most 1,000 records; the longest step is what one worker was busy with at most. Redis
does it by itself, and the store in memory whenever a session is created. SQLite and files have no
index of deadlines: they read all records, without keeping anybody waiting, and that is the longest
step.

"""
_HOT: Final = """
## What does not spread

All operations of one session, and those of one user's index, are on one key, so on one node.

**One user's index.** A sign-in *enters* the session. That takes the same time whatever the user
has, unless the number of sessions is limited: then all entries are looked at. A *list* of devices,
and `revoke_user`, look at all of them. Reads and writes of sessions never look at the index.

"""
_HOT_NOTES: Final = """
A program that signs in at each of its calls, as one user, and never signs out, is how an index gets
that long. What bounds it:

- `max_sessions_per_user`: there are never more entries that count than that, so it bounds the time
  too. With 10 or 100, a limited sign-in costs little more than any other.
- `expire` and `lifetime`: a session that has ended leaves the index with the next purge.
- On Redis a script keeps the whole server busy, so what the table says of 10,000 is a pause for
  everybody. No limit is set by default: set one where programs sign in.
- In files the index of a user is one file, written anew at each sign-in: for a few hundred.

**One giant session.** It is read whole by each request that looks at it, and written whole by each
that changes it.

"""
_GIANT_NOTES: Final = """
- `max_size`, 65,536 bytes unless told otherwise, is the largest that is saved; more is
  `SessionTooLarge`, before anything is sent.
- Requests that change *one* session at once each meet what the others saved, and try again, at the
  cost of one round trip. In step with each other, `n` of them need up to `n (n + 1) / 2` updates
  (16 requests: 136 updates), for each time one of them gets through. That ends after 2 s with
  `SaveConflict`, a 503; a counter that all visitors share is not session data.
- `timeout` bounds what a node that does not keep up costs each request.
- Nobody can point at a node from outside: a handle is random, and an ID without a valid signature
  never reaches the store.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION, _BYTES, *_bytes(), _BYTES_NOTES, *_costs(), _TOUCHES, *_touches()]
    parts += [_CLUSTER, *_clusters(), *_carried()]
    if measured.FLAT:
        parts += [_FLAT, *_flat(), _FLAT_NOTES, _PURGE, *_purges()]
    return "".join([*parts, _HOT, *_users(), _HOT_NOTES, *_giants(), _GIANT_NOTES])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return [f"| {' | '.join(cells)} |\n" for cells in lines]


def _bytes() -> list[str]:
    head = ("engine", "overhead", "factor", "user", f"with {TYPICAL} bytes", "signed in")
    return _table(
        head,
        (
            (
                engine,
                *(f"{one.overhead:.0f}", f"{one.factor:.2f}", f"{one.user:.0f}"),
                *(f"{one.session(TYPICAL, signed_in=share):,.0f}" for share in (0, 1)),
            )
            for engine, one in measured.FOOTPRINTS.items()
        ),
    )


def _costs() -> list[str]:
    engines = list(measured.COSTS)
    rows = [
        (
            f"`{name}`",
            *(f"{measured.COSTS[engine][name].cpu:.0f}" for engine in engines),
            f"{cost.sent:.0f}",
            f"{cost.received:.0f}",
        )
        for name, cost in measured.COSTS["Redis"].items()
    ]
    return [
        "\n## What an operation costs the server\n\n",
        "Microseconds of the server's processors, and the bytes to and from Redis, one operation",
        " after the\nother over one connection.\n\n",
        *_table(("", *engines, "bytes to Redis", "bytes from it"), rows),
        "\nA plain read is one `get`; one that changes something is a `get` and an `update`; a new",
        " session is\none `create`. A sign-in adds `admit` and `confirm`.\n",
    ]


def _touches() -> list[str]:
    rows = [
        (
            f"{gap:g} s",
            f"{3600 / gap:,.0f}",
            f"{3600 * touches_a_second(gap, TOUCH_INTERVAL):.1f}",
            f"{TOUCH_INTERVAL / gap + 1:.1f}",
            f"{3600 * touches_at_a_beat(gap, TOUCH_INTERVAL):.1f}",
        )
        for gap in (1.0, 5.0, 20.0, 60.0, 300.0)
    ]
    head = ("a request each", "requests an hour", "touches an hour", "times fewer", "at a beat")
    return _table(head, rows)


def _clusters() -> list[str]:
    rows: list[Sequence[str]] = []
    for traffic in TRAFFIC:
        for count in COUNTS:
            found = cluster(count, traffic, measured.FOOTPRINTS["Redis"], measured.COSTS["Redis"])
            rows.append(
                (
                    f"{traffic.name}, {_power(count)}",
                    f"{_amount(found.memory)}B",
                    f"{_amount(found.operations)}",
                    f"{found.processor:,.2g}"
                    if found.processor < 10
                    else f"{found.processor:,.0f}",
                    f"{_amount(found.sent)}B / {_amount(found.received)}B",
                    f"{found.nodes} ({found.bound})",
                )
            )
    head = ("live sessions", "memory", "operations/s", "cores", "network/s, to / from", "primaries")
    return _table(head, rows)


def _carried() -> list[str]:
    rows = [
        (
            f"{nodes}",
            *(
                f"{_amount(most)} ({bound})"
                for most, bound in (
                    carries(
                        nodes, traffic, measured.FOOTPRINTS["Redis"], measured.COSTS["Redis"], _NODE
                    )
                    for traffic in TRAFFIC
                )
            ),
        )
        for nodes in NODES
    ]
    head = ("primaries", *(f"live sessions, {traffic.name}" for traffic in TRAFFIC))
    return [
        "\nThe other way round: what a number of primaries carries, and what bounds it.\n\n",
        *_table(head, rows),
    ]


def _flat() -> list[str]:
    sizes = measured.FLAT_SIZES
    head = ("", *(f"{size:,}" for size in sizes), "grows", "bare", "grows", "times bare")
    rows = [
        (
            f"{engine}: {name}",
            *(_short(time) for time in one.ours),
            *("" for _ in sizes[len(one.ours) :]),
            f"{one.ours[-1] / one.ours[0]:.2f}",
            f"{_short(one.bare[0])} to {_short(one.bare[-1])}",
            f"{one.bare[-1] / one.bare[0]:.2f}",
            f"{one.ours[0] / one.bare[0]:.2f} to {one.ours[-1] / one.bare[-1]:.2f}",
        )
        for engine, requests in measured.FLAT.items()
        for name, one in requests.items()
    ]
    return _table(head, rows)


def _short(microseconds: float) -> str:
    return f"{microseconds:.{0 if microseconds >= 100 else 1 if microseconds >= 10 else 2}f}"


def _purges() -> list[str]:
    rows = [
        (
            engine,
            f"{one.removed:,}",
            f"{one.seconds:.0f} s",
            f"{one.rate:,.0f}",
            f"{one.longest:.0f} ms",
        )
        for engine, one in measured.PURGES.items()
    ]
    return _table(("engine", "removed", "in", "a second", "longest step"), rows)


def _users() -> list[str]:
    rows = [
        (f"{engine}: {name}", *(_milliseconds(time) for time in times[name]))
        for engine, times in measured.HOT.items()
        for name in ("enter", "enter, limited", "list")
    ]
    return _table(("", *(f"{count:,} sessions" for count in SESSIONS)), rows)


def _giants() -> list[str]:
    rows = [
        (f"{engine}: {name}", *(_milliseconds(time) for time in times[name]))
        for engine, times in measured.HOT.items()
        for name in ("read", "write")
    ]
    return _table(("", *(f"{size:,} bytes" for size in PAYLOADS)), rows)


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g} ms"


def _power(number: float) -> str:
    return f"10^{len(f'{number:.0f}') - 1}"


def _amount(number: float) -> str:
    for unit in ("", "k", "M", "G", "T"):
        if number < 999.5:
            return f"{number:.3g} {unit}".rstrip() if unit == "" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} P"


def main(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
