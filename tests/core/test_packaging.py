"""What is installed and what an import brings with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import metadata, requires
from importlib.resources import files
from inspect import ismodule
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("coatcheck", "coatcheck_asgi", "coatcheck_flask", "coatcheck_wsgi")
ALLOWED = {"coatcheck", "cryptography", "ormsgpack", "asgiref", "cffi"}


def loaded_with(*packages: str) -> set[str]:
    """Return what else is loaded, besides the standard library, where these are imported first."""
    command = (sys.executable, "-I", str(ROOT / ".ci" / "imported.py"), *packages)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def project() -> dict[str, Any]:
    """Return the project's table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def test_sec_90_the_core_loads_no_framework() -> None:
    """Flask, Starlette and anyio are installed here; `import coatcheck` touches none of them."""
    assert loaded_with("coatcheck") <= ALLOWED


def test_the_wsgi_adapter_needs_the_core_only() -> None:
    """A plain WSGI program gets no framework either."""
    assert loaded_with("coatcheck_wsgi") <= ALLOWED


@pytest.mark.parametrize("adapter", ["coatcheck_asgi", "coatcheck_flask"])
def test_an_adapter_loads_its_own_framework_only(adapter: str) -> None:
    """One adapter does not bring in the framework of another, nor another adapter."""
    foreign = {"coatcheck_asgi", "coatcheck_flask", "coatcheck_wsgi", "starlette", "fastapi"}
    foreign |= {"anyio"} if adapter == "coatcheck_flask" else {"flask", "werkzeug"}
    assert not loaded_with(adapter) & (foreign - {adapter})


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    """Type checkers read our annotations only beside a py.typed (PEP 561)."""
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_documented(package: str) -> None:
    """What can be imported from a package says what it is."""
    module = import_module(package)
    public = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not ismodule(value)
    }
    assert public, f"{package} offers nothing"
    assert set(getattr(module, "__all__", public)) <= set(public)
    for name, value in public.items():
        assert not callable(value) or value.__doc__, f"{package}.{name} has no docstring"


def test_the_installed_version_is_the_project_s() -> None:
    """`make` installs again whenever pyproject.toml changes."""
    assert metadata("coatcheck")["Version"] == project()["version"]


def test_the_changelog_tells_of_this_version() -> None:
    """A release is written up before it is made."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(project()['version'])}\b", changelog, re.MULTILINE)


def test_sec_90_every_requirement_has_a_lower_bound() -> None:
    """An installer never has to guess which old release might do."""
    for requirement in requires("coatcheck") or []:
        name = requirement.partition(";")[0]
        assert re.search(r">=|==", name) or name.startswith("coatcheck["), requirement


def test_sec_90_the_core_depends_on_three_packages() -> None:
    """Each further dependency of the core is a decision, not an accident."""
    names = {re.split(r"[^A-Za-z0-9-]", one)[0] for one in project()["dependencies"]}
    assert names == {"cryptography", "ormsgpack", "asgiref"}
