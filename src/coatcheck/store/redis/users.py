"""The index of one user's sessions: a hash under one name, changed by scripts of one key.

Field `e` is the user's epoch, `c` the counter of admissions, and each session has a field of its
own: `number of its admission 8 | admitted at 8 | "1" where evicted, else "0" | the key replaced`.

An epoch begins with the server's clock in microseconds, so it never comes back to a user whose
index was empty and gone in between. No script looks at a record, which may lie on another node:
whoever is at a limit is told which entries are old enough to be checked, and comes back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from coatcheck.store.protocol import ADMISSION_GRACE, IndexEntry
from coatcheck.store.redis.scripts import Script

_ENTRY: Final = struct.Struct(">dd")

_TOOLS: Final = """
local function number(text, at)
    return (struct.unpack('>d', text, at or 1))
end
local function forget(first)
    for i = first, #ARGV, 2 do
        local entry = ARGV[i + 1]
        if entry == '' or redis.call('HGET', KEYS[1], ARGV[i]) == entry then
            redis.call('HDEL', KEYS[1], ARGV[i])
        end
    end
    if redis.call('HLEN', KEYS[1]) <= 2 then
        redis.call('DEL', KEYS[1])
    end
end
"""

FORGET: Final = Script(_TOOLS + "forget(1)\nreturn 1\n")
"""Remove entries, given as key and value; an empty value stands for any."""

ADMIT: Final = Script(
    _TOOLS
    + f"""
local key, now, limit, evict, replaces, life, final =
    ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if #ARGV > 7 then
    forget(8)
end
local reply = {{'admitted', ''}}
if limit then
    if limit < 1 then
        return {{'refused'}}
    end
    local all, counted, marked, before = redis.call('HGETALL', KEYS[1]), {{}}, {{}}, false
    for i = 1, #all, 2 do
        local other, entry = all[i], all[i + 1]
        if #other == 32 then
            local stands = string.sub(entry, 17, 17) == '0'
            if other == key then
                before = stands
            elseif other ~= replaces then
                if stands then
                    counted[#counted + 1] = {{number(entry), other, entry}}
                else
                    marked[#marked + 1] = other
                end
            end
        end
    end
    local over = #counted + 1 - limit
    if over > 0 then
        if final == '0' then
            local old = {{'check'}}
            for _, one in ipairs(counted) do
                if math.abs(number(now) - number(one[3], 9)) >= {ADMISSION_GRACE} then
                    old[#old + 1] = one[2]
                    old[#old + 1] = one[3]
                end
            end
            if #old > 1 then
                return old
            end
        end
        if evict ~= '1' then
            return {{'refused'}}
        end
        table.sort(counted, function(a, b) return a[1] < b[1] end)
        for i = 1, over do
            local entry = counted[i][3]
            redis.call('HSET', KEYS[1], counted[i][2],
                string.sub(entry, 1, 16) .. '1' .. string.sub(entry, 18))
            reply[#reply + 1] = counted[i][2]
        end
    end
    if before and evict == '1' then
        for _, other in ipairs(marked) do
            reply[#reply + 1] = other
        end
    end
end
local epoch = redis.call('HGET', KEYS[1], 'e')
if epoch then
    redis.call('PEXPIRE', KEYS[1], life, 'GT')
else
    local time = redis.call('TIME')
    epoch = time[1] .. string.format('%06d', time[2])
    redis.call('HSET', KEYS[1], 'e', epoch)
    redis.call('PEXPIRE', KEYS[1], life)
end
local place = redis.call('HINCRBY', KEYS[1], 'c', 1)
redis.call('HSET', KEYS[1], key, struct.pack('>d', place) .. now .. '0' .. replaces)
reply[2] = epoch
return reply
"""
)
"""`admitted`, the epoch, whom to end; `refused`; `check` and old entries, as key and value.

A client that asks again for one that is entered has lost the answer: what that evicted is marked,
and named again.
"""

CONFIRM: Final = Script(
    """
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry or string.sub(entry, 17, 17) ~= '0' or redis.call('HGET', KEYS[1], 'e') ~= ARGV[2] then
    return 0
end
local replaced = string.sub(entry, 18)
if replaced ~= '' then
    if replaced ~= ARGV[1] then
        redis.call('HDEL', KEYS[1], replaced)
    end
    redis.call('HSET', KEYS[1], ARGV[1], string.sub(entry, 1, 17))
end
return 1
"""
)

REVOKE: Final = Script(
    """
local all = redis.call('HGETALL', KEYS[1])
if #all > 0 then
    redis.call('HINCRBY', KEYS[1], 'e', 1)
end
return all
"""
)
"""All fields as they were; nobody without entries can be confirmed, so needs no new epoch."""


class Entry(NamedTuple):
    """One session in an index, and its bytes there."""

    place: float
    admitted_at: float
    key: str
    value: bytes

    @property
    def public(self) -> IndexEntry:
        """What others see of it."""
        return IndexEntry(self.key, self.admitted_at)


def entries(fields: Mapping[bytes, bytes] | Sequence[bytes]) -> list[Entry]:
    """Return the entries among a hash's fields, oldest admission first."""
    pairs: Iterable[tuple[bytes, bytes]]
    if isinstance(fields, Mapping):
        pairs = fields.items()
    else:
        pairs = zip(fields[::2], fields[1::2], strict=True)
    found: list[Entry] = []
    for name, value in pairs:
        if len(name) == 32 and len(value) >= _ENTRY.size:
            place, admitted_at = _ENTRY.unpack_from(value)
            found.append(Entry(place, admitted_at, name.decode("ascii"), value))
    found.sort()
    return found


def to_check(reply: Sequence[bytes]) -> list[Entry]:
    """Return the entries that `ADMIT` wants checked."""
    return entries(reply[1:])


def pairs_of(found: Iterable[Entry]) -> list[Any]:
    """Return entries as `FORGET` and `ADMIT` take them."""
    return [part for entry in found for part in (entry.key, entry.value)]
