"""How the Redis stores may break: what the server does in one step, and whose a reply is."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_REDIS = "src/coatcheck/store/redis"
_SCRIPTS, _USERS, _STEPS = f"{_REDIS}/scripts.py", f"{_REDIS}/users.py", f"{_REDIS}/steps.py"
_RECENT = f"{_REDIS}/recent.py"
_CONNECTION, _STREAM = f"{_REDIS}/connection.py", f"{_REDIS}/stream.py"

_TESTS = "tests/stores"
_OF_REDIS = f"{_TESTS}/test_redis_contract.py::TestRedisStore"
_OF_CLIENT = f"{_TESTS}/test_redis_contract.py::TestRedisStoreOfClient"
_OF_ASYNC = f"{_TESTS}/test_redis_contract.py::TestAsyncRedisStore"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "redis: an update does not compare the version",
        _SCRIPTS,
        "if string.sub(head, 3, 10) ~= version then\n",
        "if false then\n",
        (f"{_OF_REDIS}::test_19_conflict_carries_the_record",),
    ),
    Mutation(
        "redis: an update inserts",
        _SCRIPTS,
        "if #head == 0 or struct.unpack('>d', now) >= struct.unpack('>d', head, 11) then\n"
        "    return false\n"
        "end\n",
        "if #head == 0 then\n"
        "    redis.call('SET', KEYS[1], value)\n"
        "    return 1\n"
        "end\n"
        "if struct.unpack('>d', now) >= struct.unpack('>d', head, 11) then\n"
        "    return false\n"
        "end\n",
        (f"{_OF_REDIS}::test_26_update_after_delete",),
    ),
    Mutation(
        "redis: an update forgets whose the record is",
        _SCRIPTS,
        ".. string.sub(head, 35, 36) .. owner .. string.sub(value, 37)",
        ".. string.sub(value, 35)",
        (f"{_TESTS}/test_redis.py::test_an_index_outlives_its_sessions",),
    ),
    Mutation(
        "redis: an update that compared unequal counts as made",
        _RECENT,
        "if reply in (swap[4], swap[2]):",
        "if reply is not None:",
        (f"{_TESTS}/test_redis_recent.py::test_a_conflict_brings_the_record_along",),
    ),
    Mutation(
        "redis: an update meets its own touch as a conflict",
        _RECENT,
        "return None if current is None or current.version == version else Conflict(current)",
        "return None if current is None else Conflict(current)",
        (f"{_TESTS}/test_redis_recent.py::test_a_touch_is_no_conflict",),
    ),
    Mutation(
        "redis: an update compares another version than it names",
        f"{_REDIS}/records.py",
        "if at != version or now >= before:",
        "if now >= before:",
        (f"{_TESTS}/test_redis_recent.py::test_a_version_that_was_not_read",),
    ),
    Mutation(
        "redis: an update brings back what has expired",
        f"{_REDIS}/records.py",
        "if at != version or now >= before:",
        "if at != version:",
        (f"{_TESTS}/test_redis_recent.py::test_what_has_expired_stays_so",),
    ),
    Mutation(
        "redis: what has expired is handed out",
        f"{_REDIS}/records.py",
        "return record if record.expires_at is None or now < record.expires_at else None",
        "return record",
        (f"{_OF_REDIS}::test_11_get_of_expired",),
    ),
    Mutation(
        "redis: a touch shortens",
        _SCRIPTS,
        "if struct.unpack('>d', head, 11) < struct.unpack('>d', deadline) then",
        "if struct.unpack('>d', deadline) then",
        (f"{_OF_REDIS}::test_14_touch_never_shortens",),
    ),
    Mutation(
        "redis: an index may go before its sessions",
        _SCRIPTS,
        "struct.unpack('>d', deadline) > struct.unpack('>d', head, 27) then",
        "false then",
        (f"{_TESTS}/test_redis.py::test_an_index_outlives_its_sessions",),
    ),
    Mutation(
        "redis: a revocation leaves the epoch",
        _USERS,
        "redis.call('HINCRBY', KEYS[1], 'e', 1)",
        "redis.call('HINCRBY', KEYS[1], 'e', 0)",
        (f"{_OF_REDIS}::test_55_revoke_moves_the_epoch",),
    ),
    Mutation(
        "redis: an epoch comes back",
        _USERS,
        "epoch = time[1] .. string.format('%06d', time[2])",
        "epoch = '1'",
        (
            f"{_OF_REDIS}::test_55_the_epoch_outlives_the_entries",
            f"{_TESTS}/test_redis.py::test_nothing_is_left_of_a_user_who_has_gone",
        ),
    ),
    Mutation(
        "redis: a removed record leaves its index entry",
        _STEPS,
        "if owner and index != self._names.users + owner:",
        "if not owner:",
        (f"{_OF_REDIS}::test_29_delete_takes_the_entry_along",),
    ),
    Mutation(
        "redis: a script that the server has forgotten is an error",
        f"{_REDIS}/client.py",
        '        except NoScript:\n            return self.call("EVAL"',
        '        except ZeroDivisionError:\n            return self.call("EVAL"',
        (f"{_TESTS}/test_redis_faults.py::test_a_server_that_forgot_the_scripts[client]",),
    ),
    Mutation(
        "redis: a connection is used again whose reply is still to come",
        _CONNECTION,
        "        lent.connection.disconnect()\n        if isinstance(error, (*FAILURES",
        "        self._idle.append(lent)\n        if isinstance(error, (*FAILURES",
        (f"{_TESTS}/test_redis_faults.py::test_a_server_that_hangs[url]",),
    ),
    Mutation(
        "async-redis: a cancelled task leaves its reply to the next one",
        _STREAM,
        "                replies.append((waiting.popleft()[0], reply))\n",
        "                while waiting[0][0].cancelled():\n"
        "                    waiting.popleft()\n"
        "                replies.append((waiting.popleft()[0], reply))\n",
        (f"{_TESTS}/test_redis.py::test_tasks_that_are_cancelled",),
    ),
    Mutation(
        "async-redis: a task is entered within another",
        _STREAM,
        "if len(callbacks) != 1 or asyncio.current_task(loop) is not None:",
        "if len(callbacks) != 1:",
        (f"{_TESTS}/test_redis_stream.py::test_no_task_is_entered_within_another",),
    ),
    Mutation(
        "async-redis: garbage takes the reply before it along",
        _STREAM,
        '            self.give_up(StoreError(f"{self._where} sent what is no reply: {error}"))\n',
        '            self.give_up(StoreError(f"{self._where} sent what is no reply: {error}"))\n'
        "            return\n",
        (f"{_TESTS}/test_redis_stream.py::test_what_came_before_garbage_is_a_reply",),
    ),
    Mutation(
        "async-redis: a late reply is handed to somebody else",
        _STREAM,
        "            self.give_up(meaning(exceptions.TimeoutError(), self._where, self._timeout))",
        "            self._waiting.popleft()[0].set_result(\n"
        "                meaning(exceptions.TimeoutError(), self._where, self._timeout)\n"
        "            )",
        (f"{_TESTS}/test_redis_faults.py::test_a_server_that_hangs[async-url]",),
    ),
    Mutation(
        "redis: what an admission evicted is lost with its answer",
        _USERS,
        "    if before and evict == '1' then\n",
        "    if false then\n",
        (f"{_TESTS}/test_redis.py::test_a_client_that_sends_everything_twice",),
    ),
    Mutation(
        "redis: a foreign value ends the list of all sessions",
        _STEPS,
        "if isinstance(reply, NotAString) and odd is not None:",
        "if odd is not None and not odd and reply is None:",
        (f"{_TESTS}/test_redis_faults.py::test_what_others_have_put_in_between[url]",),
    ),
    Mutation(
        "async-redis: of two event loops that begin at once one is forgotten",
        f"{_REDIS}/loops.py",
        "            with self._lock:\n                if self._closed:",
        "            if True:\n                if self._closed:",
        (f"{_TESTS}/test_redis.py::test_two_loops_begin_at_the_same_moment",),
    ),
    Mutation(
        "async-redis: who reads waits for a replica",
        f"{_REDIS}/awaited.py",
        "writes = open_async_link(server, timeout, extras)[0] if shares else None",
        "writes = None if shares else None",
        (f"{_TESTS}/test_redis_failover.py::test_who_reads_does_not_wait_for_a_replica",),
    ),
    Mutation(
        "async-redis: the store has one connection for all event loops",
        f"{_REDIS}/loops.py",
        "thing = self._things.get(loop)",
        "thing = next(iter(self._things.values()), None)",
        (f"{_TESTS}/test_redis.py::test_several_event_loops",),
    ),
    Mutation(
        "redis: the kernel stops all greenlets",
        _CONNECTION,
        'if os.name != "posix" or sock.__class__.recv is not _socket.socket.recv:',
        'if os.name != "posix":',
        (f"{_TESTS}/test_redis_connection.py::test_the_kernel_keeps_the_limit",),
    ),
    Mutation(
        "redis: the kernel's time limit is taken for a lost connection",
        f"{_REDIS}/trouble.py",
        "exceptions.TimeoutError | TimeoutError | BlockingIOError):",
        "exceptions.TimeoutError | TimeoutError):",
        (f"{_TESTS}/test_redis_connection.py::test_a_silent_server_is_an_error_in_time",),
    ),
    Mutation(
        "redis: a connection with more to read is used",
        _CONNECTION,
        "            return True\n        return True\n",
        "            return True\n        return False\n",
        (f"{_TESTS}/test_redis_connection.py::test_what_lay_idle_is_looked_at",),
    ),
)
