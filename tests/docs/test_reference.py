"""The reference has every public name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from inspect import ismodule

import pytest

from tests.docs.project import ROOT

PACKAGES = (
    "coatcheck",
    "coatcheck.codecs",
    "coatcheck.errors",
    "coatcheck.events",
    "coatcheck.state",
    "coatcheck.store",
    "coatcheck.testing",
    "coatcheck_asgi",
    "coatcheck_flask",
    "coatcheck_wsgi",
)
_DIRECTIVE = re.compile(r"^::: (?P<target>[\w.]+)\n(?P<options>(?: .*\n)*)", re.MULTILINE)
_MEMBERS = re.compile(r"\bmembers: \[(?P<members>[^]]*)\]")
_NOT_PUBLIC = {"logger", "Emitter", "annotations", "TYPE_CHECKING"}


def documented() -> Iterator[str]:
    """Yield the full names of what the pages of the reference have."""
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for directive in _DIRECTIVE.finditer(page.read_text(encoding="utf-8")):
            target = directive["target"]
            yield target
            members = _MEMBERS.search(directive["options"])
            if members is not None:
                yield from (f"{target}.{name}" for name in members["members"].split(", "))
            else:
                yield from (f"{target}.{name}" for name in _defined_in(target))


def _defined_in(target: str) -> list[str]:
    """Return the public names that a module defines; none for what is no module."""
    try:
        module = importlib.import_module(target)
    except ImportError:
        return []
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", target) == target and name[:1] != "_"
    ]


def _exported(package: str) -> set[str]:
    module = importlib.import_module(package)
    later: dict[str, str] = getattr(module, "_LATER", {})
    values = {**vars(module), **{name: getattr(module, name) for name in later}}
    foreign = {"typing", "logging", "dataclasses", "collections.abc"}
    return {
        name
        for name, value in values.items()
        if name[:1] != "_"
        and not ismodule(value)
        and name not in _NOT_PUBLIC
        and getattr(value, "__module__", "") not in foreign
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str) -> None:
    """What a package exports is documented, under that name or where it is defined."""
    family = package.partition(".")[0]
    known = {name.rpartition(".")[2] for name in documented() if name.startswith(f"{family}.")}
    exported = _exported(package)
    assert exported
    assert exported - known == set()
