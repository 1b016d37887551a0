"""A client for `check.py`: keeps cookies as a browser does, and reads the pages of the demo."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.cookiejar import Cookie, CookieJar
from urllib.parse import urlencode, urlsplit
from urllib.request import Request

from pages import COOKIE, Side


class Surprise(Exception):
    """Something was not as it should be."""


@dataclass
class Page:
    """What a page showed."""

    fields: dict[str, str] = field(default_factory=dict[str, str])
    basket: dict[str, int] = field(default_factory=dict[str, int])
    """How many of each good."""
    sessions: dict[str, bool] = field(default_factory=dict[str, bool])
    """The user's sessions by handle, and whether each is the one that the page was shown to."""

    @property
    def user(self) -> str | None:
        return self.fields.get("user")

    @property
    def handle(self) -> str | None:
        return self.fields.get("handle")

    @property
    def sum(self) -> str | None:
        return self.fields.get("sum")


class Browser:
    """One client: its own cookies and, as browsers have it, a connection that stays open."""

    def __init__(self, url: str, cookie: Cookie | None = None) -> None:
        self.url = url
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._cookies = CookieJar()
        if cookie is not None:
            self._cookies.set_cookie(cookie)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    @property
    def cookie(self) -> Cookie | None:
        """The session cookie, if there is one."""
        return next((cookie for cookie in self._cookies if cookie.name == COOKIE), None)

    def twin(self) -> Browser:
        """Return another tab: a client with the same session cookie, which may act in parallel."""
        return Browser(self.url, self.cookie)

    def look(self, side: Side) -> Page:
        """Open the page of that side."""
        return self._page(f"{side.path}/")

    def do(self, side: Side, action: str, **form: str) -> Page:
        """Send a form of that side and return the page to which it leads."""
        status, target = self.send(f"{side.path}/{action}", form, origin=self.url)
        if status != 303:
            raise Surprise(f"{action} on {side.name} was answered {status}: {target}")
        return self._page(target)

    def send(
        self, path: str, form: dict[str, str] | None = None, *, origin: str = ""
    ) -> tuple[int, str]:
        """Send a request, a form if there is one; return the status, and the text or the target."""
        request = Request(self.url + path)  # noqa: S310  (what the cookie jar goes by)
        self._cookies.add_cookie_header(request)
        headers = dict(request.header_items())
        if origin:
            headers["Origin"] = origin
        if form is None:
            self._connection.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            self._connection.request("POST", path, urlencode(form), headers)
        with self._connection.getresponse() as response:
            text = response.read().decode()
            self._cookies.extract_cookies(response, request)
            return response.status, response.headers.get("Location", text)

    def _page(self, path: str) -> Page:
        status, text = self.send(path)
        if status != 200:
            raise Surprise(f"{path} was answered {status}: {text}")
        reader = _Reader()
        reader.feed(text)
        reader.close()
        return reader.page


class _Reader(HTMLParser):
    """Collects what the template marked with `data-` attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._field: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        marks = {name: value or "" for name, value in attrs}
        self._field = marks.get("data-field")
        if "data-good" in marks:
            self.page.basket[marks["data-good"]] = int(marks["data-quantity"])
        if "data-session" in marks:
            self.page.sessions[marks["data-session"]] = marks["data-this"] == "yes"

    def handle_data(self, data: str) -> None:
        if self._field is not None:
            self.page.fields[self._field] = data

    def handle_endtag(self, tag: str) -> None:
        self._field = None
