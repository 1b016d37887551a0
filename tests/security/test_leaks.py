"""The plugin that searches for IDs in what each test leaves behind sees what it is for."""

from __future__ import annotations

import base64
import logging

import pytest

from coatcheck.errors import StoreError
from coatcheck.events import StoreFailed
from tests.core.harness import Browser, Harness, put
from tests.leaks import Leaks, Plugin

SECRET = bytes.fromhex("9f3c71d05ea8b24466e1087bd2354a9c")
ID = "AQxZ" + "aB3-" * 16


@pytest.fixture
def leaks() -> Leaks:
    """One ID was issued."""
    leaks = Leaks()
    leaks.issue(ID, SECRET)
    return leaks


@pytest.mark.parametrize(
    "text",
    [ID, f"session={ID}; Path=/", f"xx{ID}", SECRET.hex(), f"0{SECRET.hex()}", f"{SECRET!r}"],
)
def test_sec_84_an_id_in_a_text_is_found(leaks: Leaks, text: str) -> None:
    """The ID itself, and its secret half in hex or as Python shows bytes, whatever is around it."""
    leaks.say("harmless")
    assert leaks.found() == []
    leaks.say(f"something {text} something")
    assert leaks.found()


@pytest.mark.parametrize(
    "spelling", [SECRET, SECRET.hex().encode(), base64.b64encode(SECRET), ID.encode()]
)
def test_sec_15_a_secret_in_a_payload_is_found(leaks: Leaks, spelling: bytes) -> None:
    """In any of the forms in which a program might store it."""
    leaks.store(b"harmless")
    assert leaks.found() == []
    leaks.store(b"prefix" + spelling)
    assert leaks.found()


def test_a_log_is_looked_at(leaks: Leaks) -> None:
    """Its messages, and the exceptions that go with them."""
    try:
        raise StoreError(ID)
    except StoreError:
        error = logging.LogRecord("coatcheck", logging.ERROR, "", 1, "it %s", ("is",), None)
        error.exc_info = (StoreError, StoreError(ID), None)
    leaks.emit(error)
    assert leaks.found()


def test_another_test_begins_anew(leaks: Leaks) -> None:
    """What one test has said is not held against the next; the IDs stay known."""
    leaks.say(ID)
    leaks.begin()
    assert leaks.found() == []
    leaks.say(ID)
    assert leaks.found()


def test_sec_84_every_test_is_looked_after(request: pytest.FixtureRequest) -> None:
    """The plugin is there, and has seen the ID, the payload and the event of this very test."""
    plugin = request.config.pluginmanager.get_plugin("leaks")
    assert isinstance(plugin, Plugin)
    harness = Harness()
    browser = Browser(harness)
    browser.visit(put(a=1))
    harness.runtime.emit(StoreFailed("a disk"))
    assert browser.id in plugin.leaks.ids
    assert harness.stored(browser.id).payload in plugin.leaks.stored
    assert any("a disk" in said for said in plugin.leaks.said)
    with pytest.raises(StoreError):
        raise StoreError("out of reach")
    assert any("out of reach" in said for said in plugin.leaks.said)
    logging.getLogger("coatcheck").warning("on fire")
    assert "on fire" in plugin.leaks.said
