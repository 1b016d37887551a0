"""The two-party table: what wins, and which cookie leaves, as a human states it from the design."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.two_parties import outcomes as then
from tests.two_parties.words import (
    BOTH,
    CHANGE,
    CLEAR,
    CLEAR_AND_WRITE,
    DELETION,
    DESTROY,
    EXPIRE,
    JOINED,
    LATE_PURGE,
    LIFETIME,
    LOGIN,
    LOGIN_BOB,
    LOGOUT,
    NEW,
    NONE,
    OVERLAP,
    PURGE,
    REGENERATE,
    REMOVE,
    REVOKE,
    REVOKE_USER,
    SAVE,
    SILENT,
    TOUCH,
    Act,
    Cell,
    Cookie,
    Outcome,
    Start,
    When,
)

_NOBODYS: Final = (Start.ANONYMOUS,)
_ANNS: Final = (Start.ANNS,)


class B(NamedTuple):
    """What the second party does, what comes of it, its cookie, and whose the session was."""

    act: Act
    outcome: Outcome
    cookie: Cookie
    starts: tuple[Start, ...] = BOTH


def _row(first: Act, cookie: Cookie, *entries: B, whens: tuple[When, ...] = OVERLAP) -> list[Cell]:
    """Make the cells in which A does one thing, and its response carries one cookie."""
    return [
        Cell(first, entry.act, entry.outcome, (cookie, entry.cookie), entry.starts, whens)
        for entry in entries
    ]


def _ended(first: Act, cookie: Cookie) -> list[Cell]:
    """Make the row of what ends a session: it is over, whatever ended it."""
    return _row(
        first,
        cookie,
        B(SAVE, then.OVER_SAVE, NONE),
        B(TOUCH, then.OVER, NONE),
        B(LOGIN, then.OVER_LOGIN, NEW),
        B(LOGOUT, then.OVER, DELETION),
        B(REGENERATE, then.OVER_REGENERATE, NONE),
        B(CLEAR, then.OVER_CLEAR, NONE),
        B(DESTROY, then.OVER, DELETION),
        B(EXPIRE, then.OVER, SILENT),
        B(REVOKE, then.OVER, SILENT),
        B(PURGE, then.OVER, SILENT),
    )


_save, _regenerate, _clear = then.replaced("start a")
_save_r, _regenerate_r, _clear_r = then.replaced("start")

OVERLAPPING: Final[tuple[Cell, ...]] = (
    *_row(
        SAVE,
        NONE,
        B(SAVE, then.BOTH_KEPT, NONE),
        B(TOUCH, then.A_KEPT, NONE),
        B(LOGIN, then.B_SIGNS_IN_WITH_CHANGE, NEW),
        B(LOGOUT, then.ENDS_WITH_CHANGE, DELETION),
        B(REGENERATE, then.B_GOES_ON_WITH_CHANGE, NEW),
        B(CLEAR, then.B_CLEARS, NONE),
        B(DESTROY, then.ENDS_WITH_CHANGE, DELETION),
        B(EXPIRE, then.SAVE_MOVED, SILENT),
        B(REVOKE, then.ENDS_WITH_CHANGE, SILENT),
        B(PURGE, then.A_KEPT, SILENT),
    ),
    *_row(
        TOUCH,
        NONE,
        B(SAVE, then.B_KEPT, NONE),
        B(TOUCH, then.STANDS, NONE),
        B(LOGIN, then.B_SIGNS_IN, NEW),
        B(LOGOUT, then.ENDS, DELETION),
        B(REGENERATE, then.B_GOES_ON, NEW),
        B(CLEAR, then.EMPTIED, NONE),
        B(DESTROY, then.ENDS, DELETION),
        B(EXPIRE, then.TOUCH_MOVED, SILENT),
        B(REVOKE, then.ENDS, SILENT),
        B(PURGE, then.STANDS, SILENT),
    ),
    *_row(
        LOGIN,
        NEW,
        B(SAVE, _save, NONE),
        B(TOUCH, then.A_SIGNED_IN, NONE),
        B(LOGIN, then.B_JOINS_SIGN_IN, JOINED),
        B(LOGOUT, then.ENDS_THE_OLD_ONE, DELETION, _NOBODYS),
        B(LOGOUT, then.ENDS_EVERYWHERE, DELETION, _ANNS),
        B(REGENERATE, _regenerate, NONE),
        B(CLEAR, _clear, NONE),
        B(DESTROY, then.ENDS_THE_OLD_ONE, DELETION, _NOBODYS),
        B(DESTROY, then.ENDS_EVERYWHERE, DELETION, _ANNS),
        B(EXPIRE, then.A_SIGNED_IN_AFRESH, SILENT),
        B(REVOKE, then.ENDS_THE_OLD_ONE, SILENT, _NOBODYS),
        B(REVOKE, then.ENDS_EVERYWHERE, SILENT, _ANNS),
        B(PURGE, then.A_SIGNED_IN, SILENT),
    ),
    *_ended(LOGOUT, DELETION),
    *_row(
        REGENERATE,
        NEW,
        B(SAVE, _save_r, NONE),
        B(TOUCH, then.A_WENT_ON, NONE),
        B(LOGIN, then.TWO_SESSIONS, NEW, _NOBODYS),
        B(LOGIN, then.B_JOINS, JOINED, _ANNS),
        B(LOGOUT, then.ENDS_EVERYWHERE, DELETION),
        B(REGENERATE, _regenerate_r, NONE),
        B(CLEAR, _clear_r, NONE),
        B(DESTROY, then.ENDS_EVERYWHERE, DELETION),
        B(EXPIRE, then.A_WENT_ON_MOVED, SILENT),
        B(REVOKE, then.ENDS_EVERYWHERE, SILENT),
        B(PURGE, then.A_WENT_ON, SILENT),
    ),
    *_row(
        CLEAR,
        NONE,
        B(SAVE, then.A_CLEARS, NONE),
        B(TOUCH, then.EMPTIED, NONE),
        B(LOGIN, then.B_SIGNS_IN_EMPTY, NEW),
        B(LOGOUT, then.ENDS, DELETION),
        B(REGENERATE, then.B_GOES_ON_EMPTY, NEW),
        B(CLEAR, then.EMPTIED, NONE),
        B(DESTROY, then.ENDS, DELETION),
        B(EXPIRE, then.CLEAR_MOVED, SILENT),
        B(REVOKE, then.ENDS, SILENT),
        B(PURGE, then.EMPTIED, SILENT),
    ),
    *_ended(DESTROY, DELETION),
    *_ended(EXPIRE, SILENT),
    *_ended(REVOKE, SILENT),
    *_row(
        PURGE,
        SILENT,
        B(SAVE, then.B_KEPT, NONE),
        B(TOUCH, then.STANDS, NONE),
        B(LOGIN, then.B_SIGNS_IN, NEW),
        B(LOGOUT, then.ENDS, DELETION),
        B(REGENERATE, then.B_GOES_ON, NEW),
        B(CLEAR, then.EMPTIED, NONE),
        B(DESTROY, then.ENDS, DELETION),
        B(EXPIRE, then.ENDS, SILENT),
        B(REVOKE, then.ENDS, SILENT),
        B(PURGE, then.STANDS, SILENT),
    ),
)
"""Each act beside each."""

_mute_save, _mute_touch, _mute_call = then.mute("start a")
_mute_save_r, _mute_touch_r, _mute_call_r = then.mute("start")


def _apart(first: Act, a: str) -> list[Cell]:
    """Make the cells in which B begins later than 5 s after a `login` or `regenerate`."""
    save, touch, login, end, call = then.apart(a)
    return _row(
        first,
        NEW,
        B(SAVE, save, NEW),
        B(TOUCH, touch, NONE),
        B(LOGIN, login, NEW),
        B(LOGOUT, end, DELETION),
        B(REGENERATE, call, NONE),
        B(CLEAR, call, NONE),
        B(DESTROY, end, DELETION),
        whens=(When.LATER,),
    )


def _after_the_end(first: Act, cookie: Cookie) -> list[Cell]:
    """Make the cells in which B begins after the end of the session."""
    return _row(
        first,
        cookie,
        B(SAVE, then.STRANGER_SAVES, NEW),
        B(TOUCH, then.STRANGER, NONE),
        B(LOGIN, then.STRANGER_SIGNS_IN, NEW),
        B(LOGOUT, then.STRANGER_ENDS, DELETION),
        B(REGENERATE, then.STRANGER_CALLS, NONE),
        B(CLEAR, then.STRANGER_CALLS, NONE),
        B(DESTROY, then.STRANGER_ENDS, DELETION),
        whens=(When.SOON, When.LATER),
    )


AFTERWARDS: Final[tuple[Cell, ...]] = (
    *_row(
        LOGIN,
        NEW,
        B(SAVE, _mute_save, NONE),
        B(TOUCH, _mute_touch, NONE),
        B(LOGIN, then.B_JOINS_SIGN_IN_MUTE, JOINED),
        B(LOGOUT, then.ENDS_THE_OLD_ONE, DELETION, _NOBODYS),
        B(LOGOUT, then.ENDS_EVERYWHERE, DELETION, _ANNS),
        B(REGENERATE, _mute_call, NONE),
        B(CLEAR, _mute_call, NONE),
        B(DESTROY, then.ENDS_THE_OLD_ONE, DELETION, _NOBODYS),
        B(DESTROY, then.ENDS_EVERYWHERE, DELETION, _ANNS),
        whens=(When.SOON,),
    ),
    *_apart(LOGIN, "start a"),
    *_after_the_end(LOGOUT, DELETION),
    *_row(
        REGENERATE,
        NEW,
        B(SAVE, _mute_save_r, NONE),
        B(TOUCH, _mute_touch_r, NONE),
        B(LOGIN, then.TWO_SESSIONS, NEW, _NOBODYS),
        B(LOGIN, then.B_JOINS_MUTE, JOINED, _ANNS),
        B(LOGOUT, then.ENDS_EVERYWHERE, DELETION),
        B(REGENERATE, _mute_call_r, NONE),
        B(CLEAR, _mute_call_r, NONE),
        B(DESTROY, then.ENDS_EVERYWHERE, DELETION),
        whens=(When.SOON,),
    ),
    *_apart(REGENERATE, "start"),
    *_after_the_end(DESTROY, DELETION),
    *_after_the_end(EXPIRE, SILENT),
    *_after_the_end(REVOKE, SILENT),
)
"""Where it matters that B begins when A is through, and still with the old ID."""

RELATIVES: Final[tuple[Cell, ...]] = (
    *_row(CHANGE, NONE, B(CHANGE, then.B_OVERWRITES, NONE), B(REMOVE, then.B_REMOVES, NONE)),
    *_row(REMOVE, NONE, B(CHANGE, then.B_OVERWRITES, NONE), B(SAVE, then.REMOVED_AND_KEPT, NONE)),
    *_row(
        CLEAR_AND_WRITE,
        NONE,
        B(SAVE, then.A_CLEARED_AND_WROTE, NONE),
        B(CLEAR_AND_WRITE, then.B_CLEARED_AND_WROTE, NONE),
    ),
    *_row(SAVE, NONE, B(CLEAR_AND_WRITE, then.B_CLEARED_AND_WROTE, NONE)),
    *_row(
        LOGIN_BOB,
        NEW,
        B(SAVE, then.BOB_SIGNED_IN, NONE, _ANNS),
        B(LOGIN, then.BOB_AND_ANN, NEW, _ANNS),
        B(LOGOUT, then.BOB_STANDS, DELETION, _ANNS),
        B(REVOKE, then.BOB_STANDS, SILENT, _ANNS),
        B(REVOKE_USER, then.BOB_STANDS_REPLACED, SILENT, _ANNS),
    ),
    *_row(SAVE, NONE, B(LOGIN_BOB, then.BOB_SIGNS_IN, NEW, _ANNS)),
    *_row(LOGIN, NEW, B(LOGIN_BOB, then.ANN_AND_BOB, NEW, _ANNS)),
    *_row(REGENERATE, NEW, B(LOGIN_BOB, then.ANN_GOES_ON_AND_BOB, NEW, _ANNS)),
    *_row(SAVE, NONE, B(REVOKE_USER, then.ENDS_WITH_CHANGE, SILENT, _ANNS)),
    *_row(LOGIN, NEW, B(REVOKE_USER, then.NEW_ONE_ENDS, SILENT)),
    *_row(REGENERATE, NEW, B(REVOKE_USER, then.NEW_ONE_ENDS, SILENT, _ANNS)),
    *_row(
        REVOKE_USER,
        SILENT,
        B(SAVE, then.OVER_SAVE, NONE, _ANNS),
        B(LOGIN, then.OVER_LOGIN, NEW, _ANNS),
        B(REGENERATE, then.OVER_REGENERATE, NONE, _ANNS),
    ),
    *_row(SAVE, NONE, B(LIFETIME, then.LIFETIME_ENDS, SILENT)),
    *_row(TOUCH, NONE, B(LIFETIME, then.LIFETIME_ENDS, SILENT)),
    *_row(CLEAR, NONE, B(LIFETIME, then.LIFETIME_ENDS, SILENT)),
    *_row(REGENERATE, NEW, B(LIFETIME, then.LIFETIME_ENDS, SILENT)),
    *_row(LOGIN, NEW, B(LIFETIME, then.LIFETIME_BEGAN, SILENT)),
    *_row(
        LIFETIME,
        SILENT,
        B(SAVE, then.OVER_SAVE, NONE),
        B(TOUCH, then.OVER, NONE),
        B(LOGIN, then.OVER_LOGIN, NEW),
        B(LOGOUT, then.OVER, DELETION),
        B(REGENERATE, then.OVER_REGENERATE, NONE),
        B(CLEAR, then.OVER_CLEAR, NONE),
    ),
    *_row(
        LATE_PURGE,
        SILENT,
        B(SAVE, then.OVER_SAVE, NONE),
        B(TOUCH, then.OVER, NONE),
        B(LOGIN, then.OVER_LOGIN, NEW),
        B(LOGOUT, then.OVER, DELETION),
        B(REGENERATE, then.OVER_REGENERATE, NONE),
        B(CLEAR, then.OVER_CLEAR, NONE),
    ),
)
"""Close relatives of these cells."""

CELLS: Final = (*OVERLAPPING, *AFTERWARDS, *RELATIVES)
