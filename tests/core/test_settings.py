"""Settings from a mapping like Flask's configuration, and from the environment."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from coatcheck.config import SessionConfig, store_from_env, store_from_mapping
from coatcheck.errors import ConfigurationError

SECRET = "correct-horse-battery-staple-0123456789"
OLD = "former-horse-battery-staple-0123456789"
DAY = 86_400.0


def from_flask(**settings: Any) -> SessionConfig:
    """Read the configuration of a Flask application."""
    app = Flask(__name__)
    for key, value in {"SECRET_KEY": SECRET, **settings}.items():
        app.config[key] = value
    return SessionConfig.from_mapping(app.config)


def from_env(**variables: str) -> SessionConfig:
    """Read an environment in which the secret is set."""
    return SessionConfig.from_env({"COATCHECK_SECRET": SECRET, "PATH": "/bin", **variables})


# Flask


def test_a_fresh_flask_application_has_the_safe_defaults() -> None:
    """Flask's defaults count as unset, but for the idle timeout of permanent sessions."""
    assert from_flask() == SessionConfig(secret=SECRET, permanent_idle=timedelta(days=31))


def test_flask_s_own_keys_are_understood() -> None:
    """Names and meanings are Flask's."""
    config = from_flask(
        SECRET_KEY_FALLBACKS=[OLD],
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_DOMAIN="example.org",
        SESSION_COOKIE_PATH="/app",
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PARTITIONED=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=3600,
        APPLICATION_ROOT="/elsewhere",
    )
    assert config == SessionConfig(
        secret=SECRET,
        old_secrets=[OLD],
        cookie_name="sid",
        cookie_options={
            "domain": "example.org",
            "path": "/app",
            "httponly": False,
            "secure": True,
            "samesite": "Strict",
            "partitioned": True,
        },
        slide=False,
        permanent_idle=3600,
    )


def test_a_preset_holds_for_permanent_sessions_too() -> None:
    """Flask's default of 31 days is nobody's choice; any other length is somebody's."""
    config = from_flask(SESSION_PRESET="aal3")
    assert config == SessionConfig(secret=SECRET, preset="aal3")
    assert (config.expire, config.lifetime, config.permanent_idle) == (900, 43_200, None)
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    assert SessionConfig.from_mapping(app.config, preset="aal2").permanent_idle is None
    chosen = from_flask(SESSION_PRESET="aal3", PERMANENT_SESSION_LIFETIME=timedelta(days=2))
    assert chosen.permanent_idle == 2 * DAY
    assert from_flask(SESSION_PRESET=None).permanent_idle == 31 * DAY


def test_flask_s_older_defaults_count_as_unset() -> None:
    """`False` for the domain was how one said "none" before Flask 2.3."""
    config = from_flask(SESSION_COOKIE_DOMAIN=False, SESSION_PERMANENT_IDLE=60)
    assert config == SessionConfig(secret=SECRET, permanent_idle=60)


def test_every_option_has_a_key() -> None:
    """A key is the prefix and the option in capitals; what it holds is taken as it is."""
    seen: list[object] = []
    config = from_flask(
        SESSION_EXPIRE=timedelta(hours=2),
        SESSION_LIFETIME=None,
        SESSION_NAMESPACE="shop",
        SESSION_ON_EVENT=seen.append,
        SESSION_COOKIE_OPTIONS={"samesite": "Strict"},
        SESSION_COOKIE_MAX_AGE=None,
        SESSION_EXCLUDE=["/static"],
        SESSION_STORE="memory://",
    )
    assert config == SessionConfig(
        secret=SECRET,
        expire=7200,
        lifetime=None,
        namespace="shop",
        on_event=seen.append,
        cookie_options={"samesite": "Strict", "max_age": None},
        exclude=["/static"],
        permanent_idle=31 * DAY,
    )


def test_the_cookie_follows_the_application_root_as_in_flask() -> None:
    """Two applications under one host keep their cookies apart, unless something else is said."""
    assert dict(from_flask(APPLICATION_ROOT="/shop").cookie_options) == {"path": "/shop"}
    host = from_flask(APPLICATION_ROOT="/shop", SESSION_COOKIE_NAME="__Host-s")
    assert dict(host.cookie_options) == {}


def test_secrets_of_sessions_alone_leave_flask_s_secrets_out() -> None:
    """Whoever gives sessions a secret of their own does not want Flask's fallbacks to verify."""
    config = from_flask(SESSION_SECRET=OLD, SECRET_KEY_FALLBACKS=["x" * 40])
    assert (config.secret, config.old_secrets) == (OLD, ())
    mapping = {"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": ["x" * 40]}
    config = SessionConfig.from_mapping(mapping, secret=OLD)
    assert (config.secret, config.old_secrets) == (OLD, ())


def test_keywords_win_over_the_mapping() -> None:
    """An option given twice is the keyword's; attributes of the cookie are merged."""
    mapping = {"SECRET_KEY": SECRET, "SESSION_EXPIRE": 60, "SESSION_COOKIE_SAMESITE": "Strict"}
    config = SessionConfig.from_mapping(mapping, idle_timeout=120, path="/app")
    assert config.expire == 120
    assert dict(config.cookie_options) == {"samesite": "Strict", "path": "/app"}
    config = SessionConfig.from_mapping(mapping, same_site="lax")
    assert dict(config.cookie_options) == {"samesite": "lax"}


def test_another_prefix() -> None:
    """The prefix is free; Flask's keys without one keep their names."""
    mapping = {
        "SECRET_KEY": SECRET,
        "SID_EXPIRE": 60,
        "SESSION_EXPIRE": 70,
        "SID_STORE": "memory://",
    }
    assert SessionConfig.from_mapping(mapping, prefix="SID_").expire == 60
    assert store_from_mapping(mapping, prefix="SID_") == "memory://"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SESSION_EXPIRE": 0}, "^SESSION_EXPIRE must be above 0"),
        ({"SESSION_IDLE_TIMEOUT": 0}, "^SESSION_IDLE_TIMEOUT must be above 0"),
        ({"PERMANENT_SESSION_LIFETIME": 0}, "^PERMANENT_SESSION_LIFETIME must be above 0"),
        ({"SESSION_REFRESH_EACH_REQUEST": "no"}, "^SESSION_REFRESH_EACH_REQUEST must be True or"),
        ({"SECRET_KEY_FALLBACKS": OLD}, "^SECRET_KEY_FALLBACKS must be a list"),
        ({"SECRET_KEY": None}, "^SECRET_KEY must be given"),
        ({"SESSION_EXPIRES": 1}, "SESSION_EXPIRES is not known: did you mean SESSION_EXPIRE?"),
        ({"SESSION_STOER": "memory://"}, "did you mean SESSION_STORE?"),
        ({"SESSION_COOKIE_SAME_SITE": "Lax"}, "did you mean SESSION_COOKIE_SAMESITE?"),
        ({"SESSION_EXPIRE": 1, "SESSION_IDLE_TIMEOUT": 1}, "are the same option"),
        ({"SESSION_COOKIE_OPTIONS": {"path": "/"}, "SESSION_COOKIE_PATH": "/"}, "are the same"),
        ({"SESSION_COOKIE_OPTIONS": "path", "SESSION_COOKIE_PATH": "/"}, "must be a dict"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_key(settings: dict[str, Any], message: str) -> None:
    """The message names the key as it stands in the mapping, and what to write."""
    with pytest.raises(ConfigurationError, match=message):
        SessionConfig.from_mapping({"SECRET_KEY": SECRET, **settings})


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("SESSION_TYPE", "SESSION_STORE="),
        ("SESSION_REDIS", "SESSION_STORE="),
        ("SESSION_SQLALCHEMY_TABLE", "SESSION_STORE="),
        ("SESSION_FILE_DIR", "SESSION_STORE="),
        ("SESSION_ENGINE", "SESSION_STORE="),
        ("SESSION_KEY_PREFIX", "SESSION_NAMESPACE"),
        ("SESSION_SERIALIZATION_FORMAT", "SESSION_CODEC"),
        ("SESSION_SERIALIZER", "pickle is never read"),
        ("SESSION_COOKIE_AGE", "SESSION_LIFETIME"),
        ("SESSION_EXPIRE_AT_BROWSER_CLOSE", "SESSION_COOKIE_MAX_AGE=None"),
    ],
)
def test_a_setting_of_another_library_is_not_lost_in_silence(key: str, remedy: str) -> None:
    """What Flask-Session or Django would have obeyed names its counterpart here."""
    with pytest.raises(ConfigurationError, match=f"^{key} is not read: .*{remedy}"):
        SessionConfig.from_mapping({"SECRET_KEY": SECRET, key: "x"})


@pytest.mark.parametrize("key", ["SESSION_USE_SIGNER", "SESSION_PERMANENT", "SESSION_GREETING"])
def test_a_setting_without_effect_warns(key: str) -> None:
    """What changes nothing, or may be somebody else's, is told at the caller's line."""
    with pytest.warns(UserWarning, match=key) as told:
        SessionConfig.from_mapping({"SECRET_KEY": SECRET, key: True})
    assert told[0].filename == __file__


def test_no_value_is_shown_where_it_may_be_a_secret() -> None:
    """Errors over a mapping with wrong secrets show neither."""
    for settings in ({"SECRET_KEY": [SECRET]}, {"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": OLD}):
        with pytest.raises(ConfigurationError) as told:
            SessionConfig.from_mapping(settings)
        assert SECRET not in str(told.value)
        assert OLD not in str(told.value)


def test_the_store_is_read_apart() -> None:
    """A store or its URL is handed on as it is; none is None."""
    store: Any = object()
    assert store_from_mapping({"SESSION_STORE": store}) is store
    assert store_from_mapping({}) is None
    assert store_from_env({"COATCHECK_STORE": " sqlite:///s.db "}) == "sqlite:///s.db"
    assert store_from_env({"COATCHECK_STORE": ""}) is None
    assert store_from_env({}) is None


# The environment


def test_every_option_that_text_can_say_has_a_variable() -> None:
    """Lengths of time with units, lists, switches, numbers, attributes of the cookie."""
    config = from_env(
        COATCHECK_OLD_SECRETS=f"{OLD}, another",
        COATCHECK_NAMESPACE="shop",
        COATCHECK_EXPIRE="30m",
        COATCHECK_LIFETIME="indefinite",
        COATCHECK_PRESET="aal2",
        COATCHECK_TOUCH_INTERVAL="90",
        COATCHECK_SLIDE="off",
        COATCHECK_RENEW="!/poll",
        COATCHECK_COOKIE_NAME="sid",
        COATCHECK_COOKIE_PATH="/app",
        COATCHECK_COOKIE_SECURE="auto",
        COATCHECK_COOKIE_HTTPONLY="1",
        COATCHECK_COOKIE_MAX_AGE="1d",
        COATCHECK_EXCLUDE='["/static", "*.ico"]',
        COATCHECK_CACHE="no-store",
        COATCHECK_CLEAR_SITE_DATA="cache,cookies",
        COATCHECK_CODEC="json",
        COATCHECK_ENCRYPT="Sealed",
        COATCHECK_MAX_SIZE="1000",
        COATCHECK_SAVE_ON_ERROR="TRUE",
        COATCHECK_ON_STORE_ERROR="anonymous",
        COATCHECK_ROTATE_EVERY="15m",
        COATCHECK_ON_THEFT="revoke-user",
        COATCHECK_MAX_SESSIONS_PER_USER="3",
        COATCHECK_EVICT="refuse",
        COATCHECK_PURGE="never",
        COATCHECK_STORE="memory://",
    )
    assert config == SessionConfig(
        secret=SECRET,
        old_secrets=[OLD, "another"],
        namespace="shop",
        expire=1800,
        lifetime=None,
        preset="aal2",
        touch_interval=90,
        slide=False,
        renew=["!/poll"],
        cookie_name="sid",
        cookie_options={"path": "/app", "secure": "auto", "httponly": True, "max_age": 86_400},
        exclude=["/static", "*.ico"],
        cache="no-store",
        clear_site_data=["cache", "cookies"],
        codec="json",
        encrypt="sealed",
        max_size=1000,
        save_on_error=True,
        on_store_error="anonymous",
        rotate_every=900,
        on_theft="revoke-user",
        max_sessions_per_user=3,
        evict="refuse",
        purge="never",
    )


@pytest.mark.parametrize(
    ("text", "encrypt"), [("yes", True), ("OFF", False), ("sealed", "sealed"), ("", False)]
)
def test_encryption_is_a_switch_or_a_word(text: str, encrypt: object) -> None:
    """What is neither is an error: nobody believes to encrypt who does not."""
    assert from_env(COATCHECK_ENCRYPT=text).encrypt == encrypt
    mapping = {"SECRET_KEY": SECRET, "SESSION_ENCRYPT": encrypt}
    assert SessionConfig.from_mapping(mapping).encrypt == encrypt
    with pytest.raises(ConfigurationError, match="COATCHECK_ENCRYPT"):
        from_env(COATCHECK_ENCRYPT="seal")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5h", 5400),
        ("12 h", 43_200),
        ("30d", 30 * DAY),
        ("4w", 28 * DAY),
        ("NONE", None),
        (" never ", None),
        ("", 3600),
        ("  ", 3600),
    ],
)
def test_lengths_of_time_in_the_environment(text: str, seconds: float | None) -> None:
    """Seconds or a unit; an empty variable is not set."""
    assert from_env(COATCHECK_EXPIRE=text).expire == seconds


def test_a_switch_that_may_be_a_list_in_the_environment() -> None:
    """`true` is what `True` is."""
    assert from_env(COATCHECK_CLEAR_SITE_DATA="true").clear_site_data == ("cache", "storage")
    assert from_env(COATCHECK_CLEAR_SITE_DATA="off").clear_site_data == ()


def test_keywords_win_over_the_environment() -> None:
    """What text cannot say is given beside it."""
    seen: list[object] = []
    environ = {"COATCHECK_EXPIRE": "60"}
    config = SessionConfig.from_env(environ, secret=SECRET, on_event=seen.append, expire=90)
    assert (config.expire, config.on_event) == (90, seen.append)


def test_the_process_s_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the configuration is made."""
    monkeypatch.setenv("COATCHECK_SECRET", SECRET)
    monkeypatch.setenv("COATCHECK_EXPIRE", "77")
    assert SessionConfig.from_env().expire == 77
    monkeypatch.setenv("SID_SECRET", SECRET)
    assert SessionConfig.from_env(prefix="SID_").expire == 3600


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("EXPIRE", "soon", "^COATCHECK_EXPIRE must be seconds or a length such as 90s"),
        ("EXPIRE", "1_000", "^COATCHECK_EXPIRE"),
        ("EXPIRE", "٣٦٠٠", "^COATCHECK_EXPIRE"),
        ("EXPIRE", "1e3", "^COATCHECK_EXPIRE"),
        ("EXPIRE", "-5", "^COATCHECK_EXPIRE"),
        ("EXPIRE", "0", "^COATCHECK_EXPIRE must be above 0"),
        ("IDLE_TIMEOUT", "0", "^COATCHECK_IDLE_TIMEOUT must be above 0"),
        ("SLIDE", "maybe", "^COATCHECK_SLIDE must be true or false"),
        ("MAX_SIZE", "1k", "^COATCHECK_MAX_SIZE must be a whole number"),
        ("MAX_SIZE", "none", "^COATCHECK_MAX_SIZE must be a whole number from 1"),
        ("CODEC", "pickle", "^COATCHECK_CODEC must be 'binary' or 'json'"),
        ("NAMESPACE", "a b", "^COATCHECK_NAMESPACE must be 1 to 64 characters"),
        ("RENEW", "poll", "^COATCHECK_RENEW: 'poll' would never fit"),
        ("EXCLUDE", '["/a"', r"^COATCHECK_EXCLUDE begins with \["),
        ("EXCLUDE", "[1]", r"^COATCHECK_EXCLUDE begins with \["),
        ("ON_EVENT", "print", "^COATCHECK_ON_EVENT cannot be given in the environment"),
        ("COOKIE_OPTIONS", "x", "^COATCHECK_COOKIE_OPTIONS cannot be given"),
        ("EXPRIE", "60", "COATCHECK_EXPRIE is not known: did you mean COATCHECK_EXPIRE?"),
        ("KEY_PREFIX", "x", "write COATCHECK_NAMESPACE"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, text: str, message: str) -> None:
    """The message names the variable; no text that only looks like a number is taken for one."""
    with pytest.raises(ConfigurationError, match=message):
        from_env(**{f"COATCHECK_{variable}": text})


def test_a_missing_secret_names_its_variable() -> None:
    """An empty one is a missing one."""
    for environ in ({}, {"COATCHECK_SECRET": ""}, {"COATCHECK_SECRET": "  "}):
        with pytest.raises(ConfigurationError, match="^COATCHECK_SECRET must be given"):
            SessionConfig.from_env(environ)


def test_errors_never_show_secrets_of_the_environment() -> None:
    """A list of secrets that is broken is named, not shown."""
    with pytest.raises(ConfigurationError, match="^COATCHECK_OLD_SECRETS begins") as told:
        from_env(COATCHECK_OLD_SECRETS=f'["{OLD}"')
    assert OLD not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None


def test_other_variables_are_left_alone() -> None:
    """Only the prefix is ours; an unknown variable with it is told, for it may be a mistake."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_env(SESSION_EXPIRE="60", EXPIRE="61").expire == 3600
    with pytest.warns(UserWarning, match="COATCHECK_ZONE"):
        from_env(COATCHECK_ZONE="eu")
