"""Names that become part of keys, paths and statements, and what a list of sessions hands out."""

from __future__ import annotations

from typing import Any

import pytest

from coatcheck import ConfigurationError, SessionError, SessionManager
from coatcheck.store import MemoryStore
from coatcheck.store.file import FileStore
from coatcheck.store.protocol import check_key
from coatcheck.store.redis import RedisStore
from coatcheck.store.sql.tables import Tables
from coatcheck.store.sqlite import SQLiteStore
from tests.core.harness import SECRET

HANDLE = "0123456789abcdef" * 2
NO_KEYS: list[Any] = [
    *(0, None, HANDLE.encode(), bytearray(HANDLE.encode()), ""),
    *(HANDLE.upper(), HANDLE[:-1], HANDLE + "0", HANDLE[:-1] + "\n", HANDLE + "\n", " " + HANDLE),
    *("*" * 32, "../" * 10 + "ab", f"a'--{HANDLE}"[:32], f"{HANDLE[:15]}*{HANDLE[16:]}"),
    *(
        f"{HANDLE[:-1]}\N{KELVIN SIGN}",
        "\N{FULLWIDTH DIGIT ONE}" * 32,
        "\0" * 32,
        HANDLE[:-1] + "g",
    ),
]
BREAKS = [
    *("'", '"', "`", ";", "--", "/*", "%", "%s", ":x", "\\", " ", "\n", "\r", "\t", "\0", "."),
    *(
        "(",
        "]",
        "$",
        "\N{KELVIN SIGN}",
        "\N{LATIN SMALL LETTER LONG S}",
        "\N{ARABIC-INDIC DIGIT ONE}",
    ),
]
"""What ends a name in some dialect, or is a letter or a digit in Unicode only."""


@pytest.mark.parametrize("key", NO_KEYS)
def test_sec_73_only_a_handle_is_a_key(key: Any) -> None:
    """By the rule that all stores ask before they do anything."""
    assert check_key(HANDLE) == HANDLE
    with pytest.raises((ValueError, TypeError)):
        check_key(key)


@pytest.mark.parametrize("text", BREAKS)
def test_sec_78_a_name_of_a_table_is_letters_digits_and_underscores(text: str) -> None:
    """Wherever the rest stands in it, and so for a schema."""
    assert Tables("a_b1", "main").sessions.fullname == "main.a_b1sessions"
    for name in (text, f"{text}ab", f"a{text}b", f"ab{text}", f"ab{text}\n"):
        with pytest.raises(ConfigurationError, match="prefix"):
            Tables(name)
        with pytest.raises(ConfigurationError, match="schema"):
            Tables("ab_", name)


@pytest.mark.parametrize("name", ["", "1a", "A", "a" * 33, None, b"a", "ab\n"])
def test_sec_78_a_name_of_a_table_has_a_beginning_and_an_end(name: Any) -> None:
    """Of 1 to 32 characters in lower case, no digit first."""
    with pytest.raises(ConfigurationError, match="prefix"):
        Tables(name)


@pytest.mark.parametrize("text", [*"*?[]{}'\"/\\ \t\r\n\0%&", "\N{KELVIN SIGN}", "a" * 65])
def test_sec_81_sec_82_a_namespace_is_no_pattern(text: str, tmp_path: Any) -> None:
    """On no store: it stands in keys, patterns and names of files."""
    kinds: list[tuple[Any, tuple[Any, ...]]] = [
        (MemoryStore, ()),
        (FileStore, (tmp_path / "files",)),
        (SQLiteStore, (tmp_path / "one.db",)),
        (RedisStore, ("redis://localhost:1",)),
    ]
    for kind, where in kinds:
        for name in (text, f"a{text}", f"{text}a", f"a{text}a"):
            with pytest.raises(ConfigurationError, match="namespace"):
                kind(*where, namespace=name)


def test_sec_39_a_list_of_sessions_opens_none() -> None:
    """Nothing that a session on it says of itself is an ID."""
    manager = SessionManager(secret=SECRET, store=MemoryStore())
    one = manager.create("ann", data={"a": 1})
    manager.create("ann")
    listed = manager.sessions_of("ann")
    assert listed[0].handle == one.handle
    with pytest.raises(SessionError, match="handle"):
        str(listed[0].id)
    shown: set[str] = set()
    for session in listed:
        for name in dir(session):
            if not name.startswith("_"):
                try:
                    value = getattr(session, name)
                except SessionError:
                    continue
                shown |= {str(value), repr(value)}
        shown |= {repr(session), str(session)}
    assert one.handle in shown
    assert one.id not in " ".join(shown)
    assert [text for text in shown if manager.open(text) is not None] == []
