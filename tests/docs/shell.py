"""A very small shell, which plays the consoles of the project's pages in this process.

    $ curl -b jar -c jar http://127.0.0.1:5000/
    Your basket: ...

What stands below a command is what it has to print: `...` is any text within a line and, alone on a
line, any number of lines. A command that is not known here fails, so that no page names one that
nobody has tried. Nothing is fetched. `tests.docs.processes` plays pages that start servers too.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import runpy
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Final

from tests.docs.project import extras, make_targets
from tests.strict import PYTEST

_VARIABLE: Final = re.compile(r"\$(?P<name>[A-Za-z_]\w*)")
_ASSIGNMENT: Final = re.compile(r"(?:export )?(?P<name>[A-Z_]+)=(?P<value>.*)", re.DOTALL)
_DISTRIBUTION: Final = re.compile(r"(?:\.\./)?(?P<name>[\w-]+)(?:\[(?P<extras>[\w,-]+)\])?")


class Shell:
    """Plays consoles in one folder, which is the working directory and in `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._variables: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        self.used: set[str] = set()
        """The modules of the folder that a command has run."""

    def play(self, console: str, place: str) -> None:
        """Run the commands of a console; raises `AssertionError` where one prints otherwise."""
        for command, expected in commands_of(console):
            printed = self.run(command)
            if printed and not printed.endswith("\n"):
                printed += "\n"  # a response in JSON ends without one
            if expected and not pattern(expected).fullmatch(printed):
                raise AssertionError(
                    f"{place}: $ {command}\nhas to print\n{expected}\nand prints\n{printed}"
                )

    def run(self, command: str) -> str:
        """Run one command; return what it prints."""
        command = command.partition("  #")[0]
        assignment = _ASSIGNMENT.fullmatch(command)
        if assignment is not None:
            value = "".join(shlex.split(self._expand(assignment["value"])))
            self._assign(assignment["name"], _served(value), exported=command.startswith("export "))
            return ""
        words = shlex.split(self._expand(command))
        target = None
        if len(words) > 2 and words[-2] == ">":
            target = self.folder / words[-1]
            words = words[:-2]
        run = self._commands.get(words[0])
        if run is None or {"|", "&&", ";", "<", ">>"} & set(words):
            raise AssertionError(f"$ {command}: tests/docs/shell.py does not know how to play that")
        printed = run(words[1:])
        if target is None:
            return printed
        target.write_text(printed, encoding="utf-8")
        return ""

    def load(self, name: str) -> ModuleType:
        """Import a module of the folder, anew if the folder's files may have changed."""
        if name not in self.used:
            self._forget()
        self.used.add(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def close(self) -> None:
        """Forget the folder's modules and variables."""
        self._forget()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _forget(self) -> None:
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file is not None and Path(file).is_relative_to(self.folder):
                del sys.modules[name]

    def _assign(self, name: str, value: str, *, exported: bool) -> None:
        self._variables[name] = value
        if exported:
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def _expand(self, text: str) -> str:
        """Put in what variables hold and commands print, but for what single quotes protect."""
        done, in_double, at = "", False, 0
        while at < len(text):
            character = text[at]
            if character == '"':
                in_double = not in_double
            elif character == "'" and not in_double:
                end = text.index("'", at + 1) + 1
                done, at = done + text[at:end], end
                continue
            elif text.startswith("$(", at):
                end = _closing(text, at + 2)
                done, at = done + self.run(text[at + 2 : end]).rstrip("\n"), end + 1
                continue
            elif variable := _VARIABLE.match(text, at):
                done, at = done + self._value(variable["name"]), variable.end()
                continue
            done, at = done + character, at + 1
        return done

    def _value(self, name: str) -> str:
        value = self._variables.get(name, os.environ.get(name))
        if value is None:
            raise AssertionError(f"${name} is not set on this page")
        return value

    # What the pages' readers are told to type

    def _python(self, words: Sequence[str]) -> str:
        if words[0] == "-c":
            return output_of(lambda: exec(words[1], {"__name__": "__main__"}))
        if words[0] == "-m" and words[1].startswith("coatcheck."):
            program = importlib.import_module(f"{words[1]}.__main__")
            return output_of(lambda: program.main(words[2:]))
        if words[0] == "-m":
            raise AssertionError("python -m is not played: name the program itself")
        script = self.folder / words[0]
        self._forget()
        self.used.add(script.stem)
        before, sys.argv = sys.argv, list(words)
        try:
            return output_of(lambda: runpy.run_path(str(script), run_name="__main__"))
        finally:
            sys.argv = before

    def _pip(self, words: Sequence[str]) -> str:
        if words[0] != "install":
            raise AssertionError(f"pip {words[0]} is not played")
        for word in words[1:]:
            if word == "-e":
                continue
            if word == ".":
                self._install()
                continue
            named = _DISTRIBUTION.fullmatch(word)
            if named is None:
                raise AssertionError(f"pip install {word} is not understood")
            version(named["name"])  # raises for what nobody has installed to try the page
            unknown = set((named["extras"] or "").split(",")) - {""} - extras()
            if named["name"] == "coatcheck" and unknown:
                raise AssertionError(f"coatcheck has no extra {unknown}")
        return ""

    def _install(self) -> None:
        """Have the distribution of this folder's `pyproject.toml`, as an editable install would."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        info = self.folder / f"{project['name']}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\n")
        lines = [
            line
            for group, entries in project["entry-points"].items()
            for line in [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))
        importlib.invalidate_caches()

    def _pytest(self, words: Sequence[str]) -> str:
        self.used.update(Path(word).stem for word in words)
        done = subprocess.run(
            [sys.executable, *PYTEST, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout

    def _make(self, words: Sequence[str]) -> str:
        unknown = {word for word in words if "=" not in word} - make_targets()
        if unknown:
            raise AssertionError(f"make has no target {unknown}")
        return ""

    def _sqlite(self, words: Sequence[str]) -> str:
        file, statement = words
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            rows = connection.execute(statement).fetchall()
        return "".join("|".join(map(str, row)) + "\n" for row in rows)

    def _copy(self, words: Sequence[str]) -> str:
        source, target = words
        shutil.copy(self.folder / source, self.folder / target)
        return ""

    def _list(self, words: Sequence[str]) -> str:
        (folder,) = words or (".",)
        names = (path.name for path in (self.folder / folder).iterdir())
        return "".join(f"{name}\n" for name in sorted(names))

    @property
    def _commands(self) -> Mapping[str, Callable[[Sequence[str]], str]]:
        return {
            "cp": self._copy,
            "ls": self._list,
            "make": self._make,
            "pip": self._pip,
            "pytest": self._pytest,
            "python": self._python,
            "sqlite3": self._sqlite,
        }


def _served(value: str) -> str:
    """Return the value; for the URL of a server, that of one which the tests have started."""
    # Here, for few pages need the drivers.
    if value.startswith("redis://"):
        from tests.servers.redis import fresh_url
    elif value.startswith("postgresql://"):
        from tests.servers.postgresql import fresh_url
    else:
        return value
    return fresh_url()


def commands_of(console: str) -> Iterator[tuple[str, str]]:
    """Yield each command and what it has to print; a backslash goes on in the next line."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, expected = part.replace("\\\n", " ").partition("\n")
        yield command.strip(), expected


def _closing(text: str, at: int) -> int:
    """Return where the parenthesis is closed that was opened before `at`."""
    depth, quoted = 1, False
    for place in range(at, len(text)):
        character = text[place]
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
        if depth == 0:
            return place
    raise AssertionError(f"nothing closes the parenthesis in {text}")


def pattern(expected: str) -> re.Pattern[str]:
    """Return what fits the lines that are expected, with `...` for anything."""
    lines = [
        "(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
        for line in expected.splitlines()
    ]
    return re.compile("".join(lines))


def output_of(action: Callable[[], object]) -> str:
    """Return what the action prints."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        action()
    return output.getvalue()


def option(words: Sequence[str], name: str, default: str) -> str:
    """Return the word that follows an option of a command."""
    return words[words.index(name) + 1] if name in words else default
