"""What can come of two parties: the sentence for the page, and what it means to the last key."""

from __future__ import annotations

from tests.two_parties.words import Left, Outcome, Told

# The old session stands.
STANDS = Outcome("The session stands.", "start")
A_KEPT = Outcome("The session stands, with A's change.", "start a")
B_KEPT = Outcome("The session stands, with B's change.", "start b")
BOTH_KEPT = Outcome("The session stands, with both changes.", "start a b")
EMPTIED = Outcome("The session stands, empty.", "")
B_CLEARS = Outcome("B wins. The session stands, empty; what A saved is cleared too.", "")
A_CLEARS = Outcome(
    "A wins. The session stands, empty; B's change is dropped.", "", told=Told("cleared", "b")
)
SAVE_MOVED = Outcome("The session stands, with A's change: the save moved the end.", "start a")
TOUCH_MOVED = Outcome("The session stands: the touch moved the end.", "start")
CLEAR_MOVED = Outcome("The session stands, empty: the clear is a save, and moved the end.", "")

# It ends.
ENDS = Outcome("The session ends.", Left.NOTHING)
ENDS_WITH_CHANGE = Outcome("The session ends, and A's change with it.", Left.NOTHING)
ENDS_EVERYWHERE = Outcome("B wins. The session ends under A's new ID too.", Left.NOTHING)
ENDS_THE_OLD_ONE = Outcome(
    "A's sign-in stands: it is not the anonymous session that B ends.", Left.NOTHING, a="start a"
)
OVER = Outcome("A wins. The session is over.", Left.NOTHING)
OVER_SAVE = Outcome(
    "A wins. The session is over; B's change is dropped.", Left.NOTHING, told=Told("gone", "b")
)
OVER_CLEAR = Outcome(
    "A wins. The session is over; nothing is left to clear.",
    Left.NOTHING,
    told=Told("gone", "start"),
)
OVER_REGENERATE = Outcome(
    "A wins. The session is over; it gets no new ID.", Left.NOTHING, told=Told("gone", "")
)
OVER_LOGIN = Outcome(
    "The session is over. B's sign-in is a session of its own, which has only what B wrote after"
    " `login()`.",
    Left.NOTHING,
    b="b-late",
    told=Told("gone", "b-early"),
)

# It goes on as the one whose ID B's response sends.
B_GOES_ON = Outcome("The session goes on under B's new ID.", b="start")
B_GOES_ON_WITH_CHANGE = Outcome(
    "The session goes on under B's new ID, with A's change.", b="start a"
)
B_GOES_ON_EMPTY = Outcome("The session goes on under B's new ID, empty as A left it.", b="")
B_SIGNS_IN = Outcome("The session goes on as B's new one.", b="start b")
B_SIGNS_IN_WITH_CHANGE = Outcome(
    "The session goes on as B's new one, with A's change.", b="start a b"
)
B_SIGNS_IN_EMPTY = Outcome(
    "The session goes on as B's new one, which has only what B wrote after `login()`.",
    b="b-late",
    told=Told("cleared", "b-early"),
)

# It goes on as the one whose ID A's response sends.
A_WENT_ON = Outcome("The session goes on under A's new ID.", a="start")
A_SIGNED_IN = Outcome("The session goes on as A's new one.", a="start a")
A_WENT_ON_MOVED = Outcome(
    "The session stands under A's new ID: the regeneration moved the end.", Left.NOTHING, a="start"
)
A_SIGNED_IN_AFRESH = Outcome(
    "A's new session stands: its times began with it.", Left.NOTHING, a="start a"
)
B_JOINS_SIGN_IN = Outcome(
    "One session: B joins A's new one, and saves its changes there.", a="start a b"
)
B_JOINS = Outcome("One session: B joins A's new one, and saves its changes there.", a="start b")
TWO_SESSIONS = Outcome(
    "Two sessions: the anonymous one under A's new ID, and B's sign-in, which has only what B wrote"
    " after `login()`.",
    a="start",
    b="b-late",
    told=Told("replaced", "b-early"),
)


def replaced(a: str) -> tuple[Outcome, Outcome, Outcome]:
    """Return what comes of B's save, regenerate and clear, where A's new session holds `a`."""
    first = "A wins. The session goes on under A's new ID"
    return (
        Outcome(f"{first}; B's change is dropped.", a=a, told=Told("replaced", "b")),
        Outcome(f"{first}, and under no third one.", a=a, told=Told("replaced", "")),
        Outcome(f"{first}; it is not cleared.", a=a, told=Told("replaced", "start")),
    )


# B begins afterwards, with the old ID, and within 5 s of a `login` or `regenerate`: it is mute.
_JOINS_LATE = "One session: B joins A's new one. What B wrote before `login()` is dropped."
B_JOINS_SIGN_IN_MUTE = Outcome(_JOINS_LATE, a="start a b-late", told=Told("replaced", "b-early"))
B_JOINS_MUTE = Outcome(_JOINS_LATE, a="start b-late", told=Told("replaced", "b-early"))


def mute(a: str) -> tuple[Outcome, Outcome, Outcome]:
    """Return what comes of B's save, touch, and clear or regenerate."""
    return (
        Outcome("A's session stands; B's change is dropped.", a=a, told=Told("replaced", "b")),
        Outcome("A's session stands; B sees an empty, anonymous one.", a=a),
        Outcome("A's session stands; B's call does nothing.", a=a, told=Told("replaced", "")),
    )


# B begins later than that: it is a visitor with an unknown ID.


def apart(a: str) -> tuple[Outcome, Outcome, Outcome, Outcome, Outcome]:
    """Return what comes of B's save, touch, login, logout or destroy, and clear or regenerate."""
    return (
        Outcome("A's session stands; B begins another one, which is anonymous.", a=a, b="b"),
        Outcome("A's session stands; B sees an empty, anonymous one.", a=a),
        Outcome("Two sessions: A's, and B's sign-in.", a=a, b="b"),
        Outcome("A's session stands: the old ID leads to it no longer.", a=a),
        Outcome("A's session stands; B's call does nothing.", a=a),
    )


# B begins after the end.
STRANGER = Outcome("B sees an empty, anonymous session.", Left.NOTHING)
STRANGER_SAVES = Outcome("B begins a session of its own, which is anonymous.", Left.NOTHING, b="b")
STRANGER_SIGNS_IN = Outcome("B's sign-in is a session of its own.", Left.NOTHING, b="b")
STRANGER_ENDS = Outcome("Nothing is left to end.", Left.NOTHING)
STRANGER_CALLS = Outcome("B's call does nothing.", Left.NOTHING)

# One key, changed by both.
B_OVERWRITES = Outcome("B wins: its value stands.", "start=b", overwritten="start")
B_REMOVES = Outcome("B wins: the key is gone.", "", overwritten="start")
REMOVED_AND_KEPT = Outcome("Both: the key is gone, and B's change is kept.", "b")

# A clear, and something written after it.
A_CLEARED_AND_WROTE = Outcome(
    "A wins. The session has what A wrote after the clear; B's change is dropped.",
    "a",
    told=Told("cleared", "b"),
)
B_CLEARED_AND_WROTE = Outcome("B wins. The session has what B wrote after the clear.", "b")

# Another user.
BOB_SIGNS_IN = Outcome(
    "Bob's new session has only what B wrote after `login()`. Ann's ends, and A's change with it.",
    b="b-late",
)
BOB_SIGNED_IN = Outcome(
    "A wins. Bob's new session stands; B's change, meant for Ann's, is dropped.",
    a="a-late",
    told=Told("replaced", "b"),
)
BOB_STANDS = Outcome("Ann's session is over. Bob's stands.", Left.NOTHING, a="a-late")
BOB_STANDS_REPLACED = Outcome("Ann's session is over. Bob's stands.", a="a-late")
ANN_AND_BOB = Outcome("Two sessions: A's new one of Ann's, and Bob's.", a="start a", b="b-late")
BOB_AND_ANN = Outcome(
    "Two sessions: Bob's, and Ann's, which has only what B wrote after `login()`.",
    a="a-late",
    b="b-late",
    told=Told("replaced", "b-early"),
)
ANN_GOES_ON_AND_BOB = Outcome(
    "Two sessions: Ann's under A's new ID, and Bob's.", a="start", b="b-late"
)

# All sessions of the user.
NEW_ONE_ENDS = Outcome("A's new session ends.")

# The end of the lifetime.
LIFETIME_ENDS = Outcome("The session ends: that end does not move.", Left.NOTHING)
LIFETIME_BEGAN = Outcome(
    "A's new session stands: its lifetime began with it.", Left.NOTHING, a="start a"
)
