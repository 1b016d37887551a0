"""Options as they may be written: their types, and other names for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Required, TypedDict

from coatcheck.checks import Duration
from coatcheck.clock import Clock
from coatcheck.errors import ConfigurationError
from coatcheck.events import OnEvent
from coatcheck.paths import Paths
from coatcheck.state.protocol import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from coatcheck.codecs import Codec, CustomType


class PlainOptions(TypedDict, total=False):
    """The options of `SessionConfig` but `secret`; its fields say what each means."""

    old_secrets: Sequence[str | bytes]
    namespace: str
    expire: Duration
    idle_timeout: Duration
    """`expire`."""
    lifetime: Duration
    preset: Literal["aal1", "aal2", "aal3"] | None
    permanent_idle: float | timedelta | None
    touch_interval: float | timedelta | None
    slide: bool
    rotate_every: float | timedelta | None
    on_theft: Literal["event", "revoke-session", "revoke-user"]
    renew: bool | Paths
    cookie_name: str
    cookie_options: Mapping[str, Any]
    state: State | None
    exclude: Paths
    websocket_origins: Sequence[str]
    cache: Literal["private", "no-store"]
    clear_site_data: bool | Sequence[str]
    codec: Literal["binary", "json"] | Codec | None
    encrypt: bool | Literal["sealed"]
    types: Sequence[CustomType[Any]]
    max_size: int
    resolve: Mapping[str, Callable[[Any, Any, Any], Any]]
    save_on_error: bool
    on_store_error: Literal["fail", "anonymous"]
    max_sessions_per_user: int | None
    evict: Literal["oldest", "refuse"]
    purge: Literal["auto", "never"]
    on_event: OnEvent | None
    clock: Clock


class ConfigOptions(PlainOptions, total=False):
    """The keywords of `SessionConfig`."""

    secret: Required[str | bytes]


class Options(PlainOptions, total=False):
    """All options that an adapter takes, the names that other libraries use among them."""

    secret: str | bytes
    secret_key: str | bytes
    """`secret`, as Starlette calls it."""
    session_cookie: str
    """`cookie_name`, as Starlette calls it."""
    max_age: float | timedelta | None
    """Starlette's: `lifetime`, and `expire` too where that is not given. `None`: no limit, and a
    cookie that the browser forgets when it closes."""
    path: str
    same_site: Literal["lax", "strict", "none"]
    https_only: bool
    """Starlette's: `True` is `cookie_options={"secure": True}`; `False` leaves it at `"auto"`."""
    domain: str | None
    partitioned: bool


# NIST asks for no idle timeout at AAL1, and ours stays: a preset loosens nothing.
PRESETS: Final[Mapping[str, Mapping[str, float]]] = {
    "aal1": {"expire": 3600.0, "lifetime": 30 * 86_400.0},
    "aal2": {"expire": 3600.0, "lifetime": 86_400.0},
    "aal3": {"expire": 900.0, "lifetime": 43_200.0},
}
"""The longest idle timeouts and lifetimes, in seconds, that NIST SP 800-63B-4 advises."""
RENAMED: Final = {
    "idle_timeout": "expire",
    "secret_key": "secret",
    "session_cookie": "cookie_name",
}
COOKIE_ALIASES: Final = {
    "path": "path",
    "same_site": "samesite",
    "https_only": "secure",
    "domain": "domain",
    "partitioned": "partitioned",
}

# What other libraries call what we have under another name, and no close match would find.
_ELSEWHERE: Final = {
    "timeout": "expire",
    "cookie_age": "lifetime",
    "cookie_max_age": "cookie_options={'max_age': ...}",
    "cookie_expires": "cookie_options={'max_age': ...}",
    "rolling": "slide",
    "renew_on_access": "slide",
    "reissue_time": "touch_interval",
    "cookie_path": "cookie_options={'path': ...}",
    "cookie_domain": "cookie_options={'domain': ...}",
    "cookie_same_site": "cookie_options={'samesite': ...}",
    "cookie_samesite": "cookie_options={'samesite': ...}",
    "cookie_https_only": "cookie_options={'secure': True}",
    "cookie_secure": "cookie_options={'secure': True}",
    "cookie_httponly": "cookie_options={'httponly': ...}",
    "samesite": "cookie_options={'samesite': ...}",
    "secure": "cookie_options={'secure': True}",
    "httponly": "cookie_options={'httponly': ...}",
    "http_only": "cookie_options={'httponly': ...}",
    "serializer": "codec",
    "data_serializer": "codec",
    "prefix": "namespace",
    "key_prefix": "namespace",
    "fallbacks": "old_secrets",
    "secret_key_fallbacks": "old_secrets",
    "allowed_origins": "websocket_origins",
    "store": "store=... where the adapter or manager is made, beside the configuration",
}


def suggestion(unknown: str, known: Collection[str]) -> str | None:
    """Return the known name that `unknown` most likely stands for, if any comes near."""
    close = get_close_matches(unknown, known, n=1, cutoff=0.8)
    return close[0] if close else None


class Given(NamedTuple):
    """Options under our own names, and how each was written, for what errors say."""

    values: dict[str, Any]
    names: dict[str, str]

    def put(self, option: str, value: Any, written: str) -> None:
        """Add an option; raises `ConfigurationError` where it was given under another name too."""
        if option in self.values:
            both = f"{self.names[option]} and {written}"
            raise ConfigurationError(f"{both} are the same option: give one of them")
        self.values[option] = value
        self.names[option] = written

    def put_cookie(self, attribute: str, value: Any, written: str) -> None:
        """Add an attribute of the cookie to `cookie_options`."""
        others = self.values.get("cookie_options", {})
        if not isinstance(others, Mapping):
            return  # which is what will be complained of
        if attribute in others:
            raise ConfigurationError(
                f"{written} and cookie_options[{attribute!r}] are the same option: give one of them"
            )
        self.values["cookie_options"] = {**others, attribute: value}
        self.names.setdefault("cookie_options", "cookie_options")

    def over(self, other: Given) -> Given:
        """Return the options of both; these win, but for `cookie_options` one by one."""
        values = {**other.values, **self.values}
        below, above = (one.values.get("cookie_options", {}) for one in (other, self))
        if isinstance(below, Mapping) and isinstance(above, Mapping) and (below or above):
            values["cookie_options"] = {**below, **above}
        return Given(values, {**other.names, **self.names})


def given(options: Mapping[str, Any], known: Collection[str]) -> Given:
    """Return the options under our own names.

    Raises `ConfigurationError` for a name that is not known, naming the nearest one, and for two
    that say the same.
    """
    result = Given({}, {})
    # The cookie's attributes are added to `cookie_options`, which therefore comes first.
    for name in sorted(options, key=lambda name: name in COOKIE_ALIASES or name == "max_age"):
        value = options[name]
        if name in known:
            result.put(name, value, name)
        elif name in RENAMED:
            result.put(RENAMED[name], value, name)
        elif name == "max_age":
            result.put("lifetime", value, name)
            if value is None:
                result.put_cookie("max_age", None, name)
        elif name not in COOKIE_ALIASES:
            raise ConfigurationError(_unknown(name, known))
        elif not (name == "https_only" and value is False):
            result.put_cookie(COOKIE_ALIASES[name], value, name)
    if "max_age" in options and "expire" not in result.values:
        result.put("expire", options["max_age"], "max_age")
    return result


def _unknown(name: str, known: Collection[str]) -> str:
    if name in _ELSEWHERE:
        return f"there is no option {name}: write {_ELSEWHERE[name]}"
    names = [*known, *RENAMED, *COOKIE_ALIASES, "max_age", "store"]
    near = suggestion(name, names)
    if near is not None:
        return f"there is no option {name}: did you mean {near}?"
    return f"there is no option {name}: the options are {', '.join(sorted(known))}"
