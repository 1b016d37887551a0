"""StateContract itself: a State that breaks a rule fails the case that is about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coatcheck.request import Request, ResponseHeaders
from coatcheck.state import CookieState, HeaderState, State
from coatcheck.testing.state_contract import Client, CookieClient, HeaderClient, StateContract


class Broken(CookieState):
    """A cookie State to break in one place."""


class Silent(Broken):
    """Says that it does not send."""

    sends = False


class Unfiltered(Broken):
    """Offers whatever a client sends."""

    def extract(self, request: Request, /) -> Any:
        return request.header("cookie")


class Fragile(Broken):
    """Cannot stand text that is not ASCII."""

    def extract(self, request: Request, /) -> Any:
        for value in request.header("cookie"):
            value.encode("ascii")
        return super().extract(request)


class Eager(Broken):
    """Makes up an ID where there is none."""

    def extract(self, request: Request, /) -> Any:
        return super().extract(request) or "A" * 68


class Forgetful(Broken):
    """Answers a request once."""

    def extract(self, request: Request, /) -> Any:
        if "seen" in request.native:
            return None
        request.native["seen"] = True
        return super().extract(request)


class Shortened(Broken):
    """Forgets the ID where there is no lifetime."""

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        if max_age is not None:
            super().inject(request, headers, session_id, carried=carried, max_age=max_age)


class Stubborn(Broken):
    """Does not replace an ID that the client carries."""

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        super().inject(request, headers, carried or session_id, carried=carried, max_age=max_age)


class Replacing(Broken):
    """Throws away the cookies of the application."""

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        headers.set("Set-Cookie", f"session={session_id}")


class Injected(Broken):
    """Lets a line break into a header."""

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        headers.add("Set-Cookie", "session=; Max-Age=0\r\nX: y")


class Sticky(Broken):
    """Never clears."""

    def clear(self, request: Request, headers: ResponseHeaders, /, *, carried: str | None) -> None:
        return


class OneWord(Broken):
    """Has a bare string for its headers."""

    vary = "Cookie"


class Sentence(Broken):
    """Names what is no header."""

    vary = ("the Cookie header",)


class Undecided(Broken):
    """Does not say whether it sends."""

    sends: Any = None


class Overwhelmed(Broken):
    """Cannot stand long headers."""

    def extract(self, request: Request, /) -> Any:
        if any(len(value) > 10_000 for value in request.header("cookie")):
            raise MemoryError
        return super().extract(request)


class Lonely(Broken):
    """Cannot stand a header that comes twice."""

    def extract(self, request: Request, /) -> Any:
        if len(request.header("cookie")) > 1:
            raise ValueError("one header, please")
        return super().extract(request)


class Inventive(Broken):
    """Makes up an ID over plain http where there is no header."""

    def extract(self, request: Request, /) -> Any:
        if request.scheme == "http" and not request.header("cookie"):
            return "A" * 68
        return super().extract(request)


class Fleeting(Broken):
    """Sends no ID that is to be kept."""

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None:
        if max_age is None:
            super().inject(request, headers, session_id, carried=carried, max_age=max_age)


class Wordy(Broken):
    """Says in a word that it sends."""

    sends: Any = "yes"


class Deaf(HeaderState):
    """Does not send, and does not read either."""

    def __init__(self) -> None:
        super().__init__("X-Id")

    def extract(self, request: Request, /) -> str | None:
        return None


CASES: list[tuple[type[CookieState], str]] = [
    (Silent, "a_state_that_cannot_send_adds_no_header"),
    (Unfiltered, "hostile_headers_offer_forms_only"),
    (Unfiltered, "repeated_headers_are_no_error"),
    (Eager, "no_header_is_no_id"),
    (Eager, "clear_empties_the_client"),
    (Forgetful, "extract_can_be_repeated"),
    (Shortened, "what_is_sent_comes_back"),
    (Stubborn, "a_new_id_takes_the_place_of_the_carried_one"),
    (Replacing, "other_headers_stay"),
    (Injected, "other_headers_stay"),
    (Sticky, "clear_empties_the_client"),
    (OneWord, "vary_names_headers"),
    (Sentence, "vary_names_headers"),
    (Undecided, "sends_is_known"),
]


ALONE: dict[type[State], str] = {
    OneWord: "vary_names_headers",
    Wordy: "sends_is_known",
    Inventive: "no_header_is_no_id",
    Overwhelmed: "hostile_headers_offer_forms_only",
    Lonely: "repeated_headers_are_no_error",
    Forgetful: "extract_can_be_repeated",
    Fleeting: "what_is_sent_comes_back",
    Stubborn: "a_new_id_takes_the_place_of_the_carried_one",
    Sticky: "clear_empties_the_client",
    Silent: "a_state_that_cannot_send_adds_no_header",
    Deaf: "what_the_client_holds_is_read",
    Replacing: "other_headers_stay",
}
"""States that one case catches, and no other."""


def run(name: str, state: Callable[[], State], client: Callable[[], Client] = CookieClient) -> None:
    """Run one case of the contract by hand."""
    case = getattr(StateContract(), f"test_{name}")
    given = {"make_state": state, "make_client": client}
    wanted = case.__func__.__code__.co_varnames[1 : case.__func__.__code__.co_argcount]
    case(**{argument: given[argument] for argument in wanted})


@pytest.mark.parametrize(("broken", "name"), CASES)
def test_the_contract_notices(broken: type[CookieState], name: str) -> None:
    """The case fails for the broken State and passes for the sound one."""
    with pytest.raises(AssertionError):
        run(name, broken)
    try:
        run(name, CookieState)
    except pytest.skip.Exception:
        assert broken is Silent


def names_of_cases() -> set[str]:
    """Name the cases of the contract."""
    return {name[5:] for name in dir(StateContract) if name.startswith("test_")}


def fails(name: str, state: Callable[[], State], client: Callable[[], Client]) -> bool:
    """Say whether a case fails, rather than pass or not apply."""
    try:
        run(name, state, client)
    except pytest.skip.Exception:
        return False
    except Exception:  # noqa: BLE001 - a broken State may raise anything
        return True
    return False


@pytest.mark.parametrize("broken", ALONE)
def test_one_case_notices_and_no_other(broken: type[Any]) -> None:
    """Without that case, a State with such a defect would pass."""
    client = CookieClient if issubclass(broken, CookieState) else lambda: HeaderClient("X-Id")
    assert {name for name in names_of_cases() if fails(name, broken, client)} == {ALONE[broken]}


def test_every_case_is_needed() -> None:
    """For each there is a State that it catches alone."""
    assert set(ALONE.values()) == names_of_cases()


def test_the_contract_notices_an_exception() -> None:
    """What a State raises at a client's input fails the case as it is."""
    with pytest.raises(UnicodeEncodeError):
        run("hostile_headers_offer_forms_only", Fragile)


def test_the_contract_notices_a_deaf_state() -> None:
    """A State that does not send has to read what its client holds."""
    with pytest.raises(AssertionError):
        run("what_the_client_holds_is_read", Silent, lambda: HeaderClient("X-Id"))


def test_the_contract_asks_for_the_fixture() -> None:
    """Without `make_state` the message says what to write."""

    class TestNothing(StateContract):
        pass

    fixture: Any = TestNothing.make_state
    function = getattr(fixture, "__wrapped__", None) or fixture.__pytest_wrapped__.obj
    with pytest.raises(NotImplementedError, match="TestNothing needs a fixture `make_state`"):
        function(TestNothing())
