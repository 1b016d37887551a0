"""Moving sessions between stores: nothing is lost, and nothing that ended comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coatcheck import (
    ConfigurationError,
    Copied,
    SessionManager,
    StoreError,
    copy_sessions,
    copy_sessions_async,
)
from coatcheck.store import MemoryStore, Store, Stored
from coatcheck.store.file import FileStore
from coatcheck.store.keyvalue import KeyValueStore
from coatcheck.store.redis import RedisStore
from coatcheck.store.sql import SQLStore
from coatcheck.store.sqlite import AsyncSQLiteStore, SQLiteStore
from coatcheck.testing import ManualClock
from tests.servers import mariadb, postgresql, redis
from tests.stores.moving import (
    DEEDS,
    SECRET,
    USERS,
    Move,
    contents,
    lists,
    lives,
    owner,
    watched,
)

Deeds = list[tuple[str, int]]
deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 9)), max_size=12)
quick = st.lists(
    st.tuples(st.sampled_from([deed for deed in DEEDS if deed != "wait"]), st.integers(0, 9)),
    max_size=6,
)


def play(move: Move, manager: SessionManager, what: Deeds) -> None:
    """Let a program do these things."""
    for deed, choice in what:
        move.act(manager, deed, choice)


def furnished(**stores: Any) -> Move:
    """Return a move whose source has sessions of every kind."""
    move = Move(**stores)
    for deed, choice in [
        *(("visit", 0), ("sign in", 0), ("sign in", 1), ("sign in", 0), ("visit", 0)),
        *(("log in", 0), ("regenerate", 2), ("hurry", 3), ("sign in", 0)),
    ]:
        move.act(move.old, deed, choice)
    return move


def test_a_copy_is_the_same_sessions() -> None:
    """Who was signed in at the source is signed in at the target, with the same ID and data."""
    move = Move()
    session_id = move.old.create("ada", {"basket": ["hat"]}).id
    assert move.run() == Copied(seen=1, copied=1)
    session = move.new.open(session_id)
    assert session is not None
    assert (session["basket"], session.user_id) == (["hat"], "ada")
    assert [one.handle for one in move.new.sessions_of("ada")] == [session.handle]


def test_a_single_copy_needs_no_journal() -> None:
    """Programs that are stopped meanwhile are moved by one call."""
    move = furnished()
    copy_sessions(move.source, move.target, clock=move.clock)
    assert move.levelled()


def test_the_source_is_only_read() -> None:
    """A move can be given up at any time before the last pass: nothing was done to the source."""
    move = furnished()
    called: set[str] = set()
    move.run(source=watched(move.source, called.add))
    move.run(last=True, source=watched(move.source, called.add))
    assert called == {"scan", "get", "entries"}


def test_the_order_of_a_user_s_sessions_is_kept() -> None:
    """It decides whom the next sign-in over the limit ends; keys are scanned in another order."""
    move = Move()
    handles = [move.old.create("ada").handle for _ in range(12)]
    move.run()
    assert [one.key for one in move.target.entries("ada")] == handles


def test_a_session_that_came_late_does_not_spoil_the_order() -> None:
    """A record that a pass did not see yet is older than those after it all the same."""
    move = Move()
    handles = [move.old.create("ada").handle for _ in range(3)]
    hidden = watched(move.source, str.isidentifier)

    def get(key: str) -> Stored | None:
        return None if key == handles[0] else move.source.get(key)

    hidden.get = get
    move.run(source=hidden)
    assert [one.key for one in move.target.entries("ada")] == handles[1:]
    move.run()
    assert [one.key for one in move.target.entries("ada")] == handles


@settings(max_examples=80, deadline=None)
@given(st.lists(deeds, min_size=1, max_size=4))
def test_passes_follow_whatever_programs_do(between: list[Deeds]) -> None:
    """After the last pass the target is the source, whatever happened between the passes."""
    move = Move()
    for what in between:
        play(move, move.old, what)
        move.run()
        here = contents(move.target)
        assert {key: here.get(key) for key in contents(move.source)} == contents(move.source)
    move.act(move.old, "wait", 1)
    play(move, move.old, between[0])
    move.run(last=True)
    assert move.levelled()


@pytest.mark.parametrize(
    "way",
    [
        *("file to sqlite", "sqlite to memory", "memory to file"),
        *("sqlite to redis", "redis to postgresql", "postgresql to sqlite"),
        *("postgresql to mariadb", "mariadb to redis", "redis to mariadb"),
    ],
)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(between=st.lists(deeds, min_size=1, max_size=2))
def test_passes_follow_on_every_kind_of_store(
    way: str, in_memory: Path, between: list[Deeds]
) -> None:
    """The same between stores that keep records in other ways, whose scans have other orders."""
    folder = Path(mkdtemp(dir=in_memory))
    makers: dict[str, Callable[[ManualClock], Store]] = {
        "file": lambda clock: FileStore(folder / "files", clock=clock),
        "sqlite": lambda clock: SQLiteStore(folder / "sessions.db", clock=clock),
        "memory": lambda clock: MemoryStore(clock=clock),
        "redis": lambda clock: RedisStore(redis.fresh_url(), clock=clock),
        "postgresql": lambda clock: SQLStore(
            postgresql.fresh_url(), create_tables=True, clock=clock
        ),
        "mariadb": lambda clock: SQLStore(mariadb.fresh_url(), create_tables=True, clock=clock),
    }
    source, _, target = way.partition(" to ")
    move = Move(makers[source], makers[target])
    for what in between:
        play(move, move.old, [("sign in", 0), ("sign in", 1), *what])
        move.run()
    play(move, move.old, between[0])
    move.run(last=True)
    assert move.levelled()
    for store in (move.source, move.target):
        store.close()


@settings(max_examples=120, deadline=None)
@given(first=deeds, window=quick, there=quick, at=st.integers(1, 60))
def test_programs_may_use_the_target_during_the_last_pass(
    first: Deeds, window: Deeds, there: Deeds, at: int
) -> None:
    """What they do there stays, what ended on either side stays ended, and the rest is levelled."""
    move = Move()
    play(move, move.old, [("sign in", 0), ("visit", 0), ("sign in", 1), *first])
    move.run()
    copied = contents(move.target)
    play(move, move.old, window)
    before = contents(move.source)
    ended = {key for key in copied if key not in before or not lives(before[key][1])}
    move.clock.advance(1)
    since = move.clock()
    mine: set[str] = set()
    calls = 0

    def work(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            was = contents(move.target)
            play(move, move.new, there)
            now = contents(move.target)
            mine.update(key for key in {*was, *now} if was.get(key) != now.get(key))
            # What was being copied at this moment ends with the others.
            revoked = {USERS[choice % 2] for deed, choice in there if deed == "revoke"}
            mine.update(key for key in before if owner(before[key][1]) in revoked)

    move.run(last=True, target=watched(move.target, work), switched_at=since)
    here = contents(move.target)
    for key in ended:
        assert key not in here or not lives(here[key][1]), "ended at the source, and alive"
    for key in before.keys() - mine:
        assert here.get(key) == before[key], "not as it is at the source"
    for key in here.keys() - mine:
        assert key in before, "nobody knows where it comes from"


def failing_after(calls: int) -> Callable[[str], None]:
    """Return what is told of each call, and lets so many pass: then the power is gone."""
    left = iter(range(calls))

    def fail(_: str) -> None:
        if next(left, None) is None:
            raise StoreError("the power is gone")

    return fail


@pytest.mark.parametrize("last", [False, True])
def test_a_crash_at_any_step_loses_nothing(last: bool) -> None:
    """Whatever call a pass was broken off at, it can be begun anew."""
    for step in range(400):
        move = furnished()
        if last:
            move.run()
            play(move, move.old, [("end", 0), ("change", 1), ("sign in", 0), ("log in", 2)])
        fail = failing_after(step)
        broken = {
            name: watched(getattr(move, name), fail) for name in ("source", "target", "journal")
        }
        try:
            move.run(last=last, **broken)
            break
        except StoreError:
            play(move, move.old, [] if last else [("change", 0), ("end", 3)])
            if not last:
                with pytest.raises(ConfigurationError, match=r"no complete pass|new"):
                    move.run(last=True)
                move.run()
            move.run(last=True)
            assert move.levelled(), step
    else:
        pytest.fail("the pass has no end")
    assert step > 50


@pytest.mark.parametrize("again", range(8))
def test_what_ends_after_a_crash_of_the_last_pass_stays_ended(again: int) -> None:
    """Wherever it broke off: a session that was there, and was ended there, is not copied anew.

    Keys are random, and so is the order in which a pass meets them.
    """
    for step in range(60):
        move = Move()
        move.act(move.old, "visit")
        move.run()
        for deed in ("visit", "sign in"):
            move.act(move.old, deed)
        fail = failing_after(step)
        switched_at = move.clock()
        move.clock.advance(1)
        broken = {name: watched(getattr(move, name), fail) for name in ("target", "journal")}
        try:
            move.run(last=True, switched_at=switched_at, **broken)
            break
        except StoreError:
            here = contents(move.target)
            ended = [key for key in here if lives(here[key][1]) and move.new.delete(key)]
            move.run(last=True, switched_at=switched_at)
            after = {key for key, (_, payload) in contents(move.target).items() if lives(payload)}
            assert after == contents(move.source).keys() - set(ended), step
    else:
        pytest.fail("the pass has no end")
    assert step > 15


@pytest.mark.parametrize("deed", ["change", "end", "log in", "regenerate", "revoke", "sign in"])
def test_whatever_happens_during_a_pass_is_made_good_by_the_last(deed: str) -> None:
    """A session may change or end at any moment, between any two calls of a pass."""
    for step in range(0, 400, 3):
        move = furnished()
        left = step

        def interfere(_: str, move: Move = move, step: int = step) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                move.act(move.old, deed, step)

        move.run(source=watched(move.source, interfere), target=watched(move.target, interfere))
        move.run(last=True)
        assert move.levelled(), step
        if left >= 0:
            return
    pytest.fail("the pass has no end")


def test_a_pass_goes_on_where_it_was_interrupted() -> None:
    """The cursor that was told last is good, in both parts of the last pass."""
    for last in (False, True):
        for page in range(1, 12):
            move = Move()
            for _ in range(12):
                move.act(move.old, "visit")
            if last:
                move.run()
                for choice in (0, 4, 8):
                    move.act(move.old, "end", choice)
                move.act(move.old, "visit")
            told: list[Copied] = []

            def stop(copied: Copied, told: list[Copied] = told, page: int = page) -> None:
                told.append(copied)
                if len(told) == page and copied.cursor is not None:
                    raise KeyboardInterrupt

            try:
                whole = move.run(last=last, progress=stop)
            except KeyboardInterrupt:
                rest = move.run(last=last, cursor=told[-1].cursor)
                assert told[-1].seen + rest.seen == len(contents(move.source))
                assert told[-1].copied + rest.copied == (1 if last else 12)
                assert told[-1].removed + rest.removed == (3 if last else 0)
            else:
                assert whole == told[-1]
            assert move.levelled()


def test_who_came_behind_an_interrupted_page_is_copied() -> None:
    """A user's sessions are copied as one list, and some of it may lie before the cursor."""
    lost = ""

    class Torn(MemoryStore):
        def create(self, key: str, *args: Any, **options: Any) -> bool:
            nonlocal lost
            if key == lost:
                lost = ""
                raise StoreError("the power is gone")
            return super().create(key, *args, **options)

    move = Move(target=lambda clock: Torn(clock=clock))
    move.act(move.old, "visit")
    (first,) = contents(move.source)
    told: list[Copied] = []

    def come(copied: Copied) -> None:
        nonlocal lost
        told.append(copied)
        if len(told) > 1:
            return
        # One ahead of the cursor, then one behind it.
        for behind in (False, True):
            while ((lost := move.old.create("ada").handle or "") < first) is not behind:
                move.old.delete(lost)

    with pytest.raises(StoreError):
        move.run(page=1, progress=come)
    assert lost == ""
    move.run(page=1, cursor=told[-1].cursor)
    move.run(last=True)
    assert move.levelled()


def test_a_copy_that_was_announced_and_never_made() -> None:
    """What the journal says of it came to nothing, and the source's is still the newer one."""
    failing = False

    class Torn(MemoryStore):
        def update(self, key: str, *args: Any, **options: Any) -> Any:
            if failing:
                raise StoreError("the power is gone")
            return super().update(key, *args, **options)

    move = Move(target=lambda clock: Torn(clock=clock))
    handle = move.old.create("ada", {"n": 0}).handle or ""
    move.run()
    told: list[Copied] = []

    def come(copied: Copied) -> None:
        nonlocal failing
        told.append(copied)
        if len(told) > 1:
            return
        move.act(move.old, "change")
        while (move.old.create("ada").handle or "") < handle:
            pass
        failing = True

    with pytest.raises(StoreError):
        move.run(page=1, progress=come)
    failing = False
    for other in contents(move.source).keys() - {handle}:
        move.old.delete(other)
    move.run(page=1, cursor=told[-1].cursor)
    move.run(last=True)
    assert move.levelled()


def test_what_ended_at_the_target_stays_ended() -> None:
    """A sign-out before the last pass is not undone by it."""
    move = Move()
    session_id = move.old.create("ada").id
    move.run()
    since = move.clock()
    move.new.revoke_user("ada")
    assert move.run(last=True, switched_at=since).left == 1
    assert move.new.open(session_id) is None


def test_what_was_saved_at_the_target_stays() -> None:
    """It is the later of two changes."""
    move = Move()
    session_id = move.old.create("ada", {"n": 0}).id
    move.run()
    for number, manager in enumerate((move.old, move.new)):
        session = manager.open(session_id)
        assert session is not None
        session["n"] = number + 1
        session.save()
    assert move.run(last=True).left == 1
    session = move.new.open(session_id)
    assert session is not None
    assert session["n"] == 2


def test_a_later_pass_moves_the_deadline() -> None:
    """Who only reads is active too."""
    move = Move()
    session = move.old.create("ada")
    move.run()
    move.clock.advance(100)
    session.save()
    assert move.run() == Copied(seen=1, updated=1)
    assert contents(move.target) == contents(move.source)


def test_what_was_replaced_at_the_source_is_dead_at_the_target() -> None:
    """The old ID was worth nothing any more when a program still used it at the target."""
    move = Move()
    session_id = move.old.create("ada").id
    move.run()
    session = move.old.open(session_id)
    assert session is not None
    session.regenerate()
    session.save()
    stale = move.new.open(session_id)
    assert stale is not None
    stale["n"] = 1
    stale.save()
    move.run(last=True)
    assert move.new.open(session_id) is None
    assert move.new.open(session.id) is not None
    assert lists(move.target) == {"ada": [session.handle], "bob": []}


def test_what_a_program_made_of_an_ended_session_ends_with_it() -> None:
    """Ended at the source, regenerated at the target before the last pass knew."""
    move = Move()
    session_id = move.old.create("ada").id
    move.run()
    move.old.revoke_user("ada")
    stale = move.new.open(session_id)
    assert stale is not None
    stale.regenerate()
    stale.save()
    assert move.run(last=True).removed == 2
    assert lists(move.target)["ada"] == []


def test_a_sign_in_of_another_user_does_not_end_with_it() -> None:
    """Whoever plants an ID and ends it must not sign its victim out."""
    move = Move()
    planted = move.old.create(data={"n": 1}).id
    move.run()
    move.act(move.old, "end")
    victim = move.new.open(planted)
    assert victim is not None
    victim.login("bob")
    victim.save()
    move.run(last=True)
    assert lists(move.target)["bob"] == [victim.handle]


def test_who_is_active_at_the_target_is_not_signed_out() -> None:
    """At the source the session has expired meanwhile, for it is used at the target."""
    move = Move()
    session_id = move.old.create("ada").id
    move.run()
    since = move.clock()
    move.clock.advance(500)
    session = move.new.open(session_id)
    assert session is not None
    session.save()
    move.clock.advance(500)
    move.run(last=True, switched_at=since)
    assert move.new.open(session_id) is not None


def test_who_was_active_at_the_source_is_not_signed_out() -> None:
    """The copy has expired before the switch, the session itself has not."""
    move = Move()
    session_id = move.old.create("ada").id
    move.run()
    move.clock.advance(500)
    session = move.old.open(session_id)
    assert session is not None
    session.save()
    move.clock.advance(500)
    assert move.new.open(session_id) is None
    move.run(last=True, switched_at=move.clock())
    assert move.new.open(session_id) is not None


def test_what_expired_at_the_source_is_not_copied() -> None:
    """Not even where only its absolute deadline has come."""
    move = Move()
    session = move.old.create("ada")
    session.set_expiry(idle=None, lifetime=50)
    session.save()
    kept = move.source.get(session.handle)
    move.source.delete(session.handle)
    move.source.create(session.handle, kept.payload, expires_at=None, user_id="ada")
    move.clock.advance(50)
    assert move.run() == Copied(seen=1)


def test_damage_is_counted_and_left_alone() -> None:
    """It is no session on either side."""
    move = Move()
    key = move.old.create().handle
    move.source.create("0" * 32, b"???", expires_at=None, user_id=None)
    assert move.run() == Copied(seen=2, copied=1, damaged=1)
    move.source.update(key, b"???", version=1, expires_at=None)
    assert move.run(last=True) == Copied(seen=2, damaged=3)
    assert list(contents(move.target)) == [key]


def test_a_finished_move_is_not_taken_up_again() -> None:
    """Else a pass begun by mistake, or from an emptied source, would undo what was done since."""
    move = furnished()
    move.run()
    move.run(last=True)
    for last in (False, True):
        with pytest.raises(ConfigurationError, match="goes its own way"):
            move.run(last=last)


def test_the_journal_has_to_have_seen_everything() -> None:
    """Records that it does not know could not be told from what programs made at the target."""
    move = furnished()
    copy_sessions(move.source, move.target, clock=move.clock)
    with pytest.raises(ConfigurationError, match="empty target"):
        move.run()
    with pytest.raises(ConfigurationError, match="no complete pass"):
        move.run(last=True)


class Bare:
    """An object that keeps nothing, with the methods of one that does."""

    def get(self, id: str) -> None: ...

    def set(self, id: str, data: str) -> None: ...

    def delete(self, id: str) -> None: ...


@pytest.mark.filterwarnings("ignore:sessions in a Bare")
def test_stores_that_do_not_fit_are_refused(in_memory: Path) -> None:
    """Each error says what to do instead."""
    move = furnished()
    bare, other = KeyValueStore(Bare()), MemoryStore(namespace="other")
    wrong: dict[str, dict[str, Any]] = {
        "an ID is good in one of them": {"target": other},
        "must be different": {"target": move.source},
        "namespace, of its own": {"journal": move.target},
        "does not list its keys": {"source": bare},
        "must be awaited": {"target": AsyncSQLiteStore(in_memory / "some.db")},
        "needs the journal": {"last": True, "journal": None},
        "cursor is none": {"cursor": "target:"},
        "page": {"page": 0},
    }
    for complaint, options in wrong.items():
        with pytest.raises(ConfigurationError, match=complaint):
            move.run(**options)
    with pytest.raises(ConfigurationError, match="does not list its keys"):
        move.run(last=True, target=bare)
    assert contents(move.target) == {}


def test_awaited_stores_are_copied_too(in_memory: Path) -> None:
    """From a blocking store to an awaited one, with an awaited journal."""
    move = furnished()

    async def move_all() -> None:
        target = AsyncSQLiteStore(in_memory / "target.db", clock=move.clock)
        journal = AsyncSQLiteStore(in_memory / "journal.db", clock=move.clock)
        options: Any = {"journal": journal, "clock": move.clock}
        await copy_sessions_async(move.source, target, **options)
        move.act(move.old, "end", 1)
        await copy_sessions_async(move.source, target, last=True, **options)
        for store in (target, journal):
            await store.aclose()

    asyncio.run(move_all())
    move.target = SQLiteStore(in_memory / "target.db", clock=move.clock)
    assert move.levelled()
    move.target.close()


def test_a_copied_session_takes_part_in_limits() -> None:
    """A sign-in at the target over the limit ends the oldest, though it began at the source."""
    move = Move()
    handles = [move.old.create("ada").handle for _ in range(3)]
    move.run()
    limited = SessionManager(
        secret=SECRET, store=move.target, clock=move.clock, max_sessions_per_user=3
    )
    newest = limited.create("ada").handle
    assert [one.handle for one in limited.sessions_of("ada")] == [*handles[1:], newest]
