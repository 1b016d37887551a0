"""Checks that say which rule was broken, for suites that live in a package.

A plain `assert` would vanish under `python -O` and shows no values unless pytest rewrites the
module; the suites are imported from an installed package by people who did not write them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable


def equal(found: object, wanted: object, rule: str) -> None:
    """Fail, naming the rule and both values, unless they are equal and of one type.

    The type counts because `True == 1` and because outcomes are tuples: `Gone() == ()`.
    """
    if type(found) is not type(wanted) or found != wanted:
        raise AssertionError(f"{rule}\n  found:  {found!r:.2000}\n  wanted: {wanted!r:.2000}")


def holds(condition: bool, rule: str, *evidence: object) -> None:
    """Fail, naming the rule and the evidence, unless the condition holds."""
    if not condition:
        raise AssertionError(rule + "".join(f"\n  found:  {item!r:.2000}" for item in evidence))


async def raises(
    errors: type[Exception] | tuple[type[Exception], ...],
    work: Callable[[], Awaitable[object]],
    rule: str,
) -> None:
    """Fail, naming the rule, unless the work raises one of the errors."""
    try:
        result = await work()
    except errors:
        return
    raise AssertionError(f"{rule}\n  found:  {result!r:.2000} instead of an exception")
