"""The configuration: what it takes, what it refuses, and what it says then."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle  # noqa: TID251 - to see it refused
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from coatcheck import options
from coatcheck.config import SessionConfig
from coatcheck.errors import ConfigurationError
from coatcheck.request import Request, ResponseHeaders

SECRET = "correct-horse-battery-staple-0123456789"
OLD = "former-horse-battery-staple-0123456789"


class SomeState:
    """A State that does nothing."""

    vary: Sequence[str] = ()
    sends = False

    def extract(self, request: Request, /) -> str | None:
        return None

    def inject(
        self,
        request: Request,
        headers: ResponseHeaders,
        session_id: str,
        /,
        *,
        carried: str | None,
        max_age: int | None,
    ) -> None: ...

    def clear(
        self, request: Request, headers: ResponseHeaders, /, *, carried: str | None
    ) -> None: ...


def made(**values: Any) -> SessionConfig:
    """Make a configuration without a type checker's objections."""
    options: dict[str, Any] = {"secret": SECRET, **values}
    return SessionConfig(**options)


def test_only_the_secret_is_needed_and_the_defaults_are_safe() -> None:
    """A secret is enough; idle timeout and lifetime are finite, changes of failures are dropped."""
    config = SessionConfig(secret=SECRET)
    assert (config.expire, config.lifetime, config.touch_interval) == (3600.0, 2_592_000.0, None)
    assert (config.cookie_name, dict(config.cookie_options), config.state) == ("session", {}, None)
    assert config.old_secrets == ()
    assert (config.slide, config.renew, config.save_on_error) == (True, True, False)
    assert (config.max_size, config.cache, config.codec) == (65_536, "private", None)
    assert (config.max_sessions_per_user, config.evict, config.purge) == (None, "oldest", "auto")
    assert config.excludes is None
    assert config.renews is None


@pytest.mark.parametrize("option", ["expire", "lifetime"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (timedelta(minutes=5), 300.0),
        (400 * 86_400, 34_560_000.0),
        (None, None),
        ("indefinite", None),
    ],
)
def test_a_timeout_is_kept_in_seconds(option: str, given: object, kept: float | None) -> None:
    """Seconds, a timedelta, and the two ways to write that there is no limit."""
    assert getattr(made(**{option: given}), option) == kept


@pytest.mark.parametrize("option", ["expire", "lifetime", "permanent_idle", "touch_interval"])
@pytest.mark.parametrize(
    "given",
    [
        True,
        False,
        -1,
        -0.001,
        math.nan,
        math.inf,
        -math.inf,
        400 * 86_400 + 1,
        10**400,
        timedelta(days=401),
        timedelta(seconds=-1),
        "3600",
        "",
        "forever",
        b"3600",
        [3600],
        1 + 0j,
        object(),
    ],
)
def test_sec_36_a_timeout_that_is_no_length_of_time_is_refused(option: str, given: object) -> None:
    """Neither nonsense nor "practically never" passes for a timeout; the message names it."""
    with pytest.raises(ConfigurationError, match=f"^{option} must be "):
        made(**{option: given})


@pytest.mark.parametrize("option", ["expire", "lifetime", "permanent_idle"])
@pytest.mark.parametrize("given", [0, 0.0, timedelta(0)])
def test_sec_36_zero_is_no_timeout(option: str, given: object) -> None:
    """Zero means "never" to some libraries and "at once" to others, so it is refused."""
    with pytest.raises(ConfigurationError, match=f"^{option} must be above 0"):
        made(**{option: given})


def test_no_limit_is_offered_where_a_timeout_is_refused() -> None:
    """Who wrote 0 for "never" is told how to write it."""
    with pytest.raises(ConfigurationError, match="expire=None, or 'indefinite', means no limit"):
        made(expire=0)


def test_the_touch_interval_leaves_room_for_a_touch() -> None:
    """An interval beyond half of the idle timeout would sign out people who are active."""
    assert made(expire=100, touch_interval=50).touch_interval == 50
    assert made(expire=None, touch_interval=50_000).touch_interval == 50_000
    assert made(touch_interval=0).touch_interval == 0
    with pytest.raises(ConfigurationError, match="at most half of expire.*write at most 50"):
        made(expire=100, touch_interval=51)


@pytest.mark.parametrize("given", [None, "", b"", 0, ["x" * 40], object()])
def test_a_secret_is_needed(given: object) -> None:
    """A missing secret is refused with the command that makes one."""
    with pytest.raises(ConfigurationError, match=r"^secret must be given.*token_urlsafe"):
        made(secret=given)
    with pytest.raises(ConfigurationError, match="^secret must be given"):
        SessionConfig()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def old_secrets_by_generator() -> Any:
    """Return something that is empty the second time it is read."""
    return (old for old in [OLD])


@pytest.mark.parametrize("given", [OLD, OLD.encode(), None, {OLD}, old_secrets_by_generator()])
def test_old_secrets_are_a_list(given: object) -> None:
    """A bare string would be a list of one-character secrets (pallets/flask#6089)."""
    with pytest.raises(ConfigurationError, match=r"old_secrets must be a list.*old_secrets=\["):
        made(old_secrets=given)
    assert made(old_secrets=[OLD]).old_secrets == (OLD,)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        *[("namespace", bad) for bad in ("", "a b", "a*", "a\n", "ä", "x" * 65, None, b"x", 1)],
        *[(flag, bad) for flag in ("slide", "save_on_error") for bad in ("false", 0, None)],
        *[
            (count, bad)
            for count in ("max_size", "max_sessions_per_user")
            for bad in (0, -1, True, 1.5, "3")
        ],
        ("max_size", None),
        *[("preset", bad) for bad in ("aal4", "AAL2", 2, True, "")],
        ("cache", "public"),
        ("cache", None),
        ("clear_site_data", "cache"),
        ("clear_site_data", None),
        ("clear_site_data", 1),
        *[("clear_site_data", [bad]) for bad in ("", "Cache", '"cache"', "cache\n", "all", None)],
        ("evict", "newest"),
        ("on_store_error", "ignore"),
        ("on_store_error", None),
        *[("rotate_every", bad) for bad in ("15m", 0, 59.9, True, float("nan"), 401 * 86_400)],
        *[("on_theft", bad) for bad in ("revoke", None, True)],
        ("purge", False),
        ("cookie_name", ""),
        ("cookie_name", None),
        ("cookie_options", "secure"),
        ("cookie_options", None),
        ("cookie_options", {1: True}),
        *[("encrypt", bad) for bad in ("true", "yes", "", "SEALED", 1, 0, None, b"sealed")],
        ("codec", "pickle"),
        ("codec", b"json"),
        ("codec", object()),
        ("types", "Role"),
        ("types", {}),
        ("resolve", ["cart"]),
        ("resolve", {"cart": "merge"}),
        ("on_event", "print"),
        ("clock", None),
        ("clock", 1.0),
        ("state", "cookie"),
        ("state", SomeState),
        ("exclude", "/static"),
        ("exclude", None),
        ("renew", "yes"),
        ("renew", ["poll"]),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(option: str, given: object) -> None:
    """Every option is checked where the configuration is made, and the message names it."""
    with pytest.raises(ConfigurationError, match=option):
        made(**{option: given})


def test_a_state_must_have_the_methods_of_one() -> None:
    """What lacks a method, or is a class, is refused at construction instead of at a request."""

    class Half:
        def extract(self, request: object) -> None: ...

    with pytest.raises(ConfigurationError, match=r"a Half \(without inject, clear\)"):
        made(state=Half())
    with pytest.raises(ConfigurationError, match="the class SomeState itself"):
        made(state=SomeState)
    assert isinstance(made(state=SomeState()).state, SomeState)


@pytest.mark.parametrize("more", [{"cookie_name": "sid"}, {"cookie_options": {"path": "/"}}])
def test_a_cookie_option_beside_a_state_is_refused(more: dict[str, Any]) -> None:
    """It would have no effect; the message says where it belongs."""
    with pytest.raises(ConfigurationError, match=r"no effect beside state.*CookieState\(") as told:
        made(state=SomeState(), **more)
    assert next(iter(more)) in str(told.value)


def test_sec_87_a_configuration_cannot_be_changed() -> None:
    """Neither its fields, nor what they hold, nor the caller's objects lead back into it."""
    attributes = {"samesite": "Strict"}
    olds = [OLD]
    config = made(cookie_options=attributes, old_secrets=olds, exclude=["/static"])
    attributes["samesite"] = "None"
    olds.append("x")
    assert dict(config.cookie_options) == {"samesite": "Strict"}
    assert config.old_secrets == (OLD,)
    assert config.exclude == ("/static",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.expire = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        config.cookie_options["secure"] = False  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError):
        config.resolve["cart"] = max  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises((AttributeError, TypeError)):
        config.invented = 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_sec_84_secrets_are_never_shown() -> None:
    """Not by repr, str, pickling or an error (CWE-532); a copy is the same object."""
    config = made(old_secrets=[OLD])
    for text in (repr(config), str(config), f"{config}"):
        assert SECRET not in text
        assert OLD not in text
        assert "expire=3600.0" in text
    with pytest.raises(TypeError, match="build it in each process"):
        pickle.dumps(config)
    assert copy.copy(config) is config
    assert copy.deepcopy(config) is config
    for bad in ({"secret": [SECRET]}, {"secret": SECRET, "old_secrets": OLD}):
        with pytest.raises(ConfigurationError) as told:
            made(**bad)
        assert SECRET not in str(told.value)
        assert OLD not in str(told.value)


def test_equal_configurations_are_equal() -> None:
    """Two ways to write the same configuration make equal ones."""
    assert made(expire=60) == made(idle_timeout=timedelta(minutes=1)) != made()


def test_replace_changes_the_options_named() -> None:
    """The rest stays; aliases count, attributes of the cookie are added one by one."""
    config = made(expire=60, cookie_options={"samesite": "Strict"}, exclude=["/a"])
    changed = config.replace(idle_timeout=120, path="/app")
    assert changed == made(
        expire=120, cookie_options={"samesite": "Strict", "path": "/app"}, exclude=["/a"]
    )
    assert changed.excludes is not None
    assert config.expire == 60
    assert dict(config.replace(cookie_options={}).cookie_options) == {}
    assert dataclasses.replace(config, max_size=10) == config.replace(max_size=10)


def test_what_browsers_are_told_to_forget() -> None:
    """Nothing unless it is wanted; `True` is what concerns nobody but the site itself."""
    assert made().clear_site_data == made(clear_site_data=False).clear_site_data == ()
    assert made(clear_site_data=True).clear_site_data == ("cache", "storage")
    given = ["cookies", "executionContexts"]
    assert made(clear_site_data=given).clear_site_data == tuple(given)
    assert made(clear_site_data=True).replace(max_size=9).clear_site_data == ("cache", "storage")


HOUR = 3600.0


@pytest.mark.parametrize(
    ("preset", "expire", "lifetime"),
    [
        ("aal1", HOUR, 720 * HOUR),
        ("aal2", HOUR, 24 * HOUR),
        ("aal3", HOUR / 4, 12 * HOUR),
        (None, HOUR, 720 * HOUR),
    ],
)
def test_sec_36_a_preset_is_what_nist_advises_at_most(
    preset: str | None, expire: float, lifetime: float
) -> None:
    """SP 800-63B-4, 2.1.3, 2.2.3 and 2.3.3; at AAL1 our own idle timeout stays."""
    config = made(preset=preset)
    assert (config.preset, config.expire, config.lifetime) == (preset, expire, lifetime)
    assert config.permanent_idle is None


def test_a_timeout_that_is_given_wins_over_a_preset() -> None:
    """Shorter or longer, by whatever name; the other one stays the preset's."""
    for given, expected in (
        ({"expire": 60}, (60.0, 43_200.0)),
        ({"idle_timeout": None}, (None, 43_200.0)),
        ({"lifetime": timedelta(days=2)}, (900.0, 172_800.0)),
        ({"expire": 7200, "lifetime": None}, (7200.0, None)),
    ):
        config = made(preset="aal3", **given)
        assert (config.expire, config.lifetime) == expected
    starlette = SessionConfig.from_options(secret=SECRET, preset="aal3", max_age=100)
    assert (starlette.expire, starlette.lifetime) == (100.0, 100.0)


def test_a_preset_given_to_a_configuration_replaces_its_times() -> None:
    """Those that were its defaults, and those that were chosen; what is given beside it wins."""
    config = made(expire=7200, permanent_idle=7200, max_size=10)
    assert config.replace(preset="aal3") == made(preset="aal3", max_size=10)
    assert config.replace(preset="aal2", expire=60) == made(preset="aal2", expire=60, max_size=10)
    assert SessionConfig.from_options(config, preset="aal3").lifetime == 43_200
    assert made(preset="aal3").replace(max_size=10) == made(preset="aal3", max_size=10)


def test_replacing_the_state_supersedes_the_cookie() -> None:
    """What was said of the cookie described the former state."""
    state = SomeState()
    config = made(cookie_name="sid", cookie_options={"samesite": "Strict"})
    assert config.replace(state=state) == made(state=state)
    with pytest.raises(ConfigurationError, match="cookie_name has no effect"):
        config.replace(state=state, cookie_name="other")


# The names of other libraries


def test_starlette_s_keywords_are_understood() -> None:
    """The keywords of Starlette's SessionMiddleware move over as they are."""
    config = SessionConfig.from_options(
        secret_key=SECRET,
        session_cookie="sid",
        max_age=1_209_600,
        path="/app",
        same_site="strict",
        https_only=True,
        domain="example.org",
    )
    assert config == SessionConfig(
        secret=SECRET,
        cookie_name="sid",
        lifetime=1_209_600,
        expire=1_209_600,
        cookie_options={
            "path": "/app",
            "samesite": "strict",
            "secure": True,
            "domain": "example.org",
        },
    )


def test_starlette_s_max_age_none_is_a_browser_session() -> None:
    """There it means a cookie without Max-Age, and no end on the server."""
    config = SessionConfig.from_options(secret_key=SECRET, max_age=None)
    assert (config.expire, config.lifetime) == (None, None)
    assert dict(config.cookie_options) == {"max_age": None}


def test_an_idle_timeout_beside_max_age_counts() -> None:
    """`max_age` sets the idle timeout only where nothing else does."""
    config = SessionConfig.from_options(secret_key=SECRET, max_age=86_400, idle_timeout=600)
    assert (config.expire, config.lifetime) == (600, 86_400)


def test_https_only_false_leaves_secure_to_the_request() -> None:
    """Starlette's default must not take Secure off a cookie on https."""
    config = SessionConfig.from_options(secret=SECRET, https_only=False)
    assert dict(config.cookie_options) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"expire": 60, "idle_timeout": 60}, "expire and idle_timeout are the same option"),
        ({"secret_key": SECRET}, "secret_key are the same option"),
        ({"lifetime": 60, "max_age": 60}, "lifetime and max_age are the same option"),
        ({"cookie_name": "a", "session_cookie": "a"}, "are the same option"),
        ({"path": "/", "cookie_options": {"path": "/"}}, r"path and cookie_options\['path'\]"),
        ({"expires": 60}, "no option expires: did you mean expire"),
        ({"coookie_name": "a"}, "did you mean cookie_name"),
        ({"http_only": True}, r"write cookie_options=\{'httponly'"),
        ({"samesite": "lax"}, r"write cookie_options=\{'samesite'"),
        ({"rolling": True}, "write slide"),
        ({"prefix": "x"}, "write namespace"),
        ({"store": "memory://"}, "where the adapter or manager is made"),
        ({"wibble": 1}, "no option wibble: the options are cache, clear_site_data, clock"),
        ({"idle_timeout": 0}, "^idle_timeout must be above 0"),
        ({"max_age": -1}, "^max_age must be above 0"),
    ],
)
def test_an_unknown_or_doubled_option_is_refused(given: dict[str, Any], message: str) -> None:
    """A misspelt option names its neighbour, a foreign one its counterpart, a doubled one both."""
    doubled: dict[str, Any] = {"secret": SECRET, **given}
    with pytest.raises(ConfigurationError, match=message):
        SessionConfig.from_options(**doubled)


def test_options_beside_a_configuration_replace_its_own() -> None:
    """An adapter that is given both takes the configuration and changes what was named."""
    config = made(expire=60)
    assert SessionConfig.from_options(config) is config
    assert SessionConfig.from_options(config, lifetime=3600) == made(expire=60, lifetime=3600)


def test_the_typed_options_are_the_fields() -> None:
    """What type checkers let through is what is accepted, and the other way round."""
    fields = {one.name for one in dataclasses.fields(SessionConfig) if one.init}
    aliases = {*options.RENAMED, *options.COOKIE_ALIASES, "max_age"}
    assert set(options.Options.__annotations__) == fields | aliases
    assert set(options.ConfigOptions.__annotations__) == fields | {"idle_timeout"}


# Which paths count


def excludes(*exclude: Any) -> Callable[[str], bool]:
    """Return the test that a list of excluded paths makes."""
    test = made(exclude=list(exclude)).excludes
    assert test is not None
    return test


def test_excluded_paths() -> None:
    """A path with all below it, a folder's inside, patterns, expressions, and exceptions."""
    test = excludes("/static", "/media/", "*.ico", "/api/*/ping")
    for path in ("/static", "/static/", "/static/a/b", "/media/", "/media/a", "/favicon.ico"):
        assert test(path), path
    for path in ("/api/v1/ping", "/static/a\nb"):
        assert test(path), path
    for path in ("/", "/statics", "/media", "/a/static", "/icon.ico.png", "/api/v1/ping/x", ""):
        assert not test(path), path
    test = excludes("/static", "!/static/private", re.compile(r"/[0-9]+"))
    assert test("/static/a")
    assert not test("/static/private/a")
    assert test("/17")
    assert not test("/17/x")
    assert excludes("/")("/anything")


def test_paths_may_be_told_by_a_function() -> None:
    """A function is taken as it is."""
    assert made(exclude=str.isupper).excludes is str.isupper


@pytest.mark.parametrize(
    ("entry", "message"), [("static", "write '/static'"), ("", "string"), (b"/x", "string")]
)
def test_a_pattern_that_never_fits_is_refused(entry: object, message: str) -> None:
    """Paths begin with a slash; who forgot it would wonder why nothing is excluded."""
    with pytest.raises(ConfigurationError, match=message):
        made(exclude=[entry])


def test_which_requests_renew() -> None:
    """All by default; none, all but some, or only some."""
    assert made(renew=True).renews is None
    for nothing in (False, ()):
        renews = made(renew=nothing).renews
        assert renews is not None
        assert not renews("/")
    renews = made(renew=["!/poll"]).renews
    assert renews is not None
    assert renews("/")
    assert not renews("/poll/1")
    renews = made(renew=["/app"]).renews
    assert renews is not None
    assert renews("/app/x")
    assert not renews("/")
