"""What the server does in one step: compare and set, and nothing between the two.

A script has one key, so that it runs on any node of a cluster. It is called by its SHA-1, and sent
whole where the server does not know it, after a restart or a failover.

In Lua, positions count from 1: a value's version lies at 3, its deadline at 11, its token at 19,
its horizon at 27, the length of its user at 35, its user at 37. What two scripts have in common is
text and no function: to make one costs more than to compare a version.
"""

from __future__ import annotations

import hashlib
from typing import Final


class Script:
    """A script and the SHA-1 by which a server knows it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text.encode("ascii")
        # The server's own name for it, not a defence (`EVALSHA`).
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode("ascii")


_HEAD: Final = """
local head = redis.call('GETRANGE', KEYS[1], 0, 99)
if #head > 0 and (#head < 36 or string.sub(head, 1, 2) ~= 'r1') then
    return redis.error_reply('NOTARECORD the value is not one of this store: delete it')
end
"""
_OWNER: Final = """
local length = struct.unpack('>H', head, 35)
local owner = string.sub(head, 37, 36 + length)
if #owner < length then
    owner = redis.call('GETRANGE', KEYS[1], 36, 35 + length)
end
"""
_WRITE: Final = """
if life == '' then
    redis.call('SET', KEYS[1], value)
else
    redis.call('SET', KEYS[1], value, 'PX', life)
end
"""

CREATE: Final = Script(
    _HEAD
    + """
local value, life, now, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local before = ''
if #head > 0 then
    if string.sub(head, 19, 26) == token then
        return ''
    end
    if struct.unpack('>d', now) < struct.unpack('>d', head, 11) then
        return 0
    end
    """
    + _OWNER
    + """
    before = owner
end
"""
    + _WRITE
    + """
return before
"""
)
"""Insert where there is nothing live; the user of the expired record that gave way, or 0."""

UPDATE: Final = Script(
    _HEAD
    + """
local version, value, now, life, horizon = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if #head == 0 or struct.unpack('>d', now) >= struct.unpack('>d', head, 11) then
    return false
end
if string.sub(head, 3, 10) ~= version then
    if string.sub(head, 3, 10) == string.sub(value, 3, 10)
        and string.sub(head, 19, 26) == string.sub(value, 19, 26) then
        return 1
    end
    return redis.call('GET', KEYS[1])
end
if string.sub(head, 35, 36) ~= '\\0\\0' then
    """
    + _OWNER
    + """
    if not horizon and struct.unpack('>d', value, 11) > struct.unpack('>d', head, 27) then
        return {owner}
    end
    value = string.sub(value, 1, 26) .. (horizon or string.sub(head, 27, 34))
        .. string.sub(head, 35, 36) .. owner .. string.sub(value, 37)
end
"""
    + _WRITE
    + """
return 1
"""
)
"""1: updated; nil: gone; the value that stands: a conflict; a list of the user: first see to it
that the user's index is kept for long enough, then come back with the new horizon.

The new value comes as nobody's: a record that is somebody's keeps its user."""

TOUCH: Final = Script(
    _HEAD
    + """
local version, deadline, now, life, horizon = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if #head == 0 or string.sub(head, 3, 10) ~= version
    or struct.unpack('>d', now) >= struct.unpack('>d', head, 11) then
    return 0
end
if struct.unpack('>d', head, 11) < struct.unpack('>d', deadline) then
    if horizon then
        redis.call('SETRANGE', KEYS[1], 26, horizon)
    elseif string.sub(head, 35, 36) ~= '\\0\\0'
        and struct.unpack('>d', deadline) > struct.unpack('>d', head, 27) then
        """
    + _OWNER
    + """
        return {owner}
    end
    redis.call('SETRANGE', KEYS[1], 10, deadline)
    redis.call('PEXPIRE', KEYS[1], life, 'GT')
end
return 1
"""
)
"""1: that version stands, until the deadline or longer; 0: not; a list: as with `UPDATE`."""

CLAIM: Final = Script(
    """
local function number(text)
    return (struct.unpack('>d', text))
end
local last = redis.call('GET', KEYS[1])
if last and #last == 8 then
    local passed = number(ARGV[1]) - number(last)
    if passed >= 0 and passed < number(ARGV[2]) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
)
"""1 for the caller who takes the interval; a time ahead of the clock is no reason to wait."""
