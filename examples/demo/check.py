"""The demo's story, told over HTTP: starts the demo, drives it with two clients, stops it.

Prints what it saw. The first thing that is not as it should be ends the check with status 1.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from basket import GOODS
from browser import Browser, Page, Surprise
from coatcheck import SessionManager
from pages import ASGI, FLASK, SIDES
from place import open_place
from process import Demo

BOTH_WAYS = ((FLASK, ASGI), (ASGI, FLASK))


def main() -> int:
    """Run the check; return the exit status."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coatcheck-demo-") as folder:
        data = Path(folder) / "data"
        demo = Demo(data)
        try:
            with demo:
                print(f"The demo runs at {demo.url}.")
                laptop, phone = Browser(demo.url), Browser(demo.url)
                visit(laptop)
                sign_in(laptop)
                shop(laptop)
                click_at_once(laptop)
                regenerate(laptop)
                second_client(laptop, phone)
                other_program(laptop, data)
                refuse(laptop)
                sign_out(laptop)
                phone.do(ASGI, "sign-in", name="Grace", remember="on")
            ended(demo)
            demo = Demo(data)
            with demo:
                restart(Browser(demo.url, phone.cookie))
            ended(demo)
        except (Surprise, OSError) as surprise:
            print(f"  SURPRISE: {surprise}\n\nThe demo wrote:\n\n{demo.output}")
            return 1
    print(f"All as it should be, in {time.monotonic() - begun:.1f} s.")
    return 0


def visit(browser: Browser) -> None:
    """Looking stores nothing."""
    print("A visitor looks")
    expect(browser.send("/")[0], 200, "status of the page with both sides")
    for side in SIDES:
        expect(browser.look(side), Page(), f"the {side.name} page of a new visitor")
    expect(browser.cookie, None, "cookie of a visitor who only looked")
    saw("at both sides: no session, and no cookie was set")


def sign_in(browser: Browser) -> None:
    """What was put in the basket before signing in stays; the ID from before is worth nothing."""
    print("Sign in")
    before = browser.do(ASGI, "basket/scarf/put")
    expect(before.basket, {"scarf": 1}, "basket")
    expect(browser.look(FLASK).handle, before.handle, "handle on Flask")
    saw(f"a scarf in the basket on ASGI: on Flask too, session {short(before)}, nobody signed in")
    old = browser.twin()
    after = browser.do(FLASK, "sign-in", name="Ada")
    there = browser.look(ASGI)
    for page in (after, there):
        expect((page.user, page.basket), ("Ada", {"scarf": 1}), "user and basket")
    expect(there.fields, after.fields, "what ASGI shows of the session")
    expect(after.handle == before.handle, False, "whether the handle stayed")
    saw(f"signed in on Flask: ASGI shows Ada, session {short(there)}, with the scarf")
    dead(old, "the cookie from before signing in")


def shop(browser: Browser) -> None:
    """What one side changes, the other one shows."""
    print("Basket")
    for here, there in BOTH_WAYS:
        one = browser.do(here, "basket/hat/put")
        other = browser.look(there)
        expect((other.basket, other.sum), (one.basket, one.sum), f"basket on {there.name}")
        saw(f"a hat put in on {here.name}: {there.name} shows {other.basket}, sum {other.sum}")
    expect(browser.look(FLASK).sum, str(GOODS["scarf"].price + 2 * GOODS["hat"].price), "sum")
    for here, there in BOTH_WAYS:
        browser.do(here, "basket/hat/take")
        other = browser.look(there)
        saw(f"a hat taken out on {here.name}: {there.name} shows {other.basket}, sum {other.sum}")
    expect(browser.look(FLASK).basket, {"scarf": 1}, "basket")


def click_at_once(browser: Browser) -> None:
    """Parallel requests on both sides all keep their change."""
    print("Ten clicks at once")

    def click(number: int) -> Page:
        return browser.twin().do(SIDES[number % 2], "basket/gloves/put")

    with ThreadPoolExecutor(10) as tabs:
        list(tabs.map(click, range(10)))
    for side in SIDES:
        expect(browser.look(side).basket, {"scarf": 1, "gloves": 10}, f"basket on {side.name}")
    saw("five on each side, in parallel: ten pairs of gloves in the basket")


def regenerate(browser: Browser) -> None:
    """A new ID, with everything else as it was."""
    print("Regenerate")
    for here, there in BOTH_WAYS:
        old, before = browser.twin(), browser.look(here)
        browser.do(here, "regenerate")
        after = browser.look(there)
        expect(after.handle == before.handle, False, "whether the handle stayed")
        expect(after.fields["created"], before.fields["created"], "creation")
        expect((after.user, after.basket), (before.user, before.basket), "user and basket")
        saw(f"on {here.name}: {there.name} shows session {short(after)} instead of {short(before)}")
        dead(old, "the old cookie")


def second_client(laptop: Browser, phone: Browser) -> None:
    """A user sees all sessions of hers, and can end each of them."""
    print("A second client")
    own = laptop.look(FLASK).handle or ""
    expect(phone.look(FLASK), Page(), "what the second client sees at first")
    for here, there in BOTH_WAYS:
        page = phone.do(here, "sign-in", name="Ada")
        expect(page.basket, {}, "basket of the second client")
        handle = page.handle or ""
        expect(page.sessions, {own: False, handle: True}, f"sessions on {here.name}")
        expect(laptop.look(there).sessions, {own: True, handle: False}, "sessions")
        saw(f"signs in as Ada on {here.name}: the first one sees it listed on {there.name}")
        left = laptop.do(there, f"sessions/{handle}/revoke")
        expect(left.sessions, {own: True}, "sessions after revoking")
        saw(f"the first one revokes it on {there.name}")
        dead(phone, "its cookie")
    phone.do(FLASK, "sign-in", name="Ada")
    left = laptop.do(ASGI, "sessions/revoke-others")
    expect(left.sessions, {own: True}, "sessions")
    saw("signs in again; the first one signs out everywhere else")
    dead(phone, "its cookie")
    phone.do(FLASK, "sign-in", name="Grace")
    for side in SIDES:
        page = phone.do(side, f"sessions/{own}/revoke")
        expect((page.user, list(page.sessions.values())), ("Grace", [True]), "user and sessions")
        expect(laptop.look(side).user, "Ada", "user of the first client")
    saw("signs in as Grace: she sees only her own session, and cannot revoke Ada's")
    phone.do(FLASK, "sign-out")


def other_program(browser: Browser, data: Path) -> None:
    """A program without any web finds the same session: this one."""
    print("Without the web")
    place = open_place(data)
    manager = SessionManager(store=place.store, secret=place.secret)
    (session,) = manager.sessions_of("Ada")
    expect(session.handle, browser.look(FLASK).handle, "handle")
    price: object = session["basket"]["scarf"]["price"]
    expect(isinstance(price, Decimal), True, "whether the price is a Decimal")
    expect(price, GOODS["scarf"].price, "price of the scarf")
    saw(f"SessionManager finds session {session.handle[:8]} of Ada, the price is {price!r}")


def refuse(browser: Browser) -> None:
    """A form that another site sent changes nothing."""
    print("Forms from elsewhere")
    for side in SIDES:
        for origin in ("http://elsewhere.example", "null", ""):
            status, _ = browser.send(f"{side.path}/sign-out", {}, origin=origin)
            expect(status, 403, f"status with Origin {origin!r}")
        expect(browser.look(side).user, "Ada", "user")
    saw("are refused on both sides")


def sign_out(browser: Browser) -> None:
    """Signed out on one side is signed out on the other, and stays so."""
    print("Sign out")
    for here, there in BOTH_WAYS[::-1]:
        if browser.look(there).user is None:
            browser.do(there, "sign-in", name="Ada")
        old = browser.twin()
        browser.do(here, "sign-out")
        expect(browser.look(there), Page(), f"what {there.name} shows")
        expect(browser.cookie, None, "cookie after signing out")
        saw(f"on {here.name}: signed out on {there.name} too, and the cookie is gone")
        dead(old, "the old cookie")


def restart(browser: Browser) -> None:
    """Sessions outlive the process."""
    print("Stopped and started again")
    for side in SIDES:
        expect(browser.look(side).user, "Grace", f"user on {side.name}")
    if browser.cookie is None or browser.cookie.expires is None:
        raise Surprise("the cookie of a remembered session does not persist")
    days = round((browser.cookie.expires - time.time()) / 86_400)
    saw(f"Grace is still signed in on both sides; her cookie is kept for {days} days")


def dead(browser: Browser, what: str) -> None:
    """Whoever has that cookie is nobody, on both sides, and no session begins by it."""
    for side in SIDES:
        expect(browser.look(side), Page(), f"what {side.name} shows for {what}")
    saw(f"{what} is worth nothing on either side")


def ended(demo: Demo) -> None:
    """Expect that the demo stopped as asked, and that nothing went wrong in it."""
    expect(demo.status, 0, "exit status of the demo")
    for sign in ("Traceback", "Exception", "Warning", "ERROR"):
        expect(sign in demo.output, False, f"whether the demo wrote {sign!r}")


def expect(got: object, wanted: object, what: str) -> None:
    """Raise `Surprise` unless that is what was wanted."""
    if got != wanted:
        raise Surprise(f"{what}: {got!r}, and it should be {wanted!r}")


def saw(text: str) -> None:
    """Say what was seen."""
    print(f"  {text}")


def short(page: Page) -> str:
    """Return the beginning of the session's handle."""
    return (page.handle or "none")[:8]
