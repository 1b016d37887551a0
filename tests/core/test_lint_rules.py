"""Rules for the product's own source that shut out whole classes of holes."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for top in ("src", "adapters") for path in (ROOT / top).rglob("*.py"))

Rule = Callable[[ast.AST, str], str | None]
"""Given a node and the path of its file, says what is wrong with it, if anything."""

_RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "jsonpickle", "marshal", "shelve", "code"}
_SECRET_NAME = re.compile(r".*(mac|sig|signature|digest|token)s?", re.IGNORECASE)
_PARSERS = re.compile(r".*/coatcheck/(ids|keys|cookies|state/\w+)\.py")
_UNICODE_TESTS = {"isalnum", "isalpha", "isdecimal", "isdigit", "isnumeric", "isspace"}
_SQL = re.compile(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|WITH)\b")
_SQL_CALLS = {"execute", "executemany", "executescript", "exec_driver_sql"}
# A table's name cannot be bound; it is validated once, and these names say that it was.
_SQL_PART = re.compile(r"[A-Z][A-Z0-9_]*|_?(\w+_)?(table|columns|index)")
_REDIS_BANNED = re.compile(r"(KEYS|FLUSHDB|FLUSHALL)( \S+)?")
_LUA_BANNED = re.compile(r"""p?call\(\s*['"](KEYS|FLUSHDB|FLUSHALL)['"]""", re.IGNORECASE)


def no_assert(node: ast.AST, _path: str) -> str | None:
    """SEC-86: `python -O` removes asserts."""
    return "assert vanishes under python -O" if isinstance(node, ast.Assert) else None


def no_code_from_data(node: ast.AST, _path: str) -> str | None:
    """SEC-21: whoever writes the store must not be able to run code here (CVE-2013-7489)."""
    called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    if called in {"eval", "exec", "compile", "__import__"}:
        return f"{called}() runs code"
    for module, _ in _imports(node):
        if module.partition(".")[0] in _RUNS_CODE:
            return f"{module} runs code when it decodes"
    return None


def no_guessable_numbers(node: ast.AST, _path: str) -> str | None:
    """SEC-01: identifiers come from `secrets`; of `uuid`, the type alone may be used."""
    for module, name in _imports(node):
        if module == "random" or (module == "uuid" and name != "UUID"):
            return f"{module} is no source of secrets"
    return None


def no_plain_comparison(node: ast.AST, _path: str) -> str | None:
    """SEC-05: what proves something is compared by `hmac.compare_digest`."""
    if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        for operand in (node.left, *node.comparators):
            if _SECRET_NAME.fullmatch(_name(operand)):
                return f"{_name(operand)} is compared with == in a time that tells"
    return None


def no_dollar(node: ast.AST, _path: str) -> str | None:
    """SEC-50: `$` matches before a final line break; `fullmatch` and `\\Z` do not."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
        return None
    dollar = _name(node.func.value) == "re" and _has_dollar(_text(node.args[0]))
    return "$ lets a line break pass: use fullmatch or \\Z" if dollar else None


def no_unicode_surprises(node: ast.AST, path: str) -> str | None:
    """Parsers: `strip()` takes away, and `isdigit()` takes for a digit, more than ASCII."""
    if not _PARSERS.fullmatch(path) or not isinstance(node, ast.Call):
        return None
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if method in {"strip", "lstrip", "rstrip"} and not node.args:
        return f"{method}() takes away Unicode's blanks: name the characters"
    return f"{method}() knows all of Unicode" if method in _UNICODE_TESTS else None


def no_values_in_sql(node: ast.AST, _path: str) -> str | None:
    """SEC-78: values are bound; only the name of a validated table may become part of SQL."""
    if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call):
        parts = _sql_parts(node)
        for part in parts if parts is not None else ():
            if not _SQL_PART.fullmatch(_name(part)) and not _is_choice(part):
                return f"{ast.unparse(part)} becomes part of SQL: bind it"
    if isinstance(node, ast.Call) and _name(node.func) in _SQL_CALLS and node.args:
        first = node.args[0]
        built = isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mod)
        if built or (isinstance(first, ast.Call) and _name(first.func) == "format"):
            return "SQL is put together in the call: bind the values"
        if isinstance(first, ast.JoinedStr) and _sql_parts(first) is None:
            return "SQL is put together in the call: bind the values"
    return None


def no_blunt_commands(node: ast.AST, _path: str) -> str | None:
    """SEC-81: KEYS stops a Redis server for everybody, FLUSHDB empties it."""
    text = _text(node) if isinstance(node, ast.Constant) else ""
    if _REDIS_BANNED.fullmatch(text) or _LUA_BANNED.search(text):
        return "KEYS and FLUSHDB are never sent"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if method in {"flushdb", "flushall"} or (method == "keys" and node.args):
            return f"{method}() is never called on a server"
    return None


RULES: list[Rule] = [
    no_assert,
    no_code_from_data,
    no_guessable_numbers,
    no_plain_comparison,
    no_dollar,
    no_unicode_surprises,
    no_values_in_sql,
    no_blunt_commands,
]


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield module and name of what an import statement imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, ""
    if isinstance(node, ast.ImportFrom) and not node.level:
        for alias in node.names:
            yield node.module or "", alias.name


def _name(node: ast.AST) -> str:
    """Return the last word of a name, an attribute or a call, `""` for anything else."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.FormattedValue):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST) -> str:
    """Return the literal text of a string, as far as it is literal."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    value = node.value if isinstance(node, ast.Constant) else ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _has_dollar(pattern: str) -> bool:
    """Say whether a regular expression has a `$` that means the end."""
    bare = re.sub(r"\\.", "", pattern, flags=re.DOTALL)
    return "$" in re.sub(r"\[\^?\]?[^\]]*\]", "", bare)


def _sql_parts(node: ast.AST) -> list[ast.AST] | None:
    """Return what is put into a text that begins like SQL; `None` where it is none."""
    if isinstance(node, ast.JoinedStr):
        fields: list[ast.AST] = [part for part in node.values if not isinstance(part, ast.Constant)]
        return fields if _SQL.match(_text(node)) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        literal = isinstance(node.right, ast.Constant | ast.JoinedStr)
        if _SQL.match(_text(node.left)):
            return [] if literal else [node.right]
    if isinstance(node, ast.Call) and _name(node.func) == "format":
        text = node.func.value if isinstance(node.func, ast.Attribute) else node
        if _SQL.match(_text(text)):
            return [*node.args, *(keyword.value for keyword in node.keywords)]
    return None


def _is_choice(node: ast.AST) -> bool:
    """Say whether a condition chooses between two literals."""
    if isinstance(node, ast.FormattedValue):
        node = node.value
    return (
        isinstance(node, ast.IfExp)
        and isinstance(node.body, ast.Constant)
        and isinstance(node.orelse, ast.Constant)
    )


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def broken(rule: Rule, text: str, path: str = "src/coatcheck/cookies.py") -> list[str]:
    """Return what a rule says about a piece of source."""
    return [said for node in ast.walk(ast.parse(text)) if (said := rule(node, path))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    """No file under `src` and `adapters` breaks it."""
    found: list[str] = []
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        for node in _nodes(path):
            said = rule(node, name)
            if said:
                found.append(f"{name}:{getattr(node, 'lineno', '?')}: {said}")
    assert not found, "\n" + "\n".join(found)


def test_there_is_source_to_look_at() -> None:
    """An empty list of files would keep every rule."""
    names = {path.relative_to(ROOT).as_posix() for path in FILES}
    assert {"src/coatcheck/ids.py", "src/coatcheck/keys.py", "src/coatcheck/cookies.py"} <= names


BROKEN: list[tuple[Rule, str]] = [
    (no_assert, "def f(x):\n    assert x"),
    (no_code_from_data, "import pickle"),
    (no_code_from_data, "import pickle as p, json"),
    (no_code_from_data, "from marshal import loads"),
    (no_code_from_data, "def f():\n    import shelve"),
    (no_code_from_data, "eval('1')"),
    (no_code_from_data, "exec(code)"),
    (no_guessable_numbers, "import random"),
    (no_guessable_numbers, "from random import choice"),
    (no_guessable_numbers, "import uuid"),
    (no_guessable_numbers, "from uuid import UUID, uuid4"),
    (no_plain_comparison, "if mac == other: pass"),
    (no_plain_comparison, "if other != self.expected_mac: pass"),
    (no_plain_comparison, "ok = h.digest() == x"),
    (no_plain_comparison, "ok = x == hexdigest()"),
    (no_plain_comparison, "ok = csrf_token == form['t']"),
    (no_dollar, "re.match(r'^[a-z]+$', x)"),
    (no_dollar, "N = re.compile('[a-z]+$')"),
    (no_dollar, "re.fullmatch(rf'{x}$', y)"),
    (no_dollar, "re.search('a' '$', y)"),
    (no_dollar, r"re.search('\\$', y) or re.search('$', y)"),
    (no_unicode_surprises, "x.strip()"),
    (no_unicode_surprises, "x.rstrip()"),
    (no_unicode_surprises, "x[0].isdigit()"),
    (no_unicode_surprises, "x.isalnum()"),
    (no_values_in_sql, "db.execute(f'SELECT * FROM t WHERE k = {key}')"),
    (no_values_in_sql, "Q = f'DELETE FROM {self._table} WHERE k = {key!r}'"),
    (no_values_in_sql, "db.execute('SELECT * FROM t WHERE k = %s' % key)"),
    (no_values_in_sql, "db.execute('SELECT * FROM t WHERE k = ' + key)"),
    (no_values_in_sql, "db.execute('SELECT * FROM t WHERE k = {}'.format(key))"),
    (no_values_in_sql, "db.execute('SELECT * FROM ' + TABLE + ' WHERE k = ' + key)"),
    (no_values_in_sql, "Q = f'SELECT {x if y else 1}'"),
    (no_values_in_sql, "db.execute(query % key)"),
    (no_values_in_sql, "db.execute(query.format(key))"),
    (no_values_in_sql, "db.execute(f'{query} LIMIT 1')"),
    (no_blunt_commands, "redis.execute_command('KEYS', '*')"),
    (no_blunt_commands, "redis.execute_command('KEYS *')"),
    (no_blunt_commands, "send(b'FLUSHDB')"),
    (no_blunt_commands, "client.keys('session:*')"),
    (no_blunt_commands, "client.flushdb()"),
    (no_blunt_commands, "S = \"return redis.call('KEYS', '*')\""),
]

KEPT: list[tuple[Rule, str]] = [
    (no_assert, "assert_type = 1"),
    (no_code_from_data, "import json; x.eval(); re.compile('x')"),
    (no_guessable_numbers, "from uuid import UUID"),
    (no_guessable_numbers, "import secrets; secrets.SystemRandom().uniform(0, 1)"),
    (no_plain_comparison, "if compare_digest(mac, other): pass"),
    (no_plain_comparison, "if mac is None or machine == 1 or token_count == 2: pass"),
    (no_dollar, r"re.compile(r'[a$]+\$').fullmatch(x)"),
    (no_dollar, "x.match('$')"),
    (no_unicode_surprises, "x.strip(' \\t')"),
    (no_values_in_sql, "db.execute('SELECT * FROM t WHERE k = ?', (key,))"),
    (no_values_in_sql, "Q = f'SELECT * FROM {self._table} WHERE k = ?'"),
    (no_values_in_sql, "Q = f'CREATE TABLE {TABLE} (k BLOB)'"),
    (no_values_in_sql, "Q = f\"PRAGMA synchronous={'FULL' if full else 'NORMAL'}\""),
    (no_values_in_sql, "x = f'select {things} or not'"),
    (no_values_in_sql, "db.execute(self._select, (key,))"),
    (no_blunt_commands, "d.keys(); S = \"return redis.call('GET', KEYS[1])\""),
]


def ids_of(cases: list[tuple[Rule, str]]) -> list[str]:
    """Name cases after their rule and number."""
    return [f"{rule.__name__}-{number}" for number, (rule, _) in enumerate(cases)]


@pytest.mark.parametrize(("rule", "text"), BROKEN, ids=ids_of(BROKEN))
def test_a_rule_sees_what_it_is_for(rule: Rule, text: str) -> None:
    """Each rule finds each form of what it forbids."""
    assert broken(rule, text)


@pytest.mark.parametrize(("rule", "text"), KEPT, ids=ids_of(KEPT))
def test_a_rule_leaves_the_rest_alone(rule: Rule, text: str) -> None:
    """What only looks similar is no offence."""
    assert not broken(rule, text)


def test_the_rule_for_parsers_is_for_parsers_only() -> None:
    """Elsewhere `strip()` may stay: settings and messages are no input of strangers."""
    assert broken(no_unicode_surprises, "x.strip()", "src/coatcheck/state/header.py")
    assert not broken(no_unicode_surprises, "x.strip()", "src/coatcheck/config.py")
