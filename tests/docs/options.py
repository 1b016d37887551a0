"""The table of all options, made from the documentation of `SessionConfig`'s fields.

python -m tests.docs.options        writes it into docs/how-to/configure.md
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final

from coatcheck.config import SessionConfig
from coatcheck.errors import ConfigurationError
from tests.docs.project import ROOT

PAGE: Final = ROOT / "docs" / "how-to" / "configure.md"
START: Final = "<!-- begin of the table: python -m tests.docs.options -->\n"
END: Final = "<!-- end of the table -->\n"
_SPANS: Final = {3600.0: "1 hour", 2_592_000.0: "30 days"}


def table() -> str:
    """Return the table as Markdown."""
    said = dict(_docstrings())
    lines = ["| option | default | env. | what it is |", "|---|---|---|---|"]
    for field in fields(SessionConfig):
        if field.init:
            in_environment = "yes" if in_the_environment(field.name) else ""
            meaning = said[field.name].replace("|", "\\|")
            lines.append(f"| `{field.name}` | {_default(field)} | {in_environment} | {meaning} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the text of the page with the table that it should have."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def in_the_environment(option: str) -> bool:
    """Say whether the option is read from the environment."""
    try:
        SessionConfig.from_env({f"COATCHECK_{option.upper()}": "1"}, secret="x" * 43)
    except ConfigurationError as error:
        return "cannot be given in the environment" not in str(error)
    return True


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yield the name of each field and the text below it, as one paragraph."""
    (body,) = ast.parse(inspect.getsource(SessionConfig)).body
    assert isinstance(body, ast.ClassDef)
    name = ""
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield name, re.sub(r"\s+", " ", str(node.value.value)).strip()
            name = ""


def _default(field: Field[Any]) -> str:
    if field.default is MISSING:
        value = None if field.default_factory is MISSING else field.default_factory()
        return "must be given" if value is None else f"`{value!r}`"
    if callable(field.default):
        return f"`{field.default.__module__}.{field.default.__name__}`"
    if isinstance(field.default, float):
        return f"`{field.default:.0f}` ({_SPANS[field.default]})"
    return f"`{field.default!r}`"


def main(page: Path = PAGE) -> None:
    """Write the table into the page."""
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
