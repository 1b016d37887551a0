"""Where settings come from besides keywords: a mapping like Flask's configuration, the environment.

Both hand over options under our own names, unchecked, with the names of their sources, so that
`SessionConfig` can complain of `COATCHECK_EXPIRE` rather than of `expire`.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final, cast

from coatcheck import checks
from coatcheck.errors import ConfigurationError
from coatcheck.options import RENAMED, Given, suggestion
from coatcheck.store.protocol import AsyncStore, Store

_COOKIE: Final = "cookie_"
_STORE: Final = "store"

# Flask cannot tell a key that was never set from one set to its default.
_FLASK_DEFAULTS: Final[Mapping[str, Any]] = {
    "cookie_name": "session",
    "cookie_domain": None,
    "cookie_path": None,
    "cookie_httponly": True,
    "cookie_secure": False,
    "cookie_partitioned": False,
    "cookie_samesite": None,
    "refresh_each_request": True,
}

_FLASK_PERMANENT: Final = timedelta(days=31)

# Keys of Flask-Session, Quart-Session and Django whose meaning would be lost without a word.
_LOST: Final = {
    re.compile(
        r"(type|engine|uri|cache_alias|file_path"
        r"|(redis|memcached|cachelib|mongodb|sqlalchemy|dynamodb|postgresql|file)(_.*)?)"
    ): "write {prefix}STORE='redis://localhost:6379/0', or another store or its URL",
    re.compile(r"key_prefix"): "write {prefix}NAMESPACE",
    re.compile(r"serializ.*"): "write {prefix}CODEC='binary' or 'json'; pickle is never read",
    re.compile(r"cookie_age|max_age|timeout"): "write {prefix}EXPIRE (idle timeout) and"
    " {prefix}LIFETIME",
    re.compile(r"expire_at_browser_close"): "write {prefix}COOKIE_MAX_AGE=None",
    re.compile(r"save_every_request"): "leave it out: activity is recorded by itself, see"
    " {prefix}TOUCH_INTERVAL",
    re.compile(r"protection|reverse_proxy|static_file|explicit"): "see {prefix}STATE and"
    " {prefix}EXCLUDE",
}
_NEEDLESS: Final = {
    "use_signer": "session IDs are always signed",
    "id_length": "session IDs have one length",
    "cleanup_n_requests": "expired sessions are removed by themselves, see {prefix}PURGE",
    "permanent": "set session.permanent = True where a user signs in",
}

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([smhdw]?)")
_WHOLE: Final = re.compile(r"[0-9]{1,12}")
_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_NEVER: Final = ("none", "never", "indefinite")


def from_mapping(
    mapping: Mapping[str, Any], prefix: str, known: Collection[str], above: Given
) -> Given:
    """Read the keys of a mapping; the options `above` win over it."""
    read = _start(prefix, known)
    read.names["secret"] = "SECRET_KEY"
    for key, name in _keys(mapping, prefix):
        value = mapping[key]
        if name in _FLASK_DEFAULTS and _same(value, _FLASK_DEFAULTS[name]):
            continue
        if name == "refresh_each_request":
            read.put("slide", value, key)
        elif name in known or name in RENAMED:
            read.put(RENAMED.get(name, name), value, key)
        elif name.removeprefix(_COOKIE) in _COOKIE_FROM_TEXT and name.startswith(_COOKIE):
            if not (name == "cookie_domain" and value is False):
                read.put_cookie(name.removeprefix(_COOKIE), value, key)
        else:
            _complain(key, name, prefix, [*known, *RENAMED, *_FLASK_DEFAULTS])
    if "secret" not in {*read.values, *above.values}:
        for key, option in (("SECRET_KEY", "secret"), ("SECRET_KEY_FALLBACKS", "old_secrets")):
            if mapping.get(key) is not None and option not in read.values:
                read.put(option, mapping[key], key)
    if mapping.get("PERMANENT_SESSION_LIFETIME") is not None:
        lifetime = mapping["PERMANENT_SESSION_LIFETIME"]
        # Flask's default, which nobody has chosen, would outlast any preset.
        preset = above.values.get("preset", read.values.get("preset"))
        unset = preset is not None and lifetime == _FLASK_PERMANENT
        if "permanent_idle" not in read.values and not unset:
            read.put("permanent_idle", lifetime, "PERMANENT_SESSION_LIFETIME")
    merged = above.over(read)
    _mount(merged, mapping.get("APPLICATION_ROOT"))
    return merged


def from_env(
    environ: Mapping[str, str], prefix: str, known: Collection[str], above: Given
) -> Given:
    """Read the variables of an environment; the options `above` win over it."""
    read = _start(prefix, known)
    for key, name in _keys(environ, prefix):
        text = environ[key].strip()
        if not text:
            continue
        attribute = name.removeprefix(_COOKIE)
        option = RENAMED.get(name, name)
        if option in _FROM_TEXT:
            read.put(option, _FROM_TEXT[option](key, text), key)
        elif name.startswith(_COOKIE) and attribute in _COOKIE_FROM_TEXT:
            read.put_cookie(attribute, _COOKIE_FROM_TEXT[attribute](key, text), key)
        elif option in known:
            raise ConfigurationError(
                f"{key} cannot be given in the environment: give {option} as a keyword,"
                f" SessionConfig.from_env({option}=...)"
            )
        else:
            _complain(
                key, name, prefix, [*_FROM_TEXT, *RENAMED, *map(_COOKIE.__add__, _COOKIE_FROM_TEXT)]
            )
    return above.over(read)


def store_from_mapping(
    mapping: Mapping[str, Any], /, prefix: str = "SESSION_"
) -> Store | AsyncStore | str | None:
    """Return what the key `SESSION_STORE` holds: a store, its URL, or `None`."""
    store: Store | AsyncStore | str | None = mapping.get(f"{prefix}STORE")
    return store


def store_from_env(environ: Mapping[str, str], /, prefix: str = "COATCHECK_") -> str | None:
    """Return the URL in the variable `COATCHECK_STORE`, or `None`."""
    return environ.get(f"{prefix}STORE", "").strip() or None


def _start(prefix: str, known: Collection[str]) -> Given:
    return Given({}, {name: f"{prefix}{name.upper()}" for name in known})


def _keys(mapping: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Return the keys with that prefix and the names after it; `cookie_options` before the rest."""
    found = [
        (key, key.removeprefix(prefix).lower())
        for key in mapping
        if key.startswith(prefix) and key != f"{prefix}STORE"
    ]
    return sorted(found, key=lambda pair: pair[1] != "cookie_options")


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default


def _complain(key: str, name: str, prefix: str, names: Collection[str]) -> None:
    """Raise for a key that was surely meant for us, warn of one that may be somebody else's."""
    if name in _NEEDLESS:
        why = _NEEDLESS[name].format(prefix=prefix)
        warnings.warn(f"{key} has no effect: {why}", stacklevel=4)
        return
    for pattern, remedy in _LOST.items():
        if pattern.fullmatch(name):
            raise ConfigurationError(f"{key} is not read: {remedy.format(prefix=prefix)}")
    near = suggestion(name, [*names, _STORE])
    if near is not None:
        raise ConfigurationError(f"{key} is not known: did you mean {prefix}{near.upper()}?")
    warnings.warn(
        f"{key} begins like a setting of Coatcheck and is none: rename it, or leave it out",
        stacklevel=4,
    )


def _mount(options: Given, root: object) -> None:
    """Bind the cookie to Flask's `APPLICATION_ROOT`, as Flask does, where nothing else is said."""
    cookie: Any = options.values.get("cookie_options", {})
    bound = str(options.values.get("cookie_name", "")).lower().startswith("__host-")
    if (
        isinstance(root, str)
        and root not in ("", "/")
        and options.values.get("state") is None
        and isinstance(cookie, Mapping)
        and "path" not in cookie
        and not bound
    ):
        options.put_cookie("path", root, "APPLICATION_ROOT")


def _text(key: str, text: str) -> str:
    return text


def _duration(key: str, text: str) -> float | None:
    if text.lower() in _NEVER:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise checks.wrong(key, "seconds or a length such as 90s, 30m, 12h, 30d, 4w", text)
    return float(match[1]) * _UNITS.get(match[2], 1)


def _whole_seconds(key: str, text: str) -> int | None:
    length = _duration(key, text)
    return None if length is None else int(length)


def _flag(key: str, text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise checks.wrong(key, "true or false", text)
    return _FLAGS[text.lower()]


def _count(key: str, text: str) -> int | None:
    if text.lower() in _NEVER:
        return None
    if _WHOLE.fullmatch(text) is None:
        raise checks.wrong(key, "a whole number", text)
    return int(text)


def _list(key: str, text: str) -> list[str]:
    if not text.startswith("["):
        return [entry.strip() for entry in text.split(",")]
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        parsed = None
    # The text may be a secret, so no error shows it.
    if isinstance(parsed, list) and all(isinstance(entry, str) for entry in cast("Any", parsed)):
        return cast("list[str]", parsed)
    raise ConfigurationError(f'{key} begins with [ but is no list in JSON: write ["...", "..."]')


def _flag_or_list(key: str, text: str) -> bool | list[str]:
    return _FLAGS[text.lower()] if text.lower() in _FLAGS else _list(key, text)


def _flag_or_sealed(key: str, text: str) -> bool | str:
    return text.lower() if text.lower() == "sealed" else _flag(key, text)


def _secure(key: str, text: str) -> bool | str:
    return text.lower() if text.lower() == "auto" else _flag(key, text)


_FROM_TEXT: Final[Mapping[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys(
        ("secret", "namespace", "preset", "cookie_name", "codec", "cache", "evict", "purge"), _text
    ),
    **dict.fromkeys(("on_store_error", "on_theft"), _text),
    "encrypt": _flag_or_sealed,
    **dict.fromkeys(
        ("expire", "lifetime", "permanent_idle", "touch_interval", "rotate_every"), _duration
    ),
    **dict.fromkeys(("slide", "save_on_error"), _flag),
    **dict.fromkeys(("max_size", "max_sessions_per_user"), _count),
    **dict.fromkeys(("old_secrets", "exclude", "websocket_origins"), _list),
    **dict.fromkeys(("renew", "clear_site_data"), _flag_or_list),
}
_COOKIE_FROM_TEXT: Final[Mapping[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys(("path", "domain", "samesite"), _text),
    **dict.fromkeys(("httponly", "partitioned"), _flag),
    "secure": _secure,
    "max_age": _whole_seconds,
}
