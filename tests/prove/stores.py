"""How stores may break: what each of them must keep to, and the index of a user's sessions."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_STORE = "src/coatcheck/store"
_MEMORY, _MEMORY_INDEX = f"{_STORE}/memory.py", f"{_STORE}/memory_index.py"
_RECORDS, _FOLDER = f"{_STORE}/file/records.py", f"{_STORE}/file/folder.py"
_STEPS, _SQLITE_FILES = f"{_STORE}/sqlite/steps.py", f"{_STORE}/sqlite/files.py"
_AWAITED = f"{_STORE}/sqlite/awaited.py"
_KEYVALUE, _ENVELOPE = f"{_STORE}/keyvalue.py", f"{_STORE}/envelope.py"

_TESTS = "tests/stores"
_OF_MEMORY = f"{_TESTS}/test_memory.py::TestMemoryStoreContract"
_OF_FILE = f"{_TESTS}/test_file.py::TestFileStoreContract"
_OF_SQLITE = f"{_TESTS}/test_sqlite.py::TestSQLiteStoreContract"
_OF_ASYNC_SQLITE = f"{_TESTS}/test_sqlite_async.py::TestAsyncSQLiteStoreContract"
_OF_KEYVALUE = f"{_TESTS}/test_contract.py::TestKeyValueStore"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "memory: an update does not compare the version",
        _MEMORY,
        "if current.version != version:",
        "if version < 1:",
        (f"{_OF_MEMORY}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "memory: an update inserts",
        _MEMORY,
        "            if current is None or _is_over(current, now):\n",
        "            if current is None:\n"
        "                self._put(key, record)\n"
        "                return Updated(record.version)\n"
        "            if _is_over(current, now):\n",
        (f"{_OF_MEMORY}::test_26_update_after_delete",),
    ),
    Mutation(
        "memory: what has expired is handed out",
        _MEMORY,
        "return record if expires_at is None or self.clock() < expires_at else None",
        "return record",
        (f"{_OF_MEMORY}::test_11_get_of_expired", f"{_OF_MEMORY}::test_12_exact_boundary"),
    ),
    Mutation(
        "memory: a touch shortens",
        _MEMORY,
        "if current.expires_at is not None and current.expires_at < expires_at:",
        "if current.expires_at is not None:",
        (f"{_OF_MEMORY}::test_14_touch_never_shortens",),
    ),
    Mutation(
        "memory: a delete does not say what it removed",
        _MEMORY,
        "return None if _is_over(record, self.clock()) else record",
        "return None",
        (f"{_OF_MEMORY}::test_05_delete_returns_what_it_removed",),
    ),
    Mutation(
        "memory: a visitor takes the place of who is signed in",
        _MEMORY,
        "next((key for key in self._anonymous if key != spare), None)",
        "next((key for key in self._records if key != spare), None)",
        (f"{_TESTS}/test_memory.py::test_sec_45_a_flood_of_visitors_signs_nobody_out",),
    ),
    Mutation(
        "file: an update does not compare the version",
        _RECORDS,
        "if header.version != version:",
        "if version < 1:",
        (f"{_OF_FILE}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "file: an update inserts",
        _RECORDS,
        "                if header is None or not self._is_live(header):\n",
        "                header = header or headers.begin(key, payload, expires_at, None)\n"
        "                if not self._is_live(header):\n",
        (f"{_OF_FILE}::test_26_update_after_delete",),
    ),
    Mutation(
        "file: what has expired is handed out",
        _RECORDS,
        "if expires_at is not None and self._clock() >= expires_at:",
        "if version < 1:",
        (f"{_OF_FILE}::test_11_get_of_expired",),
    ),
    Mutation(
        "file: a touch shortens",
        _RECORDS,
        "if header.expires_at is not None and header.expires_at < expires_at:",
        "if header.expires_at is not None:",
        (f"{_OF_FILE}::test_14_touch_never_shortens",),
    ),
    Mutation(
        "file: a damaged payload is handed out",
        _RECORDS,
        " and headers.checksum(payload) == header.checksum",
        "",
        (f"{_TESTS}/test_file_trouble.py::test_a_flipped_bit_is_noticed",),
    ),
    Mutation(
        "file: its lock shuts nobody out",
        f"{_STORE}/file/locks.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (
            f"{_OF_FILE}::test_23_an_update_inside_an_update",
            f"{_OF_FILE}::test_21_no_increment_is_lost",
        ),
    ),
    Mutation(
        "file: a lock is held as long as a child that was forked meanwhile",
        f"{_STORE}/file/locks.py",
        "            self._flock(descriptor, self._unlock)\n",
        "            pass\n",
        (f"{_TESTS}/test_file_processes.py::test_a_forked_child_holds_no_lock",),
    ),
    Mutation(
        "file: a lock file that was removed is as good as the new one",
        f"{_STORE}/file/locks.py",
        "if os.fstat(descriptor).st_nlink:",
        "if descriptor:",
        (f"{_TESTS}/test_file_processes.py::test_a_lock_file_that_is_tidied_up_locks_nothing_out",),
    ),
    Mutation(
        "file: a lock leaves its file open",
        f"{_STORE}/file/locks.py",
        "        finally:\n            os.close(descriptor)\n",
        "        finally:\n            pass\n",
        (f"{_TESTS}/test_file_locks.py::test_locks_leave_nothing_open",),
    ),
    Mutation(
        "file: whoever finds a lock taken goes on without it",
        f"{_STORE}/file/locks.py",
        "                except BlockingIOError:\n",
        "                except BlockingIOError:\n                    return descriptor\n",
        (
            f"{_TESTS}/test_file_locks.py::test_threads_shut_one_another_out",
            f"{_TESTS}/test_file_locks.py::test_a_child_shuts_its_parent_out",
            f"{_TESTS}/test_file_locks.py::test_a_parent_shuts_its_child_out",
        ),
    ),
    Mutation(
        "file: everybody may read a record",
        _FOLDER,
        "os.open(new, _CREATE, 0o600, dir_fd=directory)\n        except FileExistsError:",
        "os.open(new, _CREATE, 0o644, dir_fd=directory)\n        except FileExistsError:",
        (f"{_TESTS}/test_file_security.py::test_sec_75_everything_is_for_its_owner_alone",),
    ),
    Mutation(
        "file: a symbolic link is followed",
        _FOLDER,
        'getattr(os, "O_NOFOLLOW", 0) | ',
        "",
        (f"{_TESTS}/test_file_security.py::test_sec_76_what_is_no_record_is_left_alone",),
    ),
    Mutation(
        "file: a directory that others may change will do",
        f"{_STORE}/file/directory.py",
        "if found.st_mode & 0o022:",
        "if found.st_mode < 0:",
        (
            f"{_TESTS}/test_file_security.py::test_sec_75_a_directory_that_others_may_change_is_refused",
        ),
    ),
    Mutation(
        "sqlite: an update does not compare the version",
        _STEPS,
        "AND key = ? AND version = ? AND (expires_at IS NULL OR expires_at > ?)",
        "AND key = ? AND version >= ? AND (expires_at IS NULL OR expires_at > ?)",
        (f"{_OF_SQLITE}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "sqlite: a create takes the place of a live record",
        _STEPS,
        "    WHERE expires_at <= ?\n",
        "    WHERE expires_at <= ? OR 1\n",
        (f"{_OF_SQLITE}::test_03_create_never_overwrites",),
    ),
    Mutation(
        "sqlite: what has expired is handed out",
        _STEPS,
        "return _record(Stored, row) if now < expires_at else None",
        "return _record(Stored, row)",
        (f"{_OF_SQLITE}::test_11_get_of_expired",),
    ),
    Mutation(
        "sqlite: a touch shortens",
        _STEPS,
        "AND version = ? AND expires_at > ? AND expires_at < ?",
        "AND version = ? AND expires_at > ? AND expires_at <> ?",
        (f"{_OF_SQLITE}::test_14_touch_never_shortens",),
    ),
    Mutation(
        "sqlite: a symbolic link is followed",
        _SQLITE_FILES,
        "found = os.lstat(path)",
        "found = os.stat(path)",
        (f"{_TESTS}/test_sqlite_files.py::test_a_planted_link_is_not_followed",),
    ),
    Mutation(
        "sqlite: a file that others may read will do",
        _SQLITE_FILES,
        "if _POSIX and found.st_mode & 0o077:",
        "if _POSIX and found.st_mode < 0:",
        (f"{_TESTS}/test_sqlite_files.py::test_a_file_that_others_may_use_is_refused",),
    ),
    Mutation(
        "sqlite: a removed record leaves its index entry",
        f"{_STORE}/sqlite/schema.py",
        "AFTER DELETE ON sessions WHEN OLD.user_id IS NOT NULL",
        "AFTER DELETE ON sessions WHEN OLD.user_id IS NULL",
        (f"{_OF_SQLITE}::test_29_delete_takes_the_entry_along",),
    ),
    Mutation(
        "sqlite: a locked database is not waited for",
        f"{_STORE}/sqlite/database.py",
        "return persist(lambda: self.attempt(step, *arguments), self.path, self.timeout)",
        "return persist(lambda: self.attempt(step, *arguments), self.path, 0.0)",
        (f"{_TESTS}/test_sqlite.py::test_a_write_goes_on_when_the_lock_is_free",),
    ),
    Mutation(
        "async-sqlite: a read is suspended",
        _AWAITED,
        "return self._read(steps.get, self.namespace, key)",
        "return await drivers.in_thread(self._read, steps.get, self.namespace, key)",
        (f"{_TESTS}/test_sqlite_async.py::test_get_never_suspends",),
    ),
    Mutation(
        "async-sqlite: the event loop waits for a lock",
        _AWAITED,
        "await drivers.pause(delay)",
        "time.sleep(delay)",
        (f"{_TESTS}/test_sqlite_async.py::test_a_lock_does_not_stall_the_loop",),
    ),
    Mutation(
        "async-sqlite: a read of damaged pages is no corrupt record",
        _AWAITED,
        "except Damaged as error:",
        "except MemoryError as error:",
        (f"{_TESTS}/test_sqlite_async.py::test_damaged_pages_are_corrupt",),
    ),
    Mutation(
        "async-sqlite: the log grows without end",
        _AWAITED,
        "if self._written > LOG_BYTES:",
        "if self._written < 0:",
        (f"{_TESTS}/test_sqlite_async.py::test_the_log_is_bounded",),
    ),
    Mutation(
        "keyvalue: an update does not compare the version",
        _KEYVALUE,
        "if current.version != version:",
        "if version < 1:",
        (f"{_OF_KEYVALUE}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "keyvalue: nobody is kept from a key that another is at",
        _KEYVALUE,
        "        while _held.setdefault(name, mine) is not mine:\n            await self._wait()\n"
        "        try:\n            yield\n        finally:\n            del _held[name]\n",
        "        yield\n",
        (
            f"{_TESTS}/test_keyvalue.py::test_two_stores_over_one_object",
            f"{_TESTS}/test_keyvalue.py::test_tasks_on_one_key_take_turns",
        ),
    ),
    Mutation(
        "keyvalue: what has expired is handed out",
        _KEYVALUE,
        "return None if over else record",
        "return record",
        (f"{_OF_KEYVALUE}::test_11_get_of_expired",),
    ),
    Mutation(
        "keyvalue: a record under another name is taken for one",
        _ENVELOPE,
        'zlib.crc32(name.encode("ascii"))',
        "0",
        (f"{_TESTS}/test_keyvalue.py::test_a_record_under_another_key_is_corrupt",),
    ),
    Mutation(
        "index: a revocation does not move the epoch",
        _MEMORY_INDEX,
        "user.epoch = self._counter",
        "pass",
        (f"{_OF_MEMORY}::test_55_revoke_moves_the_epoch",),
    ),
    Mutation(
        "index: a revocation in files does not move the epoch",
        f"{_STORE}/file/users.py",
        "user.epoch += 1",
        "pass",
        (f"{_OF_FILE}::test_55_revoke_moves_the_epoch",),
    ),
    Mutation(
        "index: what was never created stays in the files of users",
        f"{_STORE}/file/upkeep.py",
        "self._users.sweep(self._records.is_there)",
        "pass",
        (f"{_OF_FILE}::test_16_purge_takes_abandoned_entries",),
    ),
    Mutation(
        "index: a revocation in SQLite does not move the epoch",
        _STEPS,
        "cursor.execute(_ADVANCE, (counter, namespace, user_id))",
        "pass",
        (f"{_OF_SQLITE}::test_55_revoke_moves_the_epoch",),
    ),
    Mutation(
        "index: there is no limit",
        _MEMORY_INDEX,
        "evicted = counted[: max(0, len(counted) + 1 - limit)]",
        "evicted = []",
        (
            f"{_OF_MEMORY}::test_54_refused_at_the_limit",
            f"{_OF_MEMORY}::test_54_the_oldest_are_evicted",
        ),
    ),
    Mutation(
        "index: an evicted session is confirmed",
        _MEMORY_INDEX,
        "entry is None or entry.evicted or user.epoch != epoch",
        "entry is None or user.epoch != epoch",
        (f"{_OF_MEMORY}::test_54_the_oldest_are_evicted",),
    ),
    Mutation(
        "index: a removed record leaves its entry",
        _MEMORY,
        "            self._index.forget(owner, key)\n\n    def _lives",
        "            pass\n\n    def _lives",
        (f"{_OF_MEMORY}::test_29_delete_takes_the_entry_along",),
    ),
    Mutation(
        "index: an enrolment that did not come about leaves its entry",
        _STEPS,
        '        admission = None\n    cursor.execute("ROLLBACK")\n',
        '        admission = None\n    cursor.execute("COMMIT")\n',
        (f"{_OF_SQLITE}::test_58_a_key_that_is_taken",),
    ),
    Mutation(
        "index: the entry of an enrolment is there before the record",
        _STEPS,
        "        if create(cursor, now, namespace, key, payload, expires_at, user_id):\n",
        '        cursor.execute("COMMIT")\n'
        '        cursor.execute("BEGIN IMMEDIATE")\n'
        "        if create(cursor, now, namespace, key, payload, expires_at, user_id):\n",
        (f"{_TESTS}/test_enrol.py::test_half_of_it_never_happens",),
    ),
    Mutation(
        "index: the record of an enrolment does not say whose it is",
        _STEPS,
        "        if create(cursor, now, namespace, key, payload, expires_at, user_id):\n",
        "        if create(cursor, now, namespace, key, payload, expires_at, None):\n",
        (f"{_OF_SQLITE}::test_58_the_record_is_the_users",),
    ),
    Mutation(
        "index: an enrolled session that replaces one is not confirmed",
        "src/coatcheck/lifecycle/succession.py",
        "        if enrols is None or self.old is not None:\n",
        "        if enrols is None:\n",
        (f"{_TESTS}/test_enrol.py::test_a_session_that_replaces_one_is_not",),
    ),
    Mutation(
        "index: an enrolment that was interrupted stays",
        "src/coatcheck/lifecycle/succession.py",
        "            await runtime.shield(undo(runtime, user_id, handle, ()))\n",
        "",
        (f"{_TESTS}/test_enrol.py::test_an_interrupted_enrolment_is_undone",),
    ),
    Mutation(
        "index: a removed file leaves its entry",
        f"{_STORE}/file/store.py",
        "if owner is not None:",
        "if owner is not None and owner == user_id:",
        (f"{_OF_FILE}::test_29_delete_takes_the_entry_along",),
    ),
)
