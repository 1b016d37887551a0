"""How the SQL stores may break: statements, transactions, and what a server's failure means."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_SQL = "src/coatcheck/store/sql"
_STATEMENTS, _STEPS, _ERRORS = f"{_SQL}/statements.py", f"{_SQL}/steps.py", f"{_SQL}/errors.py"

_TESTS = "tests/stores"
_CONTRACT = f"{_TESTS}/test_sql_contract.py"
_OF_SQLITE, _OF_POSTGRESQL = f"{_CONTRACT}::TestOnSQLite", f"{_CONTRACT}::TestOnPostgreSQL"
_URLS = f"{_TESTS}/test_urls.py::test_bad_urls_are_refused"
_FAULTS, _OF_SQL = f"{_TESTS}/test_sql_faults.py", f"{_TESTS}/test_sql.py"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "sql: an update does not compare the version",
        _STATEMENTS,
        '.where(this, c.version == _given("v"), live)',
        '.where(this, c.version >= _given("v"), live)',
        (f"{_OF_SQLITE}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "sql: an expired record is updated",
        _STATEMENTS,
        '.where(this, c.version == _given("v"), live)',
        '.where(this, c.version == _given("v"))',
        (f"{_OF_SQLITE}::test_11_update_of_expired",),
    ),
    Mutation(
        "sql: what has expired is handed out",
        _STEPS,
        "return record if record.expires_at is None or now < record.expires_at else None",
        "return record",
        (f"{_OF_SQLITE}::test_11_get_of_expired",),
    ),
    Mutation(
        "sql: a touch shortens",
        _STATEMENTS,
        'c.expires_at < _given("t")',
        'c.expires_at != _given("t")',
        (f"{_OF_SQLITE}::test_14_touch_never_shortens",),
    ),
    Mutation(
        "sql: a removed record leaves its index entry",
        _STEPS,
        "owners = {user_id, None if row is None else row[3]} - {None}",
        "owners = {user_id} - {None}",
        (f"{_OF_SQLITE}::test_29_delete_takes_the_entry_along",),
    ),
    Mutation(
        "sql: admissions do not wait for one another",
        _STEPS,
        "    work.begin()\n    work.do(work.sql.know, **user, e=secrets.randbits(62))\n",
        "    work.do(work.sql.know, **user, e=secrets.randbits(62))\n    work.begin()\n",
        (f"{_OF_POSTGRESQL}::test_56_an_admission_inside_an_admission",),
    ),
    Mutation(
        "sql: a purge takes the row of a user who came back",
        _STATEMENTS,
        ', u.epoch == _given("e")),\n',
        "),\n",
        (f"{_OF_SQL}::test_a_purge_spares_a_user_who_came_back[postgresql]",),
    ),
    Mutation(
        "sql: a deadlock is an error",
        _ERRORS,
        '"40P01": Meaning.AGAIN',
        '"40P01": Meaning.BROKEN',
        (f"{_FAULTS}::test_a_deadlock[postgresql]",),
    ),
    Mutation(
        "sql: a serialization failure is an error",
        _ERRORS,
        '"40001": Meaning.AGAIN',
        '"40001": Meaning.BROKEN',
        (f"{_FAULTS}::test_a_serialization_failure[postgresql]",),
    ),
    Mutation(
        "sql: a connection that was cut is not replaced",
        f"{_SQL}/database.py",
        "                    lost = True\n",
        "                    raise\n",
        (f"{_FAULTS}::test_a_connection_that_was_cut[postgresql]",),
    ),
    Mutation(
        "sql: a server that does not answer is waited for",
        f"{_SQL}/patience.py",
        "give_up = time.monotonic() + seconds",
        "give_up = time.monotonic() + 20 * seconds",
        (f"{_FAULTS}::test_a_server_that_is_paused[postgresql]",),
    ),
    Mutation(
        "sql: a lent engine commits with the application",
        f"{_SQL}/engines.py",
        "engine if own else engine.execution_options(**_AUTOCOMMIT)",
        "engine",
        (f"{_OF_SQL}::test_the_application_s_transaction_is_not_touched[postgresql]",),
    ),
    Mutation(
        "sql: a visitor's data is in the error",
        f"{_SQL}/errors.py",
        "return driver if isinstance(driver, BaseException) else error",
        "return error",
        (f"{_OF_SQL}::test_payloads_are_not_in_errors[postgresql]",),
    ),
    Mutation(
        "sql: a value is quoted for another mode of the server",
        f"{_SQL}/drivers.py",
        '_MODE: Final = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"',
        '_MODE: Final = "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES"',
        (f"{_OF_SQL}::test_sec_78_whatever_the_server_takes_for_a_quote",),
    ),
    Mutation(
        "sql: an engine that does not quote is used",
        f"{_SQL}/database.py",
        "                drivers.check_quoting(connection)\n",
        "",
        (f"{_OF_SQL}::test_sec_78_an_engine_that_does_not_quote",),
    ),
    Mutation(
        "sql: a connection to a server that takes no writes is kept",
        f"{_SQL}/database.py",
        "if errors.meaning(error) is Meaning.READ_ONLY:",
        "if errors.meaning(error) is None:",
        (f"{_FAULTS}::test_a_server_that_takes_writes_no_more",),
    ),
    Mutation(
        "sql: a removal whose answer was lost says that there was nothing",
        _STEPS,
        "if row is None and work.again:",
        "if row is None and not work:",
        (f"{_FAULTS}::test_the_answer_to_a_removal_is_lost[postgresql]",),
    ),
    Mutation(
        "sql: what an admission evicted is lost with its answer",
        _STEPS,
        "        if work.again and any(row[0] == key for row in rows):\n",
        "        if not work and any(row[0] == key for row in rows):\n",
        (f"{_FAULTS}::test_an_answer_that_is_lost[postgresql]",),
    ),
    Mutation(
        "sql: an application's name stands in a statement as it is",
        f"{_SQL}/tables.py",
        '        _check_name("prefix", prefix)\n',
        "",
        (f"{_URLS}[open_store-postgresql://localhost/?prefix=a;b-prefix must be]",),
    ),
    Mutation(
        "async-sql: a cancelled save is lost half way",
        f"{_SQL}/awaited.py",
        "                return await asyncio.shield(task)\n",
        "                return await task\n",
        (f"{_OF_SQL}::test_a_cancelled_save_takes_place",),
    ),
    Mutation(
        "async-sql: a cancelled read keeps a connection of a lent engine",
        f"{_SQL}/awaited.py",
        "        if self._lent:\n            return await self._run(step, *arguments)\n",
        "",
        (f"{_OF_SQL}::test_a_cancelled_read_leaves_a_lent_engine_alone[mariadb]",),
    ),
    Mutation(
        "index: a revocation in SQL does not move the epoch",
        _STATEMENTS,
        ".values(epoch=u.epoch + 1)",
        ".values(epoch=u.epoch + 0)",
        (f"{_OF_SQLITE}::test_55_revoke_moves_the_epoch",),
    ),
)
