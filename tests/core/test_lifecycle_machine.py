"""Requests that overlap in any way, against a plain model of what a session is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coatcheck.errors import SessionEnded
from tests.core.harness import Browser, Exchange, Harness, put

KEYS = ("a", "b", "list")
MOST_REQUESTS = 4
Data = dict[str, Any]


@dataclass
class Stored:
    """A record, as the model has it."""

    data: Data
    epoch: int = 0
    live: bool = True
    successor: Stored | None = None

    def end(self) -> Stored:
        """End it, or what it has become by now; return that."""
        last = self
        while last.successor is not None:
            last = last.successor
        last.live = False
        return last


@dataclass
class Request:
    """A request under way, and what it must see."""

    exchange: Exchange
    record: Stored
    view: Data = field(default_factory=dict[str, Any])
    base: Data = field(default_factory=dict[str, Any])
    epoch: int = 0
    cleared: bool = False
    lost: bool = False

    def load(self) -> None:
        """Take the record as it is now."""
        self.view, self.base = deepcopy(self.record.data), deepcopy(self.record.data)
        self.epoch, self.cleared = self.record.epoch, False

    def changes(self) -> dict[str, Any]:
        """Return the keys that differ from what was saved last; `...` for one that is gone."""
        keys = {*self.view, *self.base}
        return {
            key: deepcopy(self.view.get(key, ...))
            for key in keys
            if self.view.get(key, ...) != self.base.get(key, ...)
        }

    def changed(self) -> bool:
        """Whether anything is different, the order of the keys included."""
        return self.cleared or list(self.view.items()) != list(self.base.items())

    def save(self) -> bool:
        """Save into the record; `False` where something had to be dropped."""
        if not self.changed():
            return True
        changes, kept = self.changes(), True
        if not self.record.live:
            self.lost = True
            return not (changes or self.cleared)  # the order of keys is no loss
        if self.cleared:
            self.record.data, self.record.epoch = deepcopy(self.view), self.record.epoch + 1
            self.epoch = self.record.epoch
        elif self.epoch != self.record.epoch:
            kept = False
        else:
            apply(changes, self.record.data)
        self.base, self.cleared = deepcopy(self.view), False
        return kept


def apply(changes: dict[str, Any], data: Data) -> None:
    """Apply changed and removed keys."""
    for key, value in changes.items():
        if value is ...:
            data.pop(key, None)
        else:
            data[key] = deepcopy(value)


class Lifecycle(RuleBasedStateMachine):
    """Some requests of one browser at a time, each at any point of its life."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness()
        self.browser = Browser(self.harness)
        self.requests: list[Request] = []
        self.record = Stored({})
        self.renewals = 0
        self.tokens: list[tuple[str, Stored]] = []

    @initialize()
    def begin_session(self) -> None:
        """There is a stored session."""
        data: Data = {"a": 0, "b": 0, "list": [0]}
        self.browser.visit(put(**deepcopy(data)))
        self.record = Stored(data)

    def pick(self, number: int) -> Request:
        """Choose one of the requests under way."""
        return self.requests[number % len(self.requests)]

    @precondition(lambda self: len(self.requests) < MOST_REQUESTS and self.record.live)
    @rule()
    def open(self) -> None:
        """A request looks at the session."""
        request = Request(self.browser.begin(), self.record)
        assert dict(request.exchange.session) == self.record.data
        request.load()
        self.requests.append(request)

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9), key=st.sampled_from(KEYS[:2]), value=st.integers(0, 3))
    def set(self, number: int, key: str, value: int) -> None:
        """A request stores a value."""
        request = self.pick(number)
        if not request.lost:
            request.exchange.session[key] = request.view[key] = value

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9), value=st.integers(0, 3))
    def append(self, number: int, value: int) -> None:
        """A request changes a value inside."""
        request = self.pick(number)
        if not request.lost:
            request.exchange.session.setdefault("list", []).append(value)
            request.view.setdefault("list", []).append(value)

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9), key=st.sampled_from(KEYS))
    def remove(self, number: int, key: str) -> None:
        """A request removes a key."""
        request = self.pick(number)
        if not request.lost:
            request.exchange.session.pop(key, None)
            request.view.pop(key, None)

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def clear(self, number: int) -> None:
        """A request clears."""
        request = self.pick(number)
        if not request.lost:
            request.exchange.session.clear()
            request.view.clear()
            request.cleared = True

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def make_a_form(self, number: int) -> None:
        """A request makes a page with a CSRF token."""
        request = self.pick(number)
        if not request.lost:
            self.tokens.append((request.exchange.session.csrf_token(), request.record))

    @precondition(lambda self: bool(self.requests) and bool(self.tokens))
    @rule(number=st.integers(0, 9), form=st.integers(0, 9))
    def check_a_form(self, number: int, form: int) -> None:
        """A request checks a token: it holds for the session that it was made for."""
        request = self.pick(number)
        token, record = self.tokens[form % len(self.tokens)]
        if not request.lost:
            assert request.exchange.session.verify_csrf(token) == (record is request.record)

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def save(self, number: int) -> None:
        """A request saves by hand: what cannot be saved raises."""
        request = self.pick(number)
        if request.lost:
            return
        kept = request.save()
        try:
            request.exchange.session.save()
        except SessionEnded:
            assert not kept
        else:
            assert kept

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def refresh(self, number: int) -> None:
        """A request reads again what others have saved."""
        request = self.pick(number)
        if request.lost:
            return
        changes, cleared, view = request.changes(), request.cleared, request.view
        if request.record.live:
            request.load()
            if cleared:
                request.view, request.cleared = view, True
            else:
                apply(changes, request.view)
        else:
            request.lost = True
        try:
            request.exchange.session.refresh()
        except SessionEnded:
            assert request.lost
        else:
            assert not request.lost

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9), failed=st.booleans())
    def finish(self, number: int, failed: bool) -> None:
        """A request's response starts and ends."""
        request = self.pick(number)
        self.requests.remove(request)
        if not (failed or request.lost):
            request.save()
        assert request.exchange.finish(failed=failed).cookie is None
        request.exchange.close(failed=failed)

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def regenerate(self, number: int) -> None:
        """A request takes a new ID, and all others lose the session."""
        request = self.pick(number)
        self.requests.remove(request)
        if request.lost:
            return
        session = request.exchange.session
        live, changes = request.record.live, request.changes()
        session.regenerate()
        self.renewals += 1
        session["after"] = self.renewals
        reply = request.exchange.finish()
        assert (reply.sent is not None) == live
        if not live:
            return
        request.record.live = False
        self.record = Stored(deepcopy(request.record.data), request.record.epoch)
        request.record.successor = self.record
        if request.cleared:
            self.record.data = deepcopy(request.view)
        elif request.epoch == request.record.epoch:
            apply(changes, self.record.data)
        self.record.data["after"] = self.renewals

    @precondition(lambda self: bool(self.requests))
    @rule(number=st.integers(0, 9))
    def logout(self, number: int) -> None:
        """A request signs out: whatever the session is by now ends with it."""
        request = self.pick(number)
        self.requests.remove(request)
        request.exchange.session.logout()
        current = request.record.end() is self.record
        assert request.exchange.finish(deliver=current).deleted

    @precondition(lambda self: not self.record.live)
    @rule()
    def begin_again(self) -> None:
        """After the end the browser begins a session of its own."""
        self.begin_session()

    @invariant()
    def the_store_is_as_it_should_be(self) -> None:
        """There is at most one live record, and it holds what the model says."""
        assert len(self.harness.live()) == self.record.live
        if self.record.live:
            assert self.browser.saved() == self.record.data

    @invariant()
    def every_request_sees_what_it_should(self) -> None:
        """A request sees its own view, or raises where the session is lost."""
        for request in self.requests:
            if not request.lost:
                assert dict(request.exchange.session.copy()) == request.view


Lifecycle.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
TestLifecycle = Lifecycle.TestCase
