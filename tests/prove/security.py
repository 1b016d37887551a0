"""How what the security requirements ask for may break: caches, floods, records, what is told."""

from __future__ import annotations

from tests.prove.mutation import Mutation, scenarios

_RESPONSE, _OPENING = "src/coatcheck/response.py", "src/coatcheck/lifecycle/opening.py"
_LAYOUT = "src/coatcheck/layout.py"
_TESTS = "tests/security/test"
_ORIGINS = "tests/adapters/test_websocket_origins.py"
_MEET = (
    f"{_TESTS}_shared_cache.py::test_sec_57_sec_52_sec_51_two_clients_behind_a_cache_never_meet",
)
_RUBBISH = "            return _unpack_text(payload)\n"
_TOLD = "test_sec_85_what_happens_to_a_session_is_told_once"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "caches: no Vary",
        _RESPONSE,
        'headers.add("Vary", runtime.vary)',
        "pass",
        _MEET,
    ),
    Mutation(
        "caches: the application's Vary is all",
        _RESPONSE,
        '", ".join([*listed, *missing])',
        '", ".join(listed)',
        _MEET,
    ),
    Mutation(
        "caches: a user's page is for everybody",
        _RESPONSE,
        "personal = visit.seen_user is not None or (",
        "personal = False or (",
        _MEET,
    ),
    Mutation(
        "caches: public stays public",
        _RESPONSE,
        'headers.set("Cache-Control", ", ".join(["private", *kept]))',
        "pass",
        _MEET,
    ),
    Mutation(
        "caches: a new cookie is for everybody",
        _RESPONSE,
        "record, request, headers)\n            personal = personal or state.sends",
        "record, request, headers)",
        _MEET,
    ),
    Mutation(
        "caches: a deletion is for everybody",
        _RESPONSE,
        "state.clear(request, headers, carried=visit.carried)\n"
        "            personal = personal or state.sends",
        "state.clear(request, headers, carried=visit.carried)",
        _MEET,
    ),
    Mutation(
        "caches: a deletion that browsers do not honour",
        "src/coatcheck/cookies.py",
        'return f"{self._deletion}; Secure" if self.is_secure(https=https) else self._deletion',
        "return self._deletion",
        _MEET,
    ),
    Mutation(
        "websocket: a page of another origin has the session",
        "adapters/coatcheck_asgi/middleware.py",
        "return self._guard.admits(request)",
        "return True",
        (f"{_ORIGINS}::test_sec_71_a_foreign_page_gets_no_session",),
    ),
    Mutation(
        "websocket: a host that begins alike is the same",
        "src/coatcheck/origins.py",
        "return place.removesuffix(port) == hosts[0].lower().removesuffix(port)",
        "return place.startswith(hosts[0].lower().removesuffix(port))",
        ("tests/core/test_origins.py::test_sec_71_another_origin_is_not",),
    ),
    Mutation(
        "websocket: plain http reaches for https",
        "src/coatcheck/origins.py",
        'if scheme == "http" and request.scheme in ("https", "wss"):',
        "if False:",
        ("tests/core/test_origins.py::test_sec_71_another_origin_is_not",),
    ),
    Mutation(
        "websocket: a State that names no header is trusted",
        "src/coatcheck/lifecycle/handshake.py",
        "reads_cookies = not vary or any(",
        "reads_cookies = any(",
        (f"{_ORIGINS}::test_sec_71_what_no_browser_sends_by_itself_is_not_judged",),
    ),
    Mutation(
        "websocket: what is not listed is let in without an origin",
        "src/coatcheck/origins.py",
        "return not values and MISSING in self._allowed",
        "return not values",
        ("tests/core/test_origins.py::test_sec_71_no_origin_is_no_browser",),
    ),
    Mutation(
        "flood: a flood fills the log",
        "src/coatcheck/events.py",
        "if event.floods:",
        "if False:",
        (f"{_TESTS}_telling.py::test_sec_85_a_flood_has_a_line_a_second_of_each_kind",),
    ),
    Mutation(
        "flood: the log does not say how many a line stands for",
        "src/coatcheck/events.py",
        "self._lines[kind] = before, unsaid + 1",
        "self._lines[kind] = before, unsaid",
        (f"{_TESTS}_telling.py::test_sec_85_a_flood_has_a_line_a_second_of_each_kind",),
    ),
    Mutation(
        "flood: a clock that was set back silences the log",
        "src/coatcheck/events.py",
        "if 0.0 <= now - before < LINE_INTERVAL:",
        "if now - before < LINE_INTERVAL:",
        (f"{_TESTS}_telling.py::test_sec_85_a_flood_hides_no_other_kind_and_no_sign_in",),
    ),
    Mutation(
        "lookup: the secret is compared in a time that tells",
        _OPENING,
        "not compare_digest(secret_hash(secret), content.secret_hash)",
        "secret_hash(secret) != content.secret_hash",
        (f"{_TESTS}_ids.py::test_sec_16_a_lookup_tells_nothing_of_a_secret",),
    ),
    Mutation(
        "lookup: the secret itself is compared",
        _OPENING,
        "not compare_digest(secret_hash(secret), content.secret_hash)",
        "not compare_digest(secret, content.secret_hash[:16])",
        (f"{_TESTS}_ids.py::test_sec_16_a_lookup_tells_nothing_of_a_secret",),
    ),
    Mutation(
        "told: an ID in the clear",
        "src/coatcheck/ids.py",
        'return f"Identity(handle={self.handle!r}, secret=...)"',
        'return f"Identity(handle={self.handle!r}, secret={self.secret!r})"',
        (f"{_TESTS}_telling.py::test_sec_84_a_traceback_with_locals_shows_no_secret",),
    ),
    Mutation(
        "told: junk fills the log",
        "src/coatcheck/events.py",
        'logging.DEBUG\n    floods: ClassVar[bool] = True\n    reason: Literal["signature",',
        'logging.INFO\n    floods: ClassVar[bool] = True\n    reason: Literal["signature",',
        (f"{_TESTS}_telling.py::test_sec_85_nobody_can_fill_a_log",),
    ),
    Mutation(
        "told: an unknown ID is not told of",
        _OPENING,
        "        if isinstance(content, Tombstone):\n            runtime.emit(UnknownID(handle))\n",
        "        if isinstance(content, Tombstone):\n",
        (f"{_TESTS}_telling.py::{_TOLD}",),
    ),
    Mutation(
        "told: an ID that is not ours is not told of",
        _OPENING,
        'runtime.emit(IDRejected("signature"))',
        "pass",
        (f"{_TESTS}_telling.py::{_TOLD}",),
    ),
    Mutation(
        "records: what is not ours is tried as a pickle",
        _LAYOUT,
        _RUBBISH,
        _RUBBISH + '        __import__("pickle").loads(payload)\n',
        (f"{_TESTS}_records.py::test_sec_21_nothing_in_a_record_is_run",),
    ),
    Mutation(
        "records: rubbish is an error",
        _LAYOUT,
        _RUBBISH,
        _RUBBISH + '        raise ValueError("no record")\n',
        (f"{_TESTS}_records.py::test_sec_09_no_other_format_is_tried",),
    ),
    Mutation(
        "records: a key of the application says who is signed in",
        "src/coatcheck/session.py",
        "return self._look().user_id",
        'return self.get("user_id", self._look().user_id)',
        (f"{_TESTS}_records.py::test_sec_41_no_key_reaches_what_a_session_is",),
    ),
    Mutation(
        "records: a database folds the case of keys",
        "src/coatcheck/store/sql/tables.py",
        'collation="ascii_bin"',
        'collation="ascii_general_ci"',
        (f"{_TESTS}_records.py::test_sec_79_a_key_is_compared_byte_by_byte",),
    ),
    Mutation(
        "flood: what was set and cleared is kept",
        "src/coatcheck/lifecycle/__init__.py",
        "phase is Phase.NEW and visit.changed and (visit.data() or visit.must_issue):",
        "phase is Phase.NEW and visit.changed:",
        scenarios("wsgi-memory", "sec_44_a_flood_stores_nothing"),
    ),
    Mutation(
        "flood: an unknown ID is adopted",
        _OPENING,
        "    visit.become_new()\n    if grave",
        "    visit.become_new()\n    visit.must_issue = visit.changed = bool(claims)\n    if grave",
        scenarios("wsgi-memory", "sec_44_a_flood_stores_nothing"),
    ),
    Mutation(
        "records: the whole ID is kept",
        "src/coatcheck/ids.py",
        "return hashlib.sha256(secret).digest()",
        "return secret + secret",
        scenarios("wsgi-memory", "sec_15_no_record_holds_an_id"),
    ),
    Mutation(
        "names: any 32 characters are a key",
        "src/coatcheck/store/protocol.py",
        "if not is_key(key):",
        "if len(key) != 32:",
        (f"{_TESTS}_names.py::test_sec_73_only_a_handle_is_a_key",),
    ),
    Mutation(
        "names: a table's name may end as it likes",
        "src/coatcheck/store/sql/tables.py",
        "not _NAME.fullmatch(name)",
        "not _NAME.match(name)",
        (f"{_TESTS}_names.py::test_sec_78_a_name_of_a_table_is_letters_digits_and_underscores",),
    ),
    Mutation(
        "names: a namespace may be a pattern",
        "src/coatcheck/checks.py",
        'r"[A-Za-z0-9:_.-]{1,64}"',
        'r"[A-Za-z0-9:_.*-]{1,64}"',
        (f"{_TESTS}_names.py::test_sec_81_sec_82_a_namespace_is_no_pattern",),
    ),
    Mutation(
        "lookup: who is found by a handle is given some ID",
        "src/coatcheck/session.py",
        "        if not identity.secret:\n",
        "        if not identity.secret:\n"
        "            return visit.runtime.signer.sign(visit.runtime.signer.mint())\n",
        (f"{_TESTS}_names.py::test_sec_39_a_list_of_sessions_opens_none",),
    ),
    Mutation(
        "records: what is decoded may be compressed",
        _LAYOUT,
        "from zlib import crc32",
        "from zlib import crc32, decompress",
        (f"{_TESTS}_records.py::test_sec_23_nothing_is_compressed",),
    ),
    Mutation(
        "names: an assert keeps keys apart from paths",
        "src/coatcheck/store/protocol.py",
        "    if not is_key(key):\n",
        "    assert is_key(key)\n    if False:\n",
        (f"{_TESTS}_telling.py::test_sec_86_python_oo_takes_no_check_away",),
    ),
)
