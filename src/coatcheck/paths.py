"""Which paths of an application an option means: `exclude=["/static", "*.ico"]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from coatcheck import checks
from coatcheck.errors import ConfigurationError

PathTest = Callable[[str], bool]
"""Says of a request's path (below the place where the application is mounted) whether it counts."""

Paths = Sequence[str | re.Pattern[str]] | PathTest
"""How an option names paths: a list of patterns, or a function.

- `"/static"`: that path and everything below it, but not `/statics`; `"/static/"`: only below it;
- `"*.ico"`, `"/api/*/ping"`: a pattern for the whole path, `*` being any text, slashes included;
- `re.compile(...)`: a regular expression for the whole path;
- `"!/static/private"`: not these, whatever an earlier pattern says. The last pattern that fits a
  path decides; where none fits, a list that begins with such an exception means the path.
"""


def path_test(name: str, paths: Any) -> PathTest | None:
    """Make one function of what the option `name` says; `None` for an empty list.

    Raises `ConfigurationError` for anything but a function or a list of patterns.
    """
    if callable(paths):
        return cast("PathTest", paths)
    entries: Sequence[Any] = checks.listed(name, paths, "['/static']")
    if not entries:
        return None
    rules = [_rule(name, entry) for entry in entries]
    if all(
        wanted and isinstance(entry, str) for (_, wanted), entry in zip(rules, entries, strict=True)
    ):
        # One expression for all patterns: this runs once a request.
        together = re.compile("|".join(pattern.pattern for pattern, _ in rules), re.DOTALL)
        return lambda path: together.fullmatch(path) is not None
    otherwise = not rules[0][1]
    backwards = rules[::-1]

    def decide(path: str) -> bool:
        for pattern, wanted in backwards:
            if pattern.fullmatch(path):
                return wanted
        return otherwise

    return decide


def _rule(name: str, entry: Any) -> tuple[re.Pattern[str], bool]:
    """Return the expression for whole paths, and whether the paths that fit it are meant."""
    if isinstance(entry, re.Pattern):
        expression = cast("re.Pattern[str]", entry)
        checks.text(f"the expression in {name}", expression.pattern)
        return expression, True
    given = checks.text(f"each of {name}", entry)
    pattern, wanted = given.removeprefix("!"), not given.startswith("!")
    if "*" in pattern:
        text = ".*".join(map(re.escape, pattern.split("*")))
    elif not pattern.startswith("/"):
        raise ConfigurationError(
            f"{name}: {given!r} would never fit, for paths begin with a slash: write '/{pattern}',"
            f" or '*{pattern}' for the end of a path"
        )
    elif pattern.endswith("/"):
        text = f"{re.escape(pattern)}.*"
    else:
        text = f"{re.escape(pattern)}(?:/.*)?"
    return re.compile(text, re.DOTALL), wanted
