"""What is told of sessions: in events, logs and tracebacks, and what never is."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable

import pytest

from coatcheck import Session, StoreError, events
from coatcheck.testing import ManualClock
from tests.core.harness import SECRET, Browser, Exchange, Harness, put, raising, sign_in


def secrets_of(session_id: str | None) -> list[str]:
    """Return the spellings of an ID and of its secret half that nothing may show."""
    whole = session_id or ""
    secret = base64.urlsafe_b64decode(whole)[19:35]
    return [whole, secret.hex(), repr(secret)[2:-1], base64.b64encode(secret).decode()[:20]]


def test_sec_85_what_happens_to_a_session_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """By the right kind of event, which names the handle and no secret; and it is logged."""
    caplog.set_level(logging.DEBUG, "coatcheck")
    harness = Harness(max_sessions_per_user=1)
    ann, late, thief = Browser(harness), Browser(harness), Browser(harness)
    secrets: list[str] = []

    def told(kind: str, handle: str | None = None, level: int = logging.DEBUG) -> None:
        secrets.extend(secrets_of(ann.id) if ann.id else [])
        names = [type(event).__name__ for event in harness.events]
        assert Counter(names)[kind] == 1, names
        event = next(event for event in harness.events if type(event).__name__ == kind)
        assert event.level >= level
        assert handle is None or handle in str(event)
        assert str(event) in caplog.text
        harness.events.clear()

    ann.visit(put(a=1))
    told("SessionCreated", harness.identity(ann.id).handle)
    old = ann.id or ""
    ann.visit(sign_in("ann"))
    told("SessionReplaced", harness.identity(ann.id).handle, logging.INFO)
    harness.clock.advance(10)
    thief.id = old
    thief.visit()
    told("UnknownID", harness.identity(old).handle)
    thief.id = old[:-1] + ("A" if old[-1] != "A" else "B")
    thief.visit()
    told("IDRejected")
    ann.visit(lambda session: session.regenerate())
    told("SessionReplaced", harness.identity(ann.id).handle, logging.INFO)
    before = harness.identity(ann.id).handle
    late.visit(sign_in("ann"))
    told("SessionRevoked", before, logging.INFO)
    both = Browser(harness)
    both.visit(put(a=1))
    harness.events.clear()
    both.begin(f"session={both.id}; session={late.id}").session.get("a")
    told("AmbiguousID", harness.identity(both.id).handle, logging.WARNING)
    handle = harness.identity(late.id).handle
    ended = late.id
    late.visit(lambda session: session.logout())
    told("SessionDestroyed", handle, logging.INFO)
    secrets.extend([*secrets_of(both.id), *secrets_of(ended), *secrets_of(old)])
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_sec_85_nobody_can_fill_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a client makes up is told at the level of debugging, so it writes no line."""
    caplog.set_level(logging.INFO, "coatcheck")
    harness = Harness()
    values = made_up_by_clients(harness)
    caplog.clear()
    for value in values:
        Browser(harness).begin(f"session={value}").session.get("a")
    assert caplog.text == ""


def test_sec_85_a_flood_has_a_line_a_second_of_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    """Where that level is logged too: and a line says how many it stands for. The hook sees all."""
    caplog.set_level(logging.DEBUG, "coatcheck")
    harness = Harness()
    values = made_up_by_clients(harness)
    caplog.clear()
    harness.events.clear()
    for _ in range(5):
        for value in values:
            Browser(harness).begin(f"session={value}").session.get("a")
        harness.clock.advance(0.5)
    told = Counter(type(event).__name__ for event in harness.events)
    assert told == {"IDRejected": 1000, "UnknownID": 500}
    lines = [record.getMessage() for record in caplog.records]
    for kind, more in (("IDRejected", 399), ("UnknownID", 199)):
        first, *others = [line for line in lines if line.startswith(kind)]
        assert "more" not in first
        assert [line.rpartition(", ")[2] for line in others] == [
            f"and {more} more since the last such line"
        ] * 2
    assert len(lines) == 6


def test_sec_85_a_flood_hides_no_other_kind_and_no_sign_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is told once for each thing that happened has a line each, in the same second too."""
    caplog.set_level(logging.INFO, "coatcheck")
    heard: list[events.Event] = []
    clock = ManualClock()
    emit = events.Emitter(heard.append, clock)
    many = [
        *(events.WrongSecret(f"{number:032x}") for number in range(100)),
        *(events.SessionReplaced("a", f"{number}", "ann", "login") for number in range(3)),
        *(events.ChangesDropped("a", (f"key {number}",), "gone") for number in range(3)),
        events.RecordCorrupt("a", "bad"),
    ]
    for event in many:
        emit(event)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [str(event) for event in [many[0], *many[100:]]]
    assert heard == many
    clock.advance(-60)
    emit(many[0])
    assert caplog.records[-1].getMessage() == f"{many[0]}, and 99 more since the last such line"


def made_up_by_clients(harness: Harness) -> list[str]:
    """Return what clients may send that is no session of theirs."""
    browser = Browser(harness)
    browser.visit(put(a=1))
    dead = browser.id or ""
    browser.visit(lambda session: session.destroy())
    harness.clock.advance(10)
    forged = [f"{number:068}" for number in range(100)]
    crowds = [f"{number:068}; session=" * 9 for number in range(100)]
    return [*forged, *crowds, *[dead] * 100, "junk"]


def play(exchange: Exchange, act: Callable[[Session], object]) -> None:
    """Do something with the session, and finish the response."""
    act(exchange.session)
    exchange.finish()


def test_sec_84_a_traceback_with_locals_shows_no_secret() -> None:
    """Error reporters send the variables of every frame: those of ours hold no ID in the clear.

    What the application stored may be there, as it may be in the application's own frames.
    """
    harness = Harness()
    browser = Browser(harness)
    browser.visit(put(a=0))
    secrets = [*secrets_of(browser.id), SECRET]
    for verb, act in (("get", len), ("update", put(a=1)), ("update", sign_in("ann"))):
        harness.store.before(verb, raising(StoreError("down")))
        exchange = browser.begin()
        with pytest.raises(StoreError) as caught:
            play(exchange, act)
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in report.stack if "/coatcheck/" in frame.filename]
        assert frames
        for frame in frames:
            shown = " ".join((frame.locals or {}).values())
            assert [s for s in secrets if s in shown] == [], f"{frame.name}: {shown}"


_OPTIMISED = """
import sys
from coatcheck import ConfigurationError, SessionManager
from coatcheck.store import MemoryStore
from coatcheck_wsgi import SessionMiddleware

def must(condition, what):
    if not condition:
        raise SystemExit(what)

must(sys.flags.optimize == 2, "this is not -OO")
store = MemoryStore()
secret = "N0vq2W9sXr4kTz7bYc1mJd5hFg8pLa3uEo6iQwVtRnk"
manager = SessionManager(secret=secret, store=store)
session = manager.create("ann", data={"a": 1})
good = session.id
must(manager.open(good)["a"] == 1, "a good ID")
for place in range(68):
    edited = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1:]
    must(manager.open(edited) is None, "an edited ID")
for bad in ({"expire": -1}, {"old_secrets": "one"}, {"cookie_name": "a;b"}, {"secret": None},
            {"cookie_name": "__Host-a", "cookie_options": {"domain": "example.org"}}):
    try:
        SessionMiddleware(print, store=store, **{"secret": secret, **bad})
    except ConfigurationError:
        continue
    raise SystemExit(f"{bad} is taken")
for key in ("x", "A" * 32, "a" * 31 + chr(10), "../" + "a" * 29):
    try:
        store.get(key)
    except ValueError:
        continue
    raise SystemExit(f"{key!r} is a key")
session.destroy()
must(manager.open(good) is None, "an ended session")
print("safe")
"""


def test_sec_86_python_oo_takes_no_check_away() -> None:
    """Nothing that keeps sessions safe is an `assert`, which -O removes."""
    command = [sys.executable, "-OO", "-c", _OPTIMISED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("safe", "")
