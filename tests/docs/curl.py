"""What `curl` does on the project's pages, with applications of this process at the other end."""

from __future__ import annotations

import argparse
import http
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from werkzeug.test import Client

# What the servers themselves add, where they add it; gunicorn's order is not shown on any page.
_BEFORE: Final = {
    "wsgi": [("Server", "Werkzeug"), ("Date", "Sat, 21 Nov 2026 12:00:00 GMT")],
    "asgi": [("date", "Sat, 21 Nov 2026 12:00:00 GMT"), ("server", "uvicorn")],
}
_AFTER: Final = [("Connection", "close")]


class Answer(NamedTuple):
    """A response."""

    status: str
    headers: list[tuple[str, str]]
    body: str

    @property
    def location(self) -> str | None:
        """Where it sends the client instead."""
        return next((value for name, value in self.headers if name.lower() == "location"), None)


Server = Callable[[str, str, list[tuple[str, str]], bytes], Answer]
"""Called with method, URL, headers and body."""


class Curl:
    """Calls the applications that are served, by their ports; cookies are kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, Server] = {}
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def serve_wsgi(self, port: str, app: Any) -> None:
        """Serve a WSGI application at that port of this machine."""
        client = Client(app, use_cookies=False)

        def call(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
            with client.open(url, method=method, headers=headers, data=body) as response:
                pairs = [*_BEFORE["wsgi"], *response.headers.items(), *_AFTER]
                return Answer(response.status, pairs, response.get_data(as_text=True))

        self._servers[port] = call

    def serve_asgi(self, port: str, app: Any) -> None:
        """Serve an ASGI application at that port, on the one event loop that there is."""
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal())
        portal = self._portal

        async def call(
            method: str, url: str, headers: list[tuple[str, str]], body: bytes
        ) -> Answer:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
                response = await client.request(method, url, headers=headers, content=body)
                status = f"{response.status_code} {http.HTTPStatus(response.status_code).phrase}"
                pairs = [*_BEFORE["asgi"], *response.headers.multi_items()]
                return Answer(status, pairs, response.text)

        def wait(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
            return portal.call(call, method, url, headers, body)

        self._servers[port] = wait

    def serve_at(self, port: str, real: int) -> None:
        """Have a server at another port of this machine, which somebody has started."""
        client = self._stack.enter_context(httpx.Client(trust_env=False))

        def call(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
            there = httpx.URL(url).copy_with(port=real)
            response = client.request(method, there, headers=headers, content=body)
            status = f"{response.status_code} {response.reason_phrase}"
            pairs = [(name.decode(), value.decode()) for name, value in response.headers.raw]
            return Answer(status, pairs, response.text)

        self._servers[port] = call

    def close(self) -> None:
        """Stop the event loop."""
        self._stack.close()

    def run(self, words: Sequence[str]) -> str:
        """Do what the arguments of `curl` say; return what it prints."""
        told = _parser().parse_args(list(words))
        headers = [_header(line) for line in told.header]
        body = None if told.data is None else "&".join(told.data).encode()
        if body is not None:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        method = told.request or ("GET" if body is None else "POST")
        answer = self._visit(told, method, told.url, headers, body or b"")
        while told.location and (target := answer.location) is not None:
            url = urljoin(told.url, target)
            answer = self._visit(told, told.request or "GET", url, headers, b"")
        if not told.include:
            return answer.body
        lines = [f"HTTP/1.1 {answer.status}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        return "\n".join([*lines, "", answer.body])

    def _visit(
        self,
        told: argparse.Namespace,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> Answer:
        cookies = self._cookies(told.cookie) if told.cookie is not None else {}
        if cookies:
            pairs = (f"{name}={value}" for name, value in cookies.items())
            headers = [*headers, ("Cookie", "; ".join(pairs))]
        port = str(urlsplit(url).port or 80)
        if port not in self._servers:
            raise AssertionError(f"nobody is served at {url} on this page")
        answer = self._servers[port](method, url, headers, body)
        if told.cookie_jar is not None:
            self._keep(told.cookie_jar, answer)
        return answer

    def _cookies(self, jar: str) -> dict[str, str]:
        if "=" in jar:
            return dict([jar.split("=", 1)])
        file = self._folder / jar
        if not file.exists():
            return {}
        lines = file.read_text(encoding="ascii").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _keep(self, jar: str, answer: Answer) -> None:
        kept = self._cookies(jar)
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                pair, *attributes = value.split("; ")
                cookie, _, content = pair.partition("=")
                kept.pop(cookie, None)
                if "Max-Age=0" not in attributes:
                    kept[cookie] = content
        text = "".join(f"{name}={value}\n" for name, value in kept.items())
        (self._folder / jar).write_text(text, encoding="ascii")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("curl", add_help=False, exit_on_error=False)
    parser.add_argument("-b", "--cookie")
    parser.add_argument("-c", "--cookie-jar")
    parser.add_argument("-d", "--data", action="append")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-L", "--location", action="store_true")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("url")
    return parser


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
