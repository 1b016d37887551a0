"""How a move from store to store may lose sessions, or bring back what has ended."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_TRANSFER, _JOURNAL = "src/coatcheck/copying/transfer.py", "src/coatcheck/copying/journal.py"
_TEST = "tests/stores/test_copying.py::test_"
_CRASH = f"{_TEST}a_crash_at_any_step_loses_nothing"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "copying: what ended at the source lives on at the target",
        _TRANSFER,
        "if noted is not None and noted.expires_at > self.clock():",
        "if noted is None and self.alone:",
        (f"{_TEST}what_a_program_made_of_an_ended_session_ends_with_it",),
    ),
    Mutation(
        "copying: who is active at the target is signed out",
        _TRANSFER,
        "if noted is not None and noted.expires_at > self.clock():",
        "if noted is not None:",
        (f"{_TEST}who_is_active_at_the_target_is_not_signed_out",),
    ),
    Mutation(
        "copying: who was active at the source is signed out",
        _TRANSFER,
        "if noted is not None and noted.expires_at > self.switched_at:",
        "if noted is not None:",
        (f"{_TEST}who_was_active_at_the_source_is_not_signed_out",),
    ),
    Mutation(
        "copying: what ended at the target is copied again",
        _TRANSFER,
        "if noted is not None and noted.expires_at > self.switched_at:",
        "if noted is not None and not noted.version:",
        (f"{_TEST}what_ended_at_the_target_stays_ended",),
    ),
    Mutation(
        "copying: what ended at the target after a crash is copied again",
        _TRANSFER,
        "payload = _reservation(key, content) if self.last else there.payload",
        "payload = there.payload",
        (f"{_TEST}what_ends_after_a_crash_of_the_last_pass_stays_ended",),
    ),
    Mutation(
        "copying: a copy that was announced and never made counts as a program's",
        _TRANSFER,
        "if here.version > noted.version:",
        "if here.version != noted.version:",
        (f"{_TEST}a_copy_that_was_announced_and_never_made",),
    ),
    Mutation(
        "copying: a torn list of a user's sessions is left torn",
        _TRANSFER,
        "levelled = here is not None and not self.torn",
        "levelled = here is not None",
        (f"{_TEST}who_came_behind_an_interrupted_page_is_copied",),
    ),
    Mutation(
        "copying: what was saved at the target is overwritten",
        _TRANSFER,
        "if here.version > noted.version:",
        "if here.version < noted.version:",
        (f"{_TEST}what_was_saved_at_the_target_stays",),
    ),
    Mutation(
        "copying: an ID that was replaced at the source works at the target",
        _TRANSFER,
        "        await self._end(key)\n        await self.target.store.create(\n",
        "        if here := await self.target.store.get(key):\n            return\n"
        "        await self.target.store.create(\n",
        (f"{_TEST}what_was_replaced_at_the_source_is_dead_at_the_target",),
    ),
    Mutation(
        "copying: what was made of an ended session lives on",
        _TRANSFER,
        "            if not isinstance(content, Tombstone):\n",
        "            if content:\n",
        (f"{_TEST}what_a_program_made_of_an_ended_session_ends_with_it",),
    ),
    Mutation(
        "copying: ending a session ends that of another user",
        _TRANSFER,
        "if after is None or after[1].user_id != user_id:",
        "if after is None:",
        (f"{_TEST}a_sign_in_of_another_user_does_not_end_with_it",),
    ),
    Mutation(
        "copying: sessions are admitted in the order of the scan",
        _TRANSFER,
        "keys = [entry.key for entry in await order.entries(user_id)]",
        "keys: list[str] = []",
        (f"{_TEST}the_order_of_a_user_s_sessions_is_kept",),
    ),
    Mutation(
        "copying: no user's list has the copy",
        _TRANSFER,
        "admission = await users.admit(user_id, key, limit=None, evict=False)",
        "admission = None",
        (f"{_TEST}a_copied_session_takes_part_in_limits",),
    ),
    Mutation(
        "copying: the deadline stays that of the first copy",
        _TRANSFER,
        "elif here.expires_at != there.expires_at:",
        "elif here.expires_at is None:",
        (f"{_TEST}a_later_pass_moves_the_deadline",),
    ),
    Mutation(
        "copying: the last pass runs after an incomplete one",
        _JOURNAL,
        "if await self._state() != _COMPLETE:",
        "if await self._state() is None:",
        (_CRASH,),
    ),
    Mutation(
        "copying: a finished move is taken up again",
        _JOURNAL,
        "_FINISHED if last else _COMPLETE",
        "_COMPLETE",
        (f"{_TEST}a_finished_move_is_not_taken_up_again",),
    ),
)
