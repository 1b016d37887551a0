"""Rows 1 and 13: Cookie headers that have no ID of ours in them, but come close."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Final

from coatcheck.ids import ID_LENGTH, IDSigner
from coatcheck.keys import KeyRing
from tests.adapters.site import SECRET

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ODD: Final = "\"\\'%;,= \t\x00\x0b\x1c\x85\xa0\xe9\xff(){}[]<>@:?/"
_NAMES: Final = (
    *("session", "session", "Session", " session", "session ", "\x85session", "\x1csession"),
    *(
        "__Host-session",
        "__host-session",
        "s",
        "",
        "=session",
        "$session",
        "session[]",
        "%73ession",
    ),
)
_JOINTS: Final = ("; ", "; ", "; ", ";", ", ", " ;\t", "&", "\r\n", '"; "')
KNOWN: Final = (
    'session="{id}"',
    '$Version=1; session="{id}; secret=1"; $Path=/',
    'a="1; session={id}; b=2"x"',
    "session={id},session={id}",
    "=session={id}",
    "\x85session={id}; session={id}",
    "session={id}\\",
    'session="\\073\\054{id}"',
    "session=%7B{id}",
    "session={id}\x00",
    "session\x00={id}",
    "session ={id}=",
    "session={id} {id}",
    "\xe2\x80\x80session={id}",
    "session=\xef\xbb\xbf{id}",
    "session==?utf-8?q?{id}?=",
    "session=" + '"' + "\\" * 3000,
    "a=b; " * 1000 + "session={id}",
)
"""What has misled other parsers: CVE-2023-23934, CVE-2024-7592, the cookie sandwich, and kin."""


@cache
def near_misses() -> tuple[str, ...]:
    """Return texts that were signed with another secret or namespace, or edited since."""
    dice = Random(20_261_121)
    ours = IDSigner(KeyRing(SECRET), "coatcheck")
    strangers = (
        IDSigner(KeyRing(SECRET), "another-namespace"),
        IDSigner(KeyRing("n0t-0ur-s3cr3t-Hq7vX2mZ9pL4wT8yB3nD6fH1"), "coatcheck"),
    )
    texts = [one.sign(one.mint()) for one in strangers for _ in range(20)]
    for _ in range(40):
        # Three characters, lest one more edit made an ID that was issued.
        text = ours.sign(ours.mint())
        for place in dice.sample(range(ID_LENGTH), 3):
            new = dice.choice(_ALPHABET.replace(text[place], ""))
            text = text[:place] + new + text[place + 1 :]
        texts.append(text)
    return tuple(texts)


def _text(dice: Random, length: int, alphabet: str) -> str:
    return "".join(dice.choices(alphabet, k=length))


def _near(dice: Random) -> str:
    return dice.choice(near_misses())


_VALUES: Final[tuple[Callable[[Random], str], ...]] = (
    _near,
    _near,
    lambda dice: _text(dice, ID_LENGTH, _ALPHABET),
    lambda dice: _text(dice, dice.randrange(200), _ALPHABET),
    lambda dice: _text(dice, dice.randrange(200), _ODD + _ALPHABET),
    lambda dice: f'"{_near(dice)}"',
    lambda dice: _near(dice)[: dice.randrange(ID_LENGTH)],
    lambda dice: _near(dice) + _text(dice, 1, _ODD),
    lambda dice: _near(dice).swapcase(),
    lambda dice: "../" * dice.randrange(30),
    lambda dice: "\\" * dice.randrange(300),
    lambda dice: dice.randbytes(dice.randrange(100)).decode("latin-1"),
)


def header(dice: Random) -> str:
    """Make one Cookie header, as Latin-1 text: grammar, nonsense, or a mixture."""
    if not dice.getrandbits(4):
        return dice.choice(KNOWN).replace("{id}", _near(dice))
    if not dice.getrandbits(4):
        return dice.randbytes(dice.randrange(300)).decode("latin-1")
    pairs = [
        f"{dice.choice(_NAMES)}{dice.choice(('=', '=', '=', ' = ', '', '=='))}"
        f"{dice.choice(_VALUES)(dice)}"
        for _ in range(dice.choice((1, 1, 1, 2, 3, 12)))
    ]
    text = dice.choice(_JOINTS).join(pairs)
    if not dice.getrandbits(2):
        place = dice.randrange(len(text) + 1)
        text = text[:place] + chr(dice.getrandbits(8)) + text[place + dice.getrandbits(1) :]
    return text


def header_bytes(dice: Random) -> bytes:
    """Make one Cookie header as it comes over the wire."""
    return header(dice).encode("latin-1")
