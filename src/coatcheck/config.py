"""The configuration: one frozen object, however it was written.

    SessionConfig(secret=..., expire=1800)       keywords, under our names
    SessionConfig.from_options(secret_key=...)   keywords, under the names of other libraries too
    SessionConfig.from_mapping(app.config)       SESSION_EXPIRE, SECRET_KEY, SESSION_COOKIE_NAME...
    SessionConfig.from_env()                     COATCHECK_SECRET, COATCHECK_EXPIRE...

The store is no part of it: adapters and managers take it beside the configuration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Unpack

from coatcheck import checks, settings
from coatcheck.clock import Clock, system_clock
from coatcheck.errors import ConfigurationError
from coatcheck.events import OnEvent
from coatcheck.options import PRESETS, ConfigOptions, Given, Options, given
from coatcheck.origins import origins
from coatcheck.paths import Paths, PathTest, path_test
from coatcheck.settings import store_from_env as store_from_env
from coatcheck.settings import store_from_mapping as store_from_mapping
from coatcheck.state.protocol import State

if TYPE_CHECKING:
    from coatcheck.codecs import Codec, CustomType

_SECRET_MISSING: Final = (
    "must be given, a string or bytes: generate it once with `python -c 'import secrets;"
    " print(secrets.token_urlsafe(32))'` and keep it out of the source"
)
Resolver = Callable[[Any, Any, Any], Any]
"""Called as `f(base, mine, theirs)` where two requests changed one key; returns its new value."""


@dataclass(frozen=True, slots=True, init=False)
class SessionConfig:
    """All settings of sessions; frozen, and safe to show: `repr` leaves the secrets out.

    Raises `ConfigurationError` for an option that is unknown or wrong, saying what to write.
    """

    secret: str | bytes = field(repr=False)
    """Signs the session IDs: 32 random bytes or more, the same on all servers of an application."""

    old_secrets: tuple[str | bytes, ...] = field(default=(), repr=False)
    """Secrets that still verify, so that replacing one signs nobody out. Drop each of them after
    one `lifetime`."""

    namespace: str = "coatcheck"
    """Keeps the sessions of two applications on one store or one secret apart (CVE-2020-17526)."""

    # Time

    expire: float | None = 3600.0
    """Seconds without activity after which a session ends (idle timeout); `None`: never. One hour
    outlasts a long form and a lunch; OWASP advises 15 to 30 minutes, and less where money moves."""

    lifetime: float | None = 2_592_000.0
    """Seconds from the latest sign-in, else from the creation, after which a session ends whatever
    happens; `None`: never. 30 days is what NIST SP 800-63B-4 advises at most, at AAL1."""

    preset: Literal["aal1", "aal2", "aal3"] | None = None
    """`expire` and `lifetime` by an assurance level of NIST SP 800-63B-4 (2.1.3, 2.2.3, 2.3.3):
    `"aal1"` is 1 hour and 30 days, `"aal2"` 1 hour and 24 hours, `"aal3"` 15 minutes and 12 hours.
    Either of the two that is given wins over it."""

    permanent_idle: float | None = None
    """What `expire` is for a session that Flask calls permanent; `None`: the same."""

    touch_interval: float | None = None
    """Seconds between two writes that do nothing but move the idle deadline; `None`: the smaller of
    60 and a tenth of the idle timeout, so that reading is not writing."""

    slide: bool = True
    """Whether activity moves the idle deadline; Flask's `SESSION_REFRESH_EACH_REQUEST`."""

    renew: bool | Paths = True
    """Whether, or for which paths, looking at the session counts as activity. A page that polls
    must not keep a session alive for ever: `renew=["!/notifications"]`."""

    rotate_every: float | None = None
    """Seconds after which the secret half of a session's ID is replaced, with a write or a touch
    that is due; `None`: never. From 60. What comes with one that was replaced is told as a theft;
    requests under way and responses that get lost do no harm."""

    on_theft: Literal["event", "revoke-session", "revoke-user"] = "revoke-session"
    """What comes of an ID that `rotate_every` has replaced, where it is used again: the event
    `SecretReused` alone, or that session ends too, or all sessions of its user."""

    # How the ID travels

    cookie_name: str = "session"
    """The name of the cookie. `"__Host-session"` binds it to one host and to https."""

    cookie_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Attributes of the cookie, merged into the safe defaults: `path`, `domain`, `secure`,
    `httponly`, `samesite`, `partitioned`, `max_age`."""

    state: State | None = None
    """How the ID travels; `None`: in the cookie of `cookie_name` and `cookie_options`."""

    exclude: Paths = ()
    """The paths of requests that have no session at all: `exclude=["/static", "*.ico"]`."""

    websocket_origins: tuple[str, ...] = ("same", "missing")
    """Each `Origin` that may open a WebSocket with the session of a cookie, others get a 403:
    `"same"` as `Host`, `"missing"` (no browser), `"https://app.example.org"`, `"null"`, `"any"`."""

    cache: Literal["private", "no-store"] = "private"
    """What `Cache-Control` says of a response for one session, where the application says nothing:
    `"private"` is `private, no-cache`; `"no-store"` keeps it off the disk of the client too."""

    clear_site_data: tuple[str, ...] = ()
    """What browsers forget of the site at `logout` and `destroy`, over https (`Clear-Site-Data`):
    `True` is `["cache", "storage"]`. `"cookies"`, and `"*"`, reach all subdomains of the site."""

    # What is kept

    codec: Literal["binary", "json"] | Codec | None = None
    """How values become bytes; `None`: as the store prefers, which is binary but for stores that
    are there to be read by eye."""

    encrypt: bool | Literal["sealed"] = False
    """Whether the store has the data encrypted: `True` is under the secret, for whoever has only
    the store; `"sealed"` is under the secret and the client's ID, so that it takes both, and
    administrators see no data. What was stored otherwise before is no session any more."""

    types: tuple[CustomType[Any], ...] = ()
    """Types of yours that may be stored, besides the built-in ones."""

    max_size: int = 65_536
    """The longest encoded session, in bytes; more is `SessionTooLarge`. A session is read with each
    request, so what is large belongs elsewhere."""

    resolve: Mapping[str, Resolver] = field(default_factory=dict[str, Resolver])
    """For keys that two requests changed: `{"cart": f}`, called as `f(base, mine, theirs)`. Without
    one the later save wins, and an event names the key."""

    save_on_error: bool = False
    """Whether changes are kept where the response's status is 500 or above, or the application
    raised. Not by default: half of a change is worse than none."""

    on_store_error: Literal["fail", "anonymous"] = "fail"
    """What a request gets while the store is out of reach: `"fail"` is status 503; `"anonymous"` is
    a session of nobody that is not saved, so that public pages still work. Signing in or out is 503
    in both, and no cookie is sent or deleted."""

    # Users and housekeeping

    max_sessions_per_user: int | None = None
    """How many sessions a user may have at once; `None`: any number."""

    evict: Literal["oldest", "refuse"] = "oldest"
    """What a sign-in over that limit does: end the oldest session, or raise `TooManySessions`."""

    purge: Literal["auto", "never"] = "auto"
    """Whether stores without expiry of their own are purged after responses, now and then;
    `"never"` is for those who call `purge_expired()` themselves."""

    on_event: OnEvent | None = None
    """Called with each event: `coatcheck.events` lists them."""

    clock: Clock = system_clock
    """Returns the time in seconds since the epoch; for tests."""

    # Made from the above

    excludes: PathTest | None = field(init=False, repr=False, compare=False, default=None)
    """Says whether a path is excluded; `None`: none is."""

    renews: PathTest | None = field(init=False, repr=False, compare=False, default=None)
    """Says whether a request for a path counts as activity; `None`: all do."""

    def __init__(self, **options: Unpack[ConfigOptions]) -> None:
        self._fill(given(options, _NAMES))

    def _fill(self, options: Given) -> None:
        preset = PRESETS.get(str(options.values.get("preset")), {})
        values = {**_DEFAULTS, **preset, **options.values}
        names = {name: name for name in _NAMES} | options.names
        for name, value in (values | _checked(values, names)).items():
            object.__setattr__(self, name, value)

    # Other ways to write it

    @classmethod
    def from_options(
        cls, config: SessionConfig | None = None, /, **options: Unpack[Options]
    ) -> SessionConfig:
        """Make a configuration from the keywords of an adapter, or take the one that was made.

        Options beside `config` replace those of `config`. Names of other libraries are understood
        as `coatcheck.options.Options` lists them.
        """
        if config is None:
            return cls._from(given(options, _NAMES))
        return config.replace(**options) if options else config

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], /, prefix: str = "SESSION_", **options: Unpack[Options]
    ) -> SessionConfig:
        """Make a configuration from keys such as `SESSION_EXPIRE`; `options` win over the mapping.

        Flask's own keys are understood: `SECRET_KEY`, `SECRET_KEY_FALLBACKS`, `SESSION_COOKIE_*`,
        `PERMANENT_SESSION_LIFETIME`, `SESSION_REFRESH_EACH_REQUEST`, `APPLICATION_ROOT`. One that
        has Flask's default counts as not given, so that the cookie keeps our safer defaults.
        Raises `ConfigurationError` for keys of other session libraries that would be lost, and for
        a misspelt key; warns of any other key with that prefix. `SESSION_STORE` is left to
        `store_from_mapping`.
        """
        return cls._from(settings.from_mapping(mapping, prefix, _NAMES, given(options, _NAMES)))

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] = os.environ,
        /,
        prefix: str = "COATCHECK_",
        **options: Unpack[Options],
    ) -> SessionConfig:
        """Make a configuration from variables such as `COATCHECK_EXPIRE=30m`; `options` win.

        Lengths of time are seconds or have a unit (`90s`, `30m`, `12h`, `30d`, `4w`), lists are
        separated by commas or in JSON, and an empty variable counts as not set. Raises
        `ConfigurationError` naming the variable. `COATCHECK_STORE` is left to `store_from_env`.
        """
        return cls._from(settings.from_env(environ, prefix, _NAMES, given(options, _NAMES)))

    @classmethod
    def _from(cls, options: Given) -> SessionConfig:
        config = object.__new__(cls)
        config._fill(options)
        return config

    def replace(self, **options: Unpack[Options]) -> SessionConfig:
        """Return a configuration that differs in these options.

        `state` takes the place of what was said of the cookie, and `preset` of both timeouts.
        """
        changed = given(options, _NAMES)
        superseded = {"cookie_options"} if "cookie_options" in options else set[str]()
        if changed.values.get("state") is not None:
            superseded |= {"cookie_name", "cookie_options"}
        if changed.values.get("preset") is not None:
            superseded |= {"expire", "lifetime", "permanent_idle"}
        kept = {name: getattr(self, name) for name in _NAMES if name not in superseded}
        return self._from(changed.over(Given(kept, {})))

    # Secrets stay in the process

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SessionConfig holds secrets: build it in each process")

    def __copy__(self) -> SessionConfig:
        return self

    def __deepcopy__(self, memo: object) -> SessionConfig:
        return self


_NAMES: Final = tuple(one.name for one in fields(SessionConfig) if one.init)
_DEFAULTS: Final[Mapping[str, Any]] = {
    one.name: one.default if one.default_factory is MISSING else one.default_factory()
    for one in fields(SessionConfig)
}


def _checked(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the options in the form in which they are kept; raises `ConfigurationError`."""

    def check(option: str, how: Callable[..., Any], *details: Any, **more: Any) -> Any:
        return how(names[option], given[option], *details, **more)

    def check_if_given(option: str, how: Callable[..., Any], *details: Any, **more: Any) -> Any:
        return None if given[option] is None else check(option, how, *details, **more)

    checked: dict[str, Any] = {
        "secret": check("secret", _secret),
        "old_secrets": check("old_secrets", checks.listed, "['the former secret']"),
        "namespace": check("namespace", checks.namespace),
        "expire": check("expire", checks.seconds_or_never),
        "lifetime": check("lifetime", checks.seconds_or_never),
        "preset": check_if_given("preset", checks.choice, tuple(PRESETS)),
        "permanent_idle": check_if_given("permanent_idle", checks.seconds),
        "touch_interval": check_if_given("touch_interval", checks.seconds, zero=True),
        "slide": check("slide", checks.flag),
        "rotate_every": check_if_given("rotate_every", checks.rotation),
        "on_theft": check("on_theft", checks.choice, ("event", "revoke-session", "revoke-user")),
        "cookie_name": check("cookie_name", checks.text),
        "cookie_options": MappingProxyType(
            check("cookie_options", checks.mapping, "{'samesite': 'Strict'}")
        ),
        "state": check_if_given("state", checks.state),
        "websocket_origins": check("websocket_origins", origins),
        "cache": check("cache", checks.choice, ("private", "no-store")),
        "clear_site_data": check("clear_site_data", checks.directives),
        "codec": check_if_given("codec", _codec),
        "encrypt": check("encrypt", _encrypt),
        "types": check("types", checks.listed, "[CustomType(...)]"),
        "max_size": check("max_size", checks.count),
        "resolve": MappingProxyType(check("resolve", _resolvers)),
        "save_on_error": check("save_on_error", checks.flag),
        "on_store_error": check("on_store_error", checks.choice, ("fail", "anonymous")),
        "max_sessions_per_user": check_if_given("max_sessions_per_user", checks.count),
        "evict": check("evict", checks.choice, ("oldest", "refuse")),
        "purge": check("purge", checks.choice, ("auto", "never")),
        "on_event": check_if_given("on_event", checks.function, "on_event(event)"),
        "clock": check("clock", checks.function, "clock()"),
        "excludes": check("exclude", path_test),
        "renews": check("renew", _renewal),
    }
    for option in ("exclude", "renew"):
        if isinstance(given[option], list):
            checked[option] = tuple(given[option])
    interval, idle = checked["touch_interval"], checked["expire"]
    if interval is not None and idle is not None and interval > idle / 2:
        raise ConfigurationError(
            f"{names['touch_interval']} must be at most half of {names['expire']}, else sessions in"
            f" use expire: write at most {idle / 2:g}, or leave it out"
        )
    if checked["state"] is not None and (
        given["cookie_options"] or given["cookie_name"] != _DEFAULTS["cookie_name"]
    ):
        option = "cookie_options" if given["cookie_options"] else "cookie_name"
        raise ConfigurationError(
            f"{names[option]} has no effect beside {names['state']}: leave it out, or give the"
            " cookie's options to the state, state=CookieState(name, options={...})"
        )
    return checked


def _secret(name: str, value: Any) -> str | bytes:
    # Whether it is strong is for the key ring to say.
    if isinstance(value, str | bytes) and value:
        return value
    raise ConfigurationError(f"{name} {_SECRET_MISSING}")


def _codec(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return checks.choice(name, value, ("binary", "json"))
    return checks.methods(name, value, ("encode", "decode"), "'binary', 'json' or a Codec")


def _encrypt(name: str, value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if value == "sealed":
        return "sealed"
    raise checks.wrong(name, "True, False or 'sealed'", value)


def _resolvers(name: str, value: Any) -> dict[str, Resolver]:
    resolvers = checks.mapping(name, value, "{'cart': merge_carts}")
    for key, resolver in resolvers.items():
        checks.function(f"{name}[{key!r}]", resolver, "f(base, mine, theirs)")
    return resolvers


def _renewal(name: str, value: Any) -> PathTest | None:
    if value is True:
        return None
    return path_test(name, value or _no_path)


def _no_path(path: str) -> bool:
    return False
