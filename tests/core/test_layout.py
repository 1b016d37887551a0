"""Records and tombstones as bytes, in both layouts."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.errors import CorruptRecord
from coatcheck.layout import pack, unpack
from coatcheck.record import Content, Record, Tombstone
from coatcheck.rotation import Rotation

NOW = 1_800_000_000.0
FULL = Record(b"h" * 32, "ann", 7, NOW, NOW + 1.5, 3600.0, NOW + 86_400.0, True, 1, b"data")
BARE = Record(b"\0" * 32, None, 0, NOW, None, None, None, False, 2, b"")
GRAVE = Tombstone(b"s" * 32, "ann", NOW, "0123456789abcdef" * 2, bytes(range(24)))
NAMELESS = GRAVE._replace(user_id=None)
FIRST = Rotation(b"p" * 32, b"w" * 24, NOW + 900.0, None, b"", 0.0)
LATER = FIRST._replace(seen_at=NOW + 901.0, retired=b"r" * 32, retired_at=NOW + 2.5)
CONTENTS = (
    FULL,
    BARE,
    FULL._replace(user_id="Zoë\n\N{SNOWMAN}"),
    FULL._replace(user_id="x" * 1024),
    BARE._replace(data=b"\x80"),
    BARE._replace(data=bytes(range(256)) + b"\n\n{}"),
    FULL._replace(rotation=FIRST),
    BARE._replace(rotation=LATER),
    GRAVE,
    NAMELESS,
    GRAVE._replace(rotation=LATER),
    NAMELESS._replace(rotation=FIRST),
)

each_layout = pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
each_content = pytest.mark.parametrize("content", CONTENTS)


@each_layout
@each_content
def test_what_is_packed_comes_back(content: Content, text: bool) -> None:
    """Records and tombstones come back with every field and its type."""
    back = unpack(pack(content, text=text))
    assert back == content
    assert [type(field) for field in back] == [type(field) for field in content]


@each_layout
@pytest.mark.parametrize("size", range(12))
def test_short_data_comes_back(size: int, text: bool) -> None:
    """The shortest records are shorter than a tombstone, and are read all the same."""
    record = BARE._replace(data=b"d" * size)
    assert unpack(pack(record, text=text)) == record


@each_layout
@pytest.mark.parametrize("content", [FULL, BARE, GRAVE, BARE._replace(rotation=LATER)])
def test_sec_25_every_flipped_byte_is_noticed(content: Content, text: bool) -> None:
    """A byte that changed anywhere makes the record corrupt, never other data."""
    payload = pack(content, text=text)
    for place in range(len(payload)):
        for flip in (0x01, 0x80, 0xFF):
            broken = bytearray(payload)
            broken[place] ^= flip
            with pytest.raises(CorruptRecord):
                unpack(bytes(broken))


@each_layout
@pytest.mark.parametrize("content", [FULL, GRAVE])
def test_sec_25_every_cut_and_every_tail_is_noticed(content: Content, text: bool) -> None:
    """A record that was cut short, or that something follows, is corrupt."""
    payload = pack(content, text=text)
    for size in range(len(payload)):
        with pytest.raises(CorruptRecord):
            unpack(payload[:size])
    for tail in (b"\0", b"\n", b"{}", payload):
        with pytest.raises(CorruptRecord):
            unpack(payload + tail)


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"\xcc",
        b"\xcc\x01",
        b"{",
        b"{}",
        b'{"coatcheck":1}',
        b"gASV",
        b"\0" * 200,
        b"\xff" * 85,
    ],
)
def test_sec_25_what_is_not_ours_is_corrupt(foreign: bytes) -> None:
    """Whatever other programs, or later versions, have stored there is no record of ours."""
    with pytest.raises(CorruptRecord):
        unpack(foreign)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(foreign: bytes) -> None:
    """Bytes that anybody made up are corrupt, and nothing worse."""
    with pytest.raises(CorruptRecord):
        unpack(foreign)


def _sealed(line: bytes, data: bytes = b"") -> bytes:
    """Return text with a checksum that is right, whatever it says."""
    rest = b" " + line + b"\n" + data
    return b"coatcheck/1 crc32=%08x%b" % (crc32(rest), rest)


LINE = pack(FULL, text=True).split(b"\n")[0].partition(b"crc32=")[2][9:]


def test_the_seal_of_these_tests_is_right() -> None:
    """What the next test breaks is whole before."""
    assert unpack(_sealed(LINE, b"data")) == FULL


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        (b"bytes=4", b"bytes=5"),
        (b"bytes=4", b"bytes=-4"),
        (b"bytes=4", "bytes=\N{ARABIC-INDIC DIGIT FOUR}".encode()),
        (b"session", b"replaced"),
        (b"keep=yes", b"keep=maybe"),
        (b"created=1800000000.0", b"created=none"),
        (b"idle=3600.0", b"idle=nan"),
        (b"idle=3600.0", b"idle=inf"),
        (b"idle=3600.0", b"idle=9e999"),
        (b"idle=3600.0", b"idle=1e+-e"),
        (b"idle=3600.0", b""),
        (b"idle=3600.0", b"idle=3600.0 idle=3600.0"),
        (b"=6868", b"=68"),
        (b"=6868", b"=zz68"),
        (b'user="ann"', b'user="an"n"'),
        (b'user="ann"', b'user="\\x"'),
        (b'user="ann"', b"user=ann"),
        (b'user="ann"', b'user="ann" admin=yes'),
        (b"epoch=7", b"epoch=" + b"7" * 5000),
        # What the other layout has no room for could be read, and never be saved.
        (b"epoch=7", b"epoch=4294967296"),
        (b"codec=1", b"codec=256"),
        (b'user="ann"', b'user="\\ud800"'),
        (b'user="ann"', b'user="' + b"n" * 65536 + b'"'),
    ],
)
def test_text_that_says_nonsense_is_corrupt(whole: bytes, broken: bytes) -> None:
    """A right checksum over fields that do not fit is corrupt all the same."""
    assert whole in LINE
    with pytest.raises(CorruptRecord):
        unpack(_sealed(LINE.replace(whole, broken), b"data"))


@pytest.mark.parametrize("field", ["created_at", "signed_in_at", "idle", "deadline"])
@pytest.mark.parametrize("time", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_none_never_means_for_ever(field: str, time: float) -> None:
    """A deadline that is no number would never come: such a record is corrupt."""
    changes: dict[str, Any] = {field: time}
    for text in (False, True):
        with pytest.raises(CorruptRecord):
            unpack(pack(FULL._replace(**changes), text=text))


def test_the_text_layout_can_be_read_by_eye() -> None:
    """A record in text is one line of named fields, and the data as it is."""
    line, data = pack(FULL._replace(data=b'{"cart":[1]}', codec=2), text=True).decode().split("\n")
    for field in ("session", "epoch=7", "deadline=1800086400.0", "keep=yes", 'user="ann"'):
        assert field in line.split(" ")
    assert data == '{"cart":[1]}'
    (line, nothing) = pack(NAMELESS, text=True).decode().split("\n")
    assert "replaced" in line.split(" ")
    assert "user=none" in line.split(" ")
    assert nothing == ""


def test_the_sliding_deadline_is_no_part_of_the_payload() -> None:
    """Two moments of one session have one payload: a touch need not rewrite it."""
    assert "expires_at" not in Record._fields
