"""The examples for the web do what they say, behind the servers that they name."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.docs.processes import RealShell
from tests.docs.snippets import ROOT, SECRET
from tests.e2e.servers import PATIENCE

WEB: Final = ("flask_app", "wsgi_app", "asgi_app", "starlette_app")
PORTS: Final = {"flask_app": 5000, "wsgi_app": 8001, "asgi_app": 8002, "starlette_app": 8003}
_COMMANDS: Final = re.compile(r"^    \$ .*\n(?:    .+\n)*", re.MULTILINE)


def console(name: str) -> str:
    """Return the commands in the docstring of an example, with what they print."""
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    return textwrap.dedent("".join(_COMMANDS.findall(text.split('"""')[1])))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealShell]:
    """A terminal in a folder that has the examples, and nothing else of the project."""
    monkeypatch.setenv("SECRET_KEY", SECRET)
    for name in WEB:
        text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    shell = RealShell(tmp_path)
    yield shell
    shell.close()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    """A browser; it sends its cookies to every port of this machine."""
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        yield client


@pytest.mark.parametrize("name", WEB)
def test_what_an_example_tells_to_type(name: str, shell: RealShell) -> None:
    """Each command in its docstring works and prints what stands below it."""
    shell.play(console(name), name)
    assert name in shell.used


def test_one_session_at_four_doors(shell: RealShell, browser: httpx.Client) -> None:
    """Given one secret and one folder, the four share every note, and one sign-out ends it."""
    doors: dict[str, str] = {}
    for name in WEB:
        (start,) = re.findall(rf"^\$ (.* {name}[ :].*)", console(name), re.MULTILINE)
        shell.run(start)
        doors[name] = f"http://127.0.0.1:{shell.port(str(PORTS[name]))}"

    flask, wsgi, asgi, starlette = (doors[name] for name in WEB)
    browser.post(flask + "/sign-in", data={"name": "ada", "remember": "on"})
    browser.post(flask, data={"note": "from Flask"})
    browser.post(wsgi, data={"note": "from WSGI"})
    with websocket(asgi, browser) as one, websocket(asgi, browser) as other:
        one.send("from a socket")
        other.send("from another")
        assert "from another" in str(other.recv())
        one.recv()
        one.send("and again")
        sockets = ["from a socket", "from another", "and again"]
        assert set(str(one.recv()).split(", ")) == {"from Flask", "from WSGI", *sockets}
        seen = browser.post(starlette + "/add/from Starlette").json()
        assert seen["user"] == "ada"
        assert set(seen["notes"]) == {"from Flask", "from WSGI", *sockets, "from Starlette"}
        assert len(seen["notes"]) == 6
        assert "from Starlette" in browser.get(asgi).text

        browser.post(wsgi + "/sign-out")
        one.send("too late")
        with pytest.raises(ConnectionClosed) as closed:
            one.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    with websocket(asgi) as new:
        new.send("mine")
        assert new.recv() == "mine"
        assert new.response is not None
        assert new.response.headers["Set-Cookie"].startswith("session=")
    assert browser.get(flask).text == "Nobody's notes: none\n"
    assert browser.get(starlette).json() == {"user": None, "notes": []}


def websocket(address: str, browser: httpx.Client | None = None) -> ClientConnection:
    """Open a WebSocket at that server with the browser's cookies."""
    cookies = {} if browser is None else dict(browser.cookies.items())
    return connect(
        address.replace("http", "ws"),
        additional_headers={"Cookie": "; ".join("=".join(pair) for pair in cookies.items())},
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        proxy=None,
    )
