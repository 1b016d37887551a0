"""What the pages of both sides show: the same, however each gets at the session."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from pprint import pformat
from typing import Any

import basket
from coatcheck import AsyncSession, Session

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
COOKIE = "coatcheck_demo"
"""Browsers send cookies to all ports of a host, so a name that your own project has would clash."""


@dataclass(frozen=True)
class Side:
    """One of the two applications."""

    name: str
    path: str
    """Where it is mounted."""
    access: str
    """How its code gets at the session."""


FLASK = Side("Flask", "/flask", "flask.session")
ASGI = Side("ASGI", "/asgi", "request.session")
SIDES = (FLASK, ASGI)
UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def counter(
    side: Side,
    session: Session | AsyncSession,
    users_sessions: Sequence[Session | AsyncSession],
    *,
    beside: bool,
) -> dict[str, Any]:
    """Return what the template `counter.html` needs; `beside` is within the page of both sides."""
    rows = basket.rows(session)
    return {
        "side": side,
        "sides": SIDES,
        "session": session,
        "users_sessions": users_sessions,
        "beside": "?beside" if beside else "",
        "goods": basket.GOODS.values(),
        "rows": rows,
        "sum": sum(row.sum for row in rows),
        "data": [
            (key, pformat(value, width=46, sort_dicts=False)) for key, value in session.items()
        ],
        "clock_time": clock_time,
        "distance": distance,
    }


def after(side: Side, *, beside: bool) -> str:
    """Return where a browser goes after a form: back to the page that it came from."""
    return f"/#{side.name.lower()}" if beside else f"{side.path}/"


def clock_time(moment: float) -> str:
    """Return the time of day here, and the day where it is not today."""
    local = datetime.fromtimestamp(moment).astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local.day} {local:%b %Y, %H:%M}"


def distance(moment: float) -> str:
    """Return how far from now that is, as people say it."""
    seconds = moment - time.time()
    size = abs(seconds)
    if size < 2:
        return "just now"
    length, unit = next(item for item in UNITS if size >= item[0])
    number = round(size / length)
    if unit == "day" and number > 1:
        unit = "days"
    return f"in {number} {unit}" if seconds > 0 else f"{number} {unit} ago"
