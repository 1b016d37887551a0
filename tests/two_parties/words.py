"""The words of the two-party table: what a party does, what then stands, and which cookie leaves.

Each outcome has the sentence for the page and, beside it, what the sentence means. There is no
other prose in the table, so nothing stands on the page that no test has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from coatcheck.session import Session


@dataclass(frozen=True)
class Act:
    """What one of the two parties does."""

    name: str
    does: str
    """On the page; the party is the subject if this is a request."""
    means: str = ""
    """What that is, on the page."""
    request: Callable[[Session, str], object] | None = None
    """What the application does with the session, given the name of the party; `None`: the act is
    no request of the client, but comes from beside."""
    user: str | None = None
    """Whom it signs in."""
    writes: tuple[str, ...] = ()
    """The keys that it writes; `{}` is the party's name."""
    ends: bool = False
    """Whether it takes effect when it is called, and not at the commit."""

    @property
    def signs_in(self) -> bool:
        """Whether this is a `login`."""
        return self.user is not None


def _signing_in(user: str) -> Callable[[Session, str], object]:
    def act(session: Session, party: str) -> None:
        session[f"{party}-early"] = party
        session.login(user)
        session[f"{party}-late"] = party

    return act


def _clear_and_write(session: Session, party: str) -> None:
    session.clear()
    session[party] = party


_LOGIN_WRITES: Final = ("{}-early", "{}-late")

SAVE = Act(
    "save",
    "saves",
    "a key is changed, by each party another one",
    lambda one, party: one.update({party: party}),
    writes=("{}",),
)
TOUCH = Act(
    "touch", "touches", "the session is only read, and a touch is due", lambda one, _: dict(one)
)
LOGIN = Act(
    "login",
    "signs in",
    '`login("ann")`, and something is written before it and after it',
    _signing_in("ann"),
    "ann",
    _LOGIN_WRITES,
)
LOGOUT = Act("logout", "signs out", "`logout()`", lambda one, _: one.logout(), ends=True)
REGENERATE = Act("regenerate", "regenerates", "`regenerate()`", lambda one, _: one.regenerate())
CLEAR = Act("clear", "clears", "`clear()`", lambda one, _: one.clear())
DESTROY = Act("destroy", "destroys", "`destroy()`", lambda one, _: one.destroy(), ends=True)
EXPIRE = Act(
    "expire", "the idle timeout ends", "the moment comes at which it would, as both have loaded it"
)
REVOKE = Act(
    "revoke",
    "an administrator revokes",
    "`manager.revoke(handle)`, of the session that both have loaded",
)
PURGE = Act("purge", "a purge runs", "what has expired is removed from the store")

ACTS: Final = (
    SAVE,
    TOUCH,
    LOGIN,
    LOGOUT,
    REGENERATE,
    CLEAR,
    DESTROY,
    EXPIRE,
    REVOKE,
    PURGE,
)
REQUESTS: Final = tuple(act for act in ACTS if act.request is not None)

# Close relatives, for the cells that stand below the tables.
CHANGE = Act(
    "change", "changes a key that was there", "", lambda one, party: one.update(start=party)
)
REMOVE = Act("remove", "removes a key that was there", "", lambda one, _: one.pop("start"))
CLEAR_AND_WRITE = Act("clear-write", "clears and writes", "", _clear_and_write, writes=("{}",))
LOGIN_BOB = Act("login-bob", "signs in as Bob", "", _signing_in("bob"), "bob", _LOGIN_WRITES)
REVOKE_USER = Act("revoke-user", "all of Ann's sessions are revoked")
LIFETIME = Act("lifetime", "the lifetime ends")
LATE_PURGE = Act("late-purge", "the idle timeout ends, and a purge removes the session")


class Start(Enum):
    """Whose the session is that both have loaded."""

    ANONYMOUS = "nobody's"
    ANNS = "Ann's"


BOTH: Final = (Start.ANONYMOUS, Start.ANNS)


class When(Enum):
    """When the second party begins."""

    OVERLAP = "before A commits"
    SOON = "less than 5 s after A's commit, still with the old ID"
    LATER = "5 s after A's commit or later, still with the old ID"


OVERLAP: Final = (When.OVERLAP,)


class Cookie(Enum):
    """What a response carries."""

    NONE = "none"
    NEW = "new ID"
    JOINED = "A's new ID"
    DELETION = "deletion"
    SILENT = "no response"


NONE, NEW, JOINED, DELETION, SILENT = Cookie


@dataclass(frozen=True)
class Told:
    """What is dropped of what B did, and told."""

    reason: str
    keys: str


class Left(Enum):
    """What lies in the store under the old ID, if it is no session."""

    TOMBSTONE = "a tombstone"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Outcome:
    """What stands in the end, in words and exactly.

    What sessions hold are keys, between blanks: `start` was there before, `a` is all that A wrote,
    `b` all that B wrote, and `b-late` what B wrote after `login()`. `start=b` has B's value.
    """

    words: str = field(compare=False)
    old: str | Left = Left.TOMBSTONE
    """What the old session holds, or what took its place."""
    a: str | None = None
    """What the session holds that A began, if A began one that stands."""
    b: str | None = None
    told: Told | None = None
    overwritten: str | None = None
    """The key that B overwrites, which `KeyOverwritten` tells."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table: the two parties, and what comes of it."""

    first: Act
    second: Act
    outcome: Outcome
    cookies: tuple[Cookie, Cookie]
    starts: tuple[Start, ...] = BOTH
    whens: tuple[When, ...] = OVERLAP

    def __str__(self) -> str:
        parts = [self.first.name, self.second.name]
        if self.whens != OVERLAP:
            parts += [when.name.lower() for when in self.whens]
        if self.starts != BOTH:
            parts += [start.name.lower() for start in self.starts]
        return "-".join(parts)
