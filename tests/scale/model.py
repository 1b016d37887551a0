"""What many sessions take, and what their requests cost, by arithmetic from measured constants.

Bytes are decimal here: 1 GB is 10^9 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.footprint import TYPICAL, Bytes, Cost

VISIT_REQUESTS: Final = 20
"""Requests of a visit that look at the session."""
GAP: Final = 20.0
"""Seconds between two of them, on average; each length as likely as by chance (Poisson)."""
VISIT_WRITES: Final = 2
"""Requests of a visit that change something."""
SIGNED_IN: Final = 0.5
"""The share of sessions that have a user, and of new sessions that come of a sign-in."""
TOUCH_INTERVAL: Final = 60.0
"""The default, for an idle timeout of ten minutes or more."""


def touches_a_second(gap: float, interval: float) -> float:
    """Return the touches of a session whose requests come by chance, `gap` seconds apart.

    After a touch the next is due when the interval has passed, and made by the next request, which
    comes `gap` later, however long the last one is ago.
    """
    return 1 / (interval + gap)


def touches_at_a_beat(gap: float, interval: float) -> float:
    """Return the touches a second of a session whose requests come exactly `gap` seconds apart."""
    return 1 / (gap * max(1, math.ceil(interval / gap)))


@dataclass(frozen=True)
class Traffic:
    """How sessions are used."""

    name: str
    live: float
    """Seconds for which a session is there, from its creation until it has expired."""
    between: float
    """Seconds from the beginning of a visit to that of the next one to the same session; `live`
    where there is none."""

    def operations(self, *, interval: float = TOUCH_INTERVAL) -> dict[str, float]:
        """Return the operations a second that a live session costs, by name."""
        visits, births = 1 / self.between, 1 / self.live
        length = (VISIT_REQUESTS - 1) * GAP
        returns = max(0.0, visits - births)
        # The first request after a pause touches too; in a new session the creation does it.
        touches = visits * length * touches_a_second(GAP, interval) + returns
        return {
            "get": visits * VISIT_REQUESTS - births,
            "touch": touches,
            "update": visits * VISIT_WRITES,
            "create": births,
            "admit": births * SIGNED_IN,
            "confirm": births * SIGNED_IN,
        }


HOURS: Final = Traffic("an hour", live=19 * GAP + 3600, between=19 * GAP + 3600)
"""One visit to each session, then the idle timeout of an hour."""
MONTHS: Final = Traffic("remembered", live=60 * 86_400.0, between=2 * 86_400.0)
"""Visits every other day for a month, then a `remember` of 30 days that runs out."""
TRAFFIC: Final = (HOURS, MONTHS)


@dataclass(frozen=True)
class Node:
    """What a server has, and how much of it is to be used."""

    memory: float = 32e9
    """Bytes."""
    memory_share: float = 0.7
    """The rest is for fragmentation, for replicas that catch up and for what a fork copies."""
    processor_share: float = 0.5
    """Of the one core on which Redis runs commands; the rest is for bursts."""
    network: float = 125e6
    """Bytes a second each way: 1 Gbit/s."""
    network_share: float = 0.5


@dataclass(frozen=True)
class Cluster:
    """What a number of live sessions asks of a cluster."""

    memory: float
    """Bytes."""
    operations: float
    """A second."""
    processor: float
    """Seconds of a core in each second."""
    sent: float
    """Bytes a second to the servers."""
    received: float
    """Bytes a second from them."""
    nodes: int
    """Primaries that it takes; each needs a replica of the same size besides."""
    bound: str
    """What runs out first: `memory`, `processor` or `network`."""


def cluster(
    sessions: float,
    traffic: Traffic,
    footprint: Bytes,
    costs: Mapping[str, Cost],
    *,
    node: Node = Node(),
    size: float = TYPICAL,
) -> Cluster:
    """Return what that many live sessions with a payload of `size` bytes ask for."""
    rates = {name: rate * sessions for name, rate in traffic.operations().items()}
    memory = sessions * footprint.session(size, signed_in=SIGNED_IN)
    # A larger payload takes as many bytes more on the way, to the server or from it.
    grown = size - TYPICAL
    sent = sum(rate * costs[name].sent for name, rate in rates.items())
    sent += grown * (rates["update"] + rates["create"])
    received = sum(rate * costs[name].received for name, rate in rates.items())
    received += grown * rates["get"]
    processor = sum(rate * costs[name].cpu for name, rate in rates.items()) / 1e6
    needs = {
        "memory": memory / (node.memory * node.memory_share),
        "processor": processor / node.processor_share,
        "network": max(sent, received) / (node.network * node.network_share),
    }
    bound = max(needs, key=lambda name: needs[name])
    nodes = max(1, math.ceil(needs[bound]))
    return Cluster(memory, sum(rates.values()), processor, sent, received, nodes, bound)


def carries(
    nodes: int, traffic: Traffic, footprint: Bytes, costs: Mapping[str, Cost], node: Node = Node()
) -> tuple[float, str]:
    """Return how many live sessions that many primaries carry, and what bounds them."""
    one = 1e9
    needs = cluster(one, traffic, footprint, costs, node=node)
    limits = {
        "memory": node.memory * node.memory_share / needs.memory,
        "processor": node.processor_share / needs.processor,
        "network": node.network * node.network_share / max(needs.sent, needs.received),
    }
    bound = min(limits, key=lambda name: limits[name])
    return nodes * one * limits[bound], bound
