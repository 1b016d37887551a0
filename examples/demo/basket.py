"""The basket: a value in the session, changed in place, the same for both sides.

    session["basket"] == {"scarf": {"quantity": 2, "price": Decimal("39.00"), "from": "Flask"}}

Nothing here knows a web framework. A `Decimal` comes back as a `Decimal`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

Data = MutableMapping[str, Any]
"""A session, of either framework."""
Basket = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Good:
    """Something that can be put in the basket."""

    key: str
    name: str
    picture: str
    price: Decimal


GOODS = {
    good.key: good
    for good in (
        Good("coat", "Winter coat", "🧥", Decimal("129.00")),
        Good("scarf", "Wool scarf", "🧣", Decimal("34.90")),
        Good("gloves", "Gloves", "🧤", Decimal("27.50")),
        Good("hat", "Top hat", "🎩", Decimal("58.25")),
    )
}


@dataclass(frozen=True)
class Row:
    """One line of the basket, as a page shows it."""

    good: Good
    quantity: int
    side: str
    """Where it was last put in."""
    sum: Decimal


def put(session: Data, key: str, side: str) -> None:
    """Put one more of the good in the basket."""
    basket: Basket = session.setdefault("basket", {})
    line = basket.setdefault(key, {"quantity": 0, "price": GOODS[key].price})
    line["quantity"] += 1
    line["from"] = side


def take(session: Data, key: str) -> None:
    """Take one of the good out of the basket; nothing happens if none is in there."""
    basket: Basket = session.get("basket", {})
    if key in basket:
        basket[key]["quantity"] -= 1
        if basket[key]["quantity"] < 1:
            del basket[key]


def rows(session: Data) -> list[Row]:
    """Return what is in the basket."""
    return [
        Row(GOODS[key], line["quantity"], line["from"], line["quantity"] * line["price"])
        for key, line in session.get("basket", {}).items()
    ]


def merge(base: Any, mine: Any, theirs: Any) -> Basket:
    """Settle two clicks at the same moment: both count.

    What requests wrote under different keys of the session is merged without being asked. Under
    one key the later request wins, unless a function knows better: `resolve={"basket": merge}`.
    """
    before, here, there = _basket(base), _basket(mine), _basket(theirs)
    merged: Basket = {}
    for key in {**there, **here}:
        quantity = _quantity(there, key) + _quantity(here, key) - _quantity(before, key)
        if quantity > 0:
            merged[key] = {**(here.get(key) or there[key]), "quantity": quantity}
    return merged


def _basket(value: Any) -> Basket:
    """Return the basket; an empty one for what stands for a key that is not in the session."""
    return cast(Basket, value) if isinstance(value, dict) else {}


def _quantity(basket: Basket, key: str) -> int:
    quantity: int = basket[key]["quantity"] if key in basket else 0
    return quantity
