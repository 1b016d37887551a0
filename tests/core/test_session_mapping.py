"""The session as a mapping: what dict does, and that nested changes are seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, MutableMapping
from enum import StrEnum
from typing import Any

import pytest

from coatcheck.session import Session
from tests.core.harness import Browser

DAY = 86_400.0
Act = Callable[[Any], object]


def test_it_is_a_mutable_mapping(session: Session) -> None:
    """What takes a mutable mapping takes a session."""
    assert isinstance(session, MutableMapping)
    assert list(session) == ["name", "cart", "nested", "n"]
    assert len(session) == 4
    assert "name" in session
    assert "other" not in session
    assert bool(session)
    assert session["n"] == 1
    session["n"] = 2
    del session["cart"]
    assert dict(session) == {"name": "Ann", "nested": {"a": {"b": [1]}}, "n": 2}
    assert list(session.keys()) == ["name", "nested", "n"]
    assert next(iter(session.values())) == "Ann"
    assert ("n", 2) in session.items()


def test_an_empty_session_is_false(browser: Browser) -> None:
    """A session without data is falsy, as an empty dict is."""
    session = browser.begin().session
    assert not session
    assert len(session) == 0
    assert list(session) == []


def test_get_has_a_default(session: Session) -> None:
    """`get` gives the value, else the default, else None."""
    assert session.get("name") == "Ann"
    assert session.get("missing") is None
    assert session.get("missing", 0) == 0
    assert session.get("name", 0) == "Ann"


def test_pop_and_popitem_remove(session: Session) -> None:
    """`pop` returns what it removes, its default, or raises; `popitem` empties the session."""
    assert session.pop("n") == 1
    assert session.pop("n", None) is None
    assert session.pop("n", 7) == 7
    with pytest.raises(KeyError, match="'n' is not in the session"):
        session.pop("n")
    while session:
        session.popitem()
    with pytest.raises(KeyError):
        session.popitem()


def test_setdefault_stores_only_what_is_missing(session: Session) -> None:
    """`setdefault` keeps what is there, and returns what then is."""
    assert session.setdefault("n", 5) == 1
    assert session.setdefault("m", 5) == 5
    assert session.setdefault("none") is None
    assert session["m"] == 5


def test_update_takes_what_dict_takes(session: Session) -> None:
    """A mapping, pairs, keywords, another session, or nothing."""
    session.update({"a": 1}, b=2)
    session.update([("c", 3)])
    session.update(d=4)
    session.update()
    session |= {"e": 5}
    session |= [("f", 6)]
    assert [session[key] for key in "abcdef"] == [1, 2, 3, 4, 5, 6]


def test_update_is_all_or_nothing(session: Session) -> None:
    """Where one key is wrong, none is set."""
    wrong: Any = {"a": 1, 2: "b"}
    with pytest.raises(TypeError, match="write str"):
        session.update(wrong)
    assert "a" not in session


class _Color(StrEnum):
    RED = "red"


@pytest.mark.parametrize("key", [1, None, b"k", ("a",), True, _Color.RED])
def test_keys_are_strings(session: Session, key: Any) -> None:
    """Any other key is refused at once, for it would come back as another."""
    with pytest.raises(TypeError, match="session keys are strings"):
        session[key] = 1
    assert key not in session or key == "red"


def test_clear_empties_and_keeps_the_id(browser: Browser, session: Session) -> None:
    """`clear` leaves the identity as it is."""
    before = session.id
    session.clear()
    assert dict(session) == {}
    assert session.id == before


def test_or_and_copy_give_plain_dicts(session: Session) -> None:
    """`copy`, `|` and its mirror image make plain dicts, and change nothing."""
    for made in (session.copy(), session | {}, {} | session):
        assert type(made) is dict
        assert made == dict(session)
    assert (session | {"n": 2})["n"] == 2
    assert ({"n": 2} | session)["n"] == 1
    assert session["n"] == 1


def test_equality_is_that_of_the_data(browser: Browser, session: Session) -> None:
    """A session equals a dict of its data, and no other session."""
    assert session == session.copy()
    assert session != {}
    assert session == session
    assert session != browser.begin().session
    assert (session == 5) is False


def test_it_cannot_be_hashed(session: Session) -> None:
    """A mapping that changes has no hash."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(session)


COPIES: list[Act] = [copy.copy, copy.deepcopy, lambda session: session.__reduce_ex__(2)]


@pytest.mark.parametrize("use", COPIES)
def test_sec_84_it_refuses_to_be_copied(session: Session, use: Act) -> None:
    """Copies and pickles of a session would be stored nowhere: the error names `copy()`."""
    with pytest.raises(TypeError, match=r"take its data with session\.copy\(\)"):
        use(session)


@pytest.mark.parametrize(
    ("key", "hint"), [("nmae", "did you mean 'name'?"), ("carts", "'cart'?"), ("zzz", "session'")]
)
def test_a_missing_key_is_named_with_the_nearest(session: Session, key: str, hint: str) -> None:
    """A typo is answered with what may have been meant, by `[]`, `del` and `pop`."""
    for use in (session.__getitem__, session.__delitem__, session.pop):
        with pytest.raises(KeyError) as caught:
            use(key)
        assert f"{key!r} is not in the session" in str(caught.value)
        assert hint in str(caught.value) or hint == "session'"


# Nested changes

NESTED: list[Act] = [
    lambda session: session["cart"].append("milk"),
    lambda session: session.get("cart").append("milk"),
    lambda session: list(session.values())[1].append("milk"),
    lambda session: dict(session.items())["cart"].append("milk"),
    lambda session: session.copy()["cart"].append("milk"),
    lambda session: (session | {})["cart"].append("milk"),
    lambda session: dict(session)["cart"].append("milk"),
    lambda session: session.setdefault("cart", []).append("milk"),
    lambda session: session["nested"]["a"]["b"].append(2),
    lambda session: session["nested"]["a"].update(c=3),
]


@pytest.mark.parametrize("change", NESTED)
def test_nested_changes_are_seen(browser: Browser, session: Session, change: Act) -> None:
    """However a value was handed out, what is changed inside it is stored."""
    exchange = browser.begin()
    before = browser.saved()
    change(exchange.session)
    exchange.finish()
    assert browser.saved() != before
    assert browser.saved() == dict(exchange.session)


def test_a_value_put_in_may_still_change(browser: Browser) -> None:
    """What was stored is the object itself until the commit, as in a dict."""
    cart: list[str] = []
    exchange = browser.begin()
    exchange.session["cart"] = cart
    cart.append("tea")
    exchange.finish()
    assert browser.saved() == {"cart": ["tea"]}
