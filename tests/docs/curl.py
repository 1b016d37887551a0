"""What `curl` does on the project's pages, for machines that have none."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

import httpx


class Curl:
    """Visits servers; cookies are kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = httpx.Client(trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def run(self, words: Sequence[str]) -> str:
        """Do what the arguments of `curl` say; return what it prints."""
        told = _parser().parse_args(list(words))
        method = told.request or ("GET" if told.data is None else "POST")
        response = self._visit(told, method, told.url)
        while told.location and "Location" in response.headers:
            url = urljoin(told.url, response.headers["Location"])
            told.data = None
            response = self._visit(told, told.request or "GET", url)
        if not told.include:
            return response.text
        lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        lines += [f"{name.decode()}: {value.decode()}" for name, value in response.headers.raw]
        return "\n".join([*lines, "", response.text])

    def _visit(self, told: argparse.Namespace, method: str, url: str) -> httpx.Response:
        headers = [_header(line) for line in told.header]
        cookies = self._cookies(told.cookie) if told.cookie is not None else {}
        if cookies:
            headers.append(("Cookie", "; ".join("=".join(pair) for pair in cookies.items())))
        body = None
        if told.data is not None:
            body = "&".join(told.data).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        self._client.cookies.clear()  # they are in the jar, or nowhere
        response = self._client.request(method, url, headers=headers, content=body)
        if told.cookie_jar is not None:
            self._keep(told.cookie_jar, response.headers.get_list("Set-Cookie"))
        return response

    def _cookies(self, jar: str) -> dict[str, str]:
        if "=" in jar:
            return dict([jar.split("=", 1)])
        file = self._folder / jar
        if not file.exists():
            return {}
        lines = file.read_text(encoding="ascii").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _keep(self, jar: str, sent: Sequence[str]) -> None:
        kept = self._cookies(jar)
        for value in sent:
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
    parser.add_argument("-X", "--request")
    parser.add_argument("url")
    return parser


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
