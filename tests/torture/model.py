"""The model: what may and must be seen, given what was acknowledged and when.

All times are of one clock. What ended before something else began was before it; of two things that
overlap, either may have been first, and the model accepts both. What nobody knows the outcome of
may have happened at any time after it began, or never.

A session is known by its handle. Its *life* has a name, which its data carries from handle to
handle: `regenerate` and a new sign-in of the same user go on with it, `clear` and a sign-in by
somebody else begin another. Handles that follow each other are a *family*.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from math import inf
from typing import Final

from tests.torture.journal import History, Operation, Seen

LOST: Final = "lost update"
LOST_SESSION: Final = "lost session"
REVIVED: Final = "resurrection"
FOREIGN: Final = "foreign data"
UNLISTED: Final = "missing from the user's list"
TOLD_WRONG: Final = "told that it was dropped, and kept"
ERROR: Final = "error that nobody may get"
ORPHAN: Final = "orphan left after the purge"
KINDS: Final = (LOST, LOST_SESSION, REVIVED, FOREIGN, UNLISTED, TOLD_WRONG, ERROR, ORPHAN)

_ENDS: Final = ("logout", "destroy", "delete", "revoke")
_REPLACES: Final = ("regenerate", "login", "sign-in")
_BEARS: Final = ("create", "clear", "sign-in")


class Verdict:
    """What was found against a history."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, what: str) -> None:
        """Note something that must not be."""
        self.found[kind].append(what)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())

    def __str__(self) -> str:
        lines = [f"{len(cases)} x {kind}" for kind, cases in self.found.items()]
        for kind, cases in self.found.items():
            lines += [f"  {kind}: {case}" for case in cases[:5]]
        return "\n".join(lines)


class Model:
    """Checks one history.

    Args:
        history: what all processes have written down.
        clock: what the application's clock showed, for each time of the history.
        life: the lifetime that `shorten` gives, in seconds of that clock.
        faults: whether the server or processes were killed: then the store may fail, and nobody
            knows what became of what was told to have been dropped.
    """

    def __init__(
        self, history: History, clock: Callable[[float], float], life: float, *, faults: bool
    ) -> None:
        self.verdict = Verdict()
        self.history = history
        self._clock = clock
        self._life = life
        self._faults = faults
        self._parents: dict[str, str] = {}
        self._gather()

    # What was done

    def _gather(self) -> None:
        acked = defaultdict[tuple[str, str], list[tuple[float, int]]](list)
        self._tried: dict[tuple[str, str, int], Operation] = {}
        self._counted = defaultdict[str, list[float]](list)
        self._counting = defaultdict[str, list[float]](list)
        self._births: dict[str, Operation] = {}
        self._made: dict[str, Operation] = {}
        self._handles = defaultdict[str, list[str]](list)
        """For each user the handles."""
        self._ended_handle: dict[str, float] = {}
        self._ended_life: dict[str, float] = {}
        self._attempts = defaultdict[str, list[Operation]](list)
        """For each handle what might have ended it."""
        self._revokes = defaultdict[str, list[Operation]](list)
        self._shortened: dict[str, Operation] = {}
        self._relogged = set[str]()
        for one in self.history.operations:
            self._gather_one(one, acked)
        for ends in self._counted.values():
            ends.sort()
        self._acked = defaultdict[str, dict[str, tuple[list[float], list[int]]]](dict)
        for (life, key), writes in acked.items():
            # One after the other by one writer, so both ascend.
            writes.sort()
            self._acked[life][key] = [end for end, _ in writes], [number for _, number in writes]
        self._family_attempts = defaultdict[str, list[Operation]](list)
        self._family_short: dict[str, float] = {}
        self._family_relogged = {self._family(handle) for handle in self._relogged}
        for handle, attempts in self._attempts.items():
            self._family_attempts[self._family(handle)] += [
                one for one in attempts if one.kind in _ENDS
            ]
        short = {self._family(handle) for handle in self._shortened}
        for handle, made in self._made.items():
            # Each replacement takes over the time of the first.
            family = self._family(handle)
            if family in short:
                self._family_short[family] = min(made.begin, self._family_short.get(family, inf))

    def _gather_one(
        self, one: Operation, acked: dict[tuple[str, str], list[tuple[float, int]]]
    ) -> None:
        done = one.result == "ok"
        life = one.bears if one.kind in _BEARS else one.born
        if one.bears is not None:
            self._births[one.bears] = one
        if one.wrote is not None and life is not None and one.result != "none":
            key, number = one.wrote
            self._tried[life, key, number] = one
            if done:
                acked[life, key].append((one.end, number))
        if one.kind == "count" and one.born is not None:
            if done:
                self._counted[one.born].append(one.end)
            if one.result not in ("none", "dropped") or self._faults:
                self._counting[one.born].append(one.begin)
        if one.new is not None:
            self._join(one)
        if one.handle is not None:
            self._gather_ends(one, one.handle)
        if one.kind == "revoke-user" and one.user is not None:
            self._revokes[one.user].append(one)

    def _gather_ends(self, one: Operation, handle: str) -> None:
        done = one.result == "ok"
        if one.kind in _ENDS or one.kind in _REPLACES:
            self._attempts[handle].append(one)
            if done:
                self._ended_handle[handle] = min(one.end, self._ended_handle.get(handle, inf))
        if one.born is not None and done and one.kind in (*_ENDS, "clear"):
            self._ended_life[one.born] = min(one.end, self._ended_life.get(one.born, inf))
        if one.kind == "shorten" and one.result != "none":
            self._shortened.setdefault(handle, one)
        if one.kind == "login":
            self._relogged.add(handle)

    def _join(self, one: Operation) -> None:
        new = one.new or ""
        before = self._made.get(new)
        if before is None or one.end < before.end:
            self._made[new] = one
        if before is None:
            user = self._user_of(new)
            if user is not None:
                self._handles[user].append(new)
        if one.handle is not None and one.kind in ("regenerate", "login"):
            self._parents[self._family(new)] = self._family(one.handle)

    def _family(self, handle: str) -> str:
        parents = self._parents
        root = handle
        while (above := parents.get(root, root)) != root:
            root = above
        while (above := parents.get(handle, handle)) != root:
            parents[handle], handle = root, above
        return root

    # What was seen

    def check(self) -> Verdict:
        """Check everything that was seen."""
        for one in self.history.operations:
            if one.result.startswith("error") or (one.result == "unknown" and not self._faults):
                self.verdict.add(ERROR, f"{_name(one)}: {one.result}")
            elif one.result == "none" and one.handle is not None:
                self._check_none(one, one.handle)
            if one.seen is not None and one.handle is not None:
                self._check_alive(one, one.handle, one.seen)
            if one.kind == "list" and one.result == "ok":
                self._check_list(one)
        return self.verdict

    def _check_none(self, one: Operation, handle: str) -> None:
        """A session that nobody ended is there."""
        made = self._made.get(handle)
        if made is None or made.end > one.begin:
            return
        if not self._may_be_gone(handle, one):
            self.verdict.add(LOST_SESSION, f"{_name(one)}, made by {_name(made)}")

    def _may_be_gone(self, handle: str, one: Operation) -> bool:
        family = self._family(handle)
        if any(end.begin < one.end for end in self._attempts.get(handle, ())):
            return True
        if any(end.begin < one.end for end in self._family_attempts.get(family, ())):
            return True
        user = self._user_of(handle)
        if user is not None and any(end.begin < one.end for end in self._revokes.get(user, ())):
            return True
        short = self._family_short.get(family, inf)
        return short < inf and self._clock(one.end) >= self._clock(short) + self._life

    def _user_of(self, handle: str) -> str | None:
        made = self._made.get(handle)
        if made is None:
            return None
        if made.kind in ("create", "sign-in"):
            return made.user
        return made.seen.user if made.seen else None

    def _check_alive(self, one: Operation, handle: str, seen: Seen) -> None:
        """A live session is nobody else's, was not ended before, and has what was acknowledged."""
        if self._ended_handle.get(handle, inf) < one.begin:
            self.verdict.add(REVIVED, f"{_name(one)}, though its handle had ended")
        life = seen.born
        if life is None:
            return
        birth = self._births.get(life)
        if birth is None or birth.begin > one.end:
            self.verdict.add(FOREIGN, f"{_name(one)}: nobody began the life {life}")
            return
        if seen.user != birth.user:
            self.verdict.add(FOREIGN, f"{_name(one)}: {seen.user} in a session of {birth.user}")
        if self._ended_life.get(life, inf) < one.begin:
            self.verdict.add(REVIVED, f"{_name(one)}, though the life {life} had ended")
        self._check_revoked(one, handle, birth)
        if self._past_its_lifetime(one, handle, birth):
            self.verdict.add(REVIVED, f"{_name(one)}, past its lifetime")
        self._check_values(one, life, seen)

    def _past_its_lifetime(self, one: Operation, handle: str, birth: Operation) -> bool:
        short = self._shortened.get(handle)
        if short is None or short.result != "ok" or short.end >= one.begin:
            return False
        # A new sign-in begins a new lifetime.
        first = birth is self._made.get(handle) and birth.kind == "create"
        if not first or self._family(handle) in self._family_relogged:
            return False
        return self._clock(one.begin) >= self._clock(birth.end) + self._life

    def _check_revoked(self, one: Operation, handle: str, birth: Operation) -> None:
        made = self._made.get(handle)
        made_at = min(birth.end, inf if made is None else made.end)
        for revoke in self._revokes.get(birth.user or "", ()):
            if revoke.result != "ok" or revoke.end >= one.begin or made_at >= revoke.begin:
                continue
            if self._family(handle) not in {self._family(kept) for kept in revoke.keep}:
                self.verdict.add(REVIVED, f"{_name(one)}, though {_name(revoke)}")
                return

    def _check_values(self, one: Operation, life: str, seen: Seen) -> None:
        for key, (at, number) in seen.keys.items():
            tried = self._tried.get((life, key, number))
            if at != life or tried is None or tried.begin > one.end:
                self.verdict.add(FOREIGN, f"{_name(one)}: {key} = {at}, {number} in {life}")
            elif tried.result == "dropped" and not self._faults:
                self.verdict.add(TOLD_WRONG, f"{_name(one)}: {key} = {number} of {_name(tried)}")
        for key, (ends, numbers) in self._acked.get(life, {}).items():
            place = bisect_left(ends, one.begin)
            least, found = numbers[place - 1] if place else 0, seen.keys.get(key, ("", 0))[1]
            if found < least:
                self.verdict.add(LOST, f"{_name(one)}: {key} of {life} is {found}, not {least}")
        least = bisect_left(self._counted.get(life, []), one.begin)
        most = bisect_left(self._counting.get(life, []), one.end)
        if seen.count < least:
            self.verdict.add(LOST, f"{_name(one)}: count of {life} is {seen.count}, not {least}")
        if seen.count > most:
            self.verdict.add(FOREIGN, f"{_name(one)}: count of {life} is {seen.count} of {most}")

    def _check_list(self, one: Operation) -> None:
        """A user's list has every session that stood all the time, and none that had ended."""
        listed = set(one.listed)
        for handle in listed:
            if self._ended_handle.get(handle, inf) < one.begin:
                self.verdict.add(REVIVED, f"{_name(one)} has {handle}, which had ended")
        for handle in self._handles.get(one.user or "", ()):
            if handle in listed or self._made[handle].end >= one.begin:
                continue
            if not self._may_be_gone(handle, one):
                self.verdict.add(UNLISTED, f"{handle} in {_name(one)}")


def _name(one: Operation) -> str:
    what = one.handle or one.user or ""
    return f"{one.kind} {what} by {one.writer} at {one.begin:.6f}..{one.end:.6f}"
