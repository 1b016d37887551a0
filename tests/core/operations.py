"""What can happen to a session, and what must then be true, in whatever order it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from coatcheck.errors import SessionEnded, StoreError
from coatcheck.events import ChangesDropped, SessionRevoked
from coatcheck.lifecycle.visit import Phase
from coatcheck.session import AsyncSession
from tests.core.schedules import Broken, Call, Crash, Operation, Start, World

ANONYMOUS = Start("anonymous", None)
SIGNED_IN = Start("signed-in", "A")


def _request(name: str, act: Callable[[AsyncSession], object], *, renew: bool = True) -> Operation:
    async def play(world: World, task: str) -> None:
        await world.request(task, act, renew=renew)

    return Operation(name, play)


def _write(name: str, key: str) -> Operation:
    async def play(world: World, task: str) -> None:
        await world.request(task, lambda session: session.update({key: task}))

    return Operation(name, play)


def login(user: str, client: int = 0) -> Operation:
    """Return a sign-in from one of the clients, which then stores something."""

    async def play(world: World, task: str) -> None:
        def act(session: AsyncSession) -> None:
            session.login(user)
            session["name"] = f"{user} {task}"

        await world.request(task, act, client=client)

    return Operation(f"login-{user}" if client == 0 else f"login-{user}-{client}", play)


async def _save_and_regenerate(session: AsyncSession) -> None:
    session["saved"] = True
    try:
        await session.save()
    except SessionEnded:
        return
    session.regenerate()


async def _revoke_user(world: World, _task: str) -> None:
    await world.manager.revoke_user("A")


async def _manager_delete(world: World, _task: str) -> None:
    await world.manager.delete(world.seed.handle)


async def _revoke(world: World, _task: str) -> None:
    await world.manager.revoke(world.seed.handle, user_id=world.start.user)


async def _expire(world: World, task: str) -> None:
    await world.store.entries("nobody")  # a point of the schedule, and nothing else
    world.clock.advance(7200.0)
    world.store.log.append(Call(task, "jump", "", True))


async def _purge(world: World, _task: str) -> None:
    await world.manager.purge_expired()


async def _wait(world: World, _task: str) -> None:
    await world.store.entries("nobody")
    world.clock.advance(6.0)  # whoever begins now was not in flight when something was replaced


READ = _request("read", dict, renew=False)
TOUCH = _request("touch", dict)
WRITE_K1 = _write("write-k1", "k1")
WRITE_K2 = _write("write-k2", "k2")
DELETE_K3 = _request("delete-k3", lambda session: session.pop("k3", None))
CLEAR = _request("clear", lambda session: session.clear())
LOGIN_A = login("A")
LOGIN_B = login("B")
REGENERATE = _request("regenerate", lambda session: session.regenerate())
SAVE_REGENERATE = _request("save-regenerate", _save_and_regenerate)
LOGOUT = _request("logout", lambda session: session.logout())
DESTROY = _request("destroy", lambda session: session.destroy())
REVOKE_USER = Operation("revoke-user", _revoke_user)
REVOKE = Operation("revoke", _revoke)
MANAGER_DELETE = Operation("manager-delete", _manager_delete)
EXPIRE = Operation("expire", _expire)
PURGE = Operation("purge", _purge)
WAIT = Operation("wait", _wait)

OPERATIONS = (
    READ,
    TOUCH,
    WRITE_K1,
    WRITE_K2,
    DELETE_K3,
    CLEAR,
    LOGIN_A,
    LOGIN_B,
    REGENERATE,
    SAVE_REGENERATE,
    LOGOUT,
    DESTROY,
    REVOKE_USER,
    REVOKE,
    MANAGER_DELETE,
    EXPIRE,
    PURGE,
)
WRITES = {WRITE_K1: "k1", WRITE_K2: "k2", DELETE_K3: "k3"}
SIGN_INS = {LOGIN_A: "A", LOGIN_B: "B"}
ENDS = (LOGOUT, DESTROY, MANAGER_DELETE, REVOKE, REVOKE_USER, EXPIRE)
RENEWALS = (REGENERATE, SAVE_REGENERATE)
ENDED_BY = (*SIGN_INS, *RENEWALS, *ENDS)
Running = tuple[tuple[str, Operation], ...]


def check(world: World, running: Running) -> None:
    """Raise `Broken` where the schedule that just ran broke a promise."""
    _check_errors(world)
    _check_nothing_rises(world)
    _check_live_ids(world, running)
    _check_owners(world)
    for task, operation in running:
        if world.outcomes[task].error is not None:
            continue  # somebody was told
        others = [other for name, other in running if name != task]
        _check_response(world, task, operation)
        _check_sent(world, task, operation, others)
        if operation in WRITES:
            _check_change(world, task, WRITES[operation], others)
        if operation in (*SIGN_INS, *RENEWALS):
            _check_told(world, task)
        if operation in ENDS:
            _check_ended(world, operation, others)


def _check_errors(world: World) -> None:
    """No race is an exception; a store that fails is one, and a process that dies."""
    for task, outcome in world.outcomes.items():
        expected = isinstance(outcome.error, StoreError | Crash) and world.store.fault is not None
        if outcome.error is not None and not (expected and task == "task0"):
            raise Broken(f"{task} raised {outcome.error!r}") from outcome.error
        if outcome.error is not None and (outcome.sent is not None or outcome.deleted):
            raise Broken("a request that failed sent a cookie")


def _check_nothing_rises(world: World) -> None:
    """What was removed, replaced or has expired is never a live record again."""
    if ended_in(world) & world.records().keys():
        raise Broken("what was ended is alive")


def ended_in(world: World) -> set[str]:
    """Return the handles of what was removed, replaced or has expired; no call brings one back."""
    ended: set[str] = set()
    existing = {world.seed.handle}
    for call in world.store.log:
        if call.verb == "jump":
            ended |= existing
        elif call.took and call.verb in ("delete", "bury"):
            ended.add(call.key)
        elif call.took and call.verb in ("create", "update", "touch"):
            if call.key in ended:
                raise Broken(f"{call} brought back what was ended")
            existing.add(call.key)
    return ended


def _known(world: World) -> set[str]:
    """Return the handles of all IDs that a client knows."""
    known = {world.seed.handle}
    for outcome in world.outcomes.values():
        verified = world.runtime.signer.verify(outcome.sent or "")
        if verified is not None:
            known.add(verified[0].handle)
    return known


def _check_live_ids(world: World, running: Running) -> None:
    """One session has one live ID, and no live record is out of everybody's reach."""
    live = world.records()
    known = _known(world)
    for handle in live.keys() - known:
        # A process that dies leaves what it had begun, and a lost answer an empty-handed visitor's
        # new session. Nobody has their IDs.
        if not world.store.crashed and (live[handle].user_id or "seed" in world.data(live[handle])):
            raise Broken("a live record whose ID nobody was sent")
    if sum("seed" in world.data(live[handle]) for handle in live.keys() & known) > 1:
        raise Broken("two live IDs open the data of one session")
    users = Counter(live[handle].user_id for handle in live.keys() & known)
    del users[None]
    for user, count in users.items():
        clicks = [task for task, operation in running if SIGN_INS.get(operation) == user]
        others = [
            task for task, operation in running if operation in ENDED_BY and task not in clicks
        ]
        # Where somebody else ended the old session first, each sign-in is one of its own.
        if count > 1 and not others:
            raise Broken("a double-clicked sign-in became two sessions")


def _check_owners(world: World) -> None:
    """No session holds what belongs to somebody else, and no tombstone or ended record opens."""
    for record in world.records().values():
        data = world.data(record)
        owner = data.get("name", "")[:1]
        if owner and owner != record.user_id:
            raise Broken("a session holds what another user's sign-in wrote")
        if world.start.user is not None and "seed" in data and record.user_id != world.start.user:
            raise Broken("a session holds the data of another user")


def _check_response(world: World, task: str, operation: Operation) -> None:
    outcome = world.outcomes[task]
    if outcome.sent is not None and operation not in (*SIGN_INS, *RENEWALS, *WRITES):
        raise Broken("a response sent an ID for no reason")
    if outcome.phase in (Phase.LOST, Phase.MUTE) and (outcome.sent or outcome.deleted):
        raise Broken("a response of a lost or mute session sent a cookie")
    if outcome.deleted != (operation in (LOGOUT, DESTROY)):
        raise Broken("a deletion cookie is sent by destroy and logout, and only by them")


def _check_sent(world: World, task: str, operation: Operation, others: list[Operation]) -> None:
    """An ID that was sent opens the session, however late its response arrives.

    Who ends the old session ends no other user's sign-in: it may be who planted the ID.
    """
    sent = world.runtime.signer.verify(world.outcomes[task].sent or "")
    user = SIGN_INS.get(operation)
    ends = ENDS if user is None or user == world.start.user else (EXPIRE, REVOKE_USER)
    ended = world.failed or any(other in ends for other in others)
    if sent is not None and not ended and not world.is_live(sent[0].handle):
        raise Broken("an ID that was sent is worth nothing, and nobody ended the session")


def _told(world: World, task: str) -> set[str]:
    return {
        key
        for name, event in world.events
        if name == task and isinstance(event, ChangesDropped)
        for key in event.keys
    }


def _check_change(world: World, task: str, key: str, others: list[Operation]) -> None:
    """A change is in a live record, or somebody was told, or it was ended after it was saved."""
    datas = [world.data(record) for record in world.records().values()]
    written = None if key == "k3" else task
    kept = any(data.get(key) == written for data in datas if "seed" in data or key != "k3")
    told = key in _told(world, task)
    if told and key != "k3" and kept:
        raise Broken("a change was told to be dropped, and was kept")
    if kept or told:
        return
    writers = [other for other in others if WRITES.get(other) == key]
    barriers = [
        other
        for other in others
        if other in (*ENDS, CLEAR, *SIGN_INS)
        and other is not LOGIN_A
        and not (other is LOGIN_B and world.start.user is None)
    ]
    saved = [
        place
        for place, call in enumerate(world.store.log)
        if call.task == task and call.took and call.verb in ("create", "update")
    ]
    after = [
        place
        for place, call in enumerate(world.store.log)
        if call.task != task
        and call.took
        and (
            call.verb == "jump"
            or (saved and place > saved[-1] and call.verb in ("delete", "update", "bury"))
        )
    ]
    opened_nothing = key == "k3" and not saved
    if opened_nothing or (saved and after and (writers or barriers or world.failed)):
        return
    raise Broken(f"the change of {key!r} is lost, and nobody was told")


def _check_told(world: World, task: str) -> None:
    """A sign-in or a new ID that was asked for is sent, or somebody was told."""
    outcome = world.outcomes[task]
    if not outcome.asked or outcome.sent is not None:
        return
    for name, event in world.events:
        if name == task and isinstance(event, ChangesDropped | SessionRevoked):
            return
    raise Broken("a sign-in or a new ID came to nothing, and nobody was told")


def _check_ended(world: World, operation: Operation, others: list[Operation]) -> None:
    """Nothing of a session that was ended is alive, whatever else was in flight."""
    if operation is REVOKE_USER and world.start.user is None:
        return
    known = _known(world)
    live = [record for handle, record in world.records().items() if handle in known]
    sign_ins = any(other in SIGN_INS for other in others)
    if not sign_ins and any(record.user_id is not None for record in live):
        raise Broken("a session that was ended lives on")
    own_session = sign_ins and world.start.user is None
    if any("seed" in world.data(record) for record in live) and not own_session:
        raise Broken("the data of a session that was ended lives on")
