"""How what strangers send may get through: the quick form of the fuzz plan must notice."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_IDS, _COOKIES = "src/coatcheck/ids.py", "src/coatcheck/cookies.py"


def _target(name: str) -> tuple[str, ...]:
    return (f"tests/fuzz/test_fuzz.py::test_a_target_holds[{name}]",)


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "fuzz: the last byte of a signature does not count",
        _IDS,
        "compare_digest(key.mac(signed), mac)",
        "compare_digest(key.mac(signed)[:-1], mac[:-1])",
        _target("id-edits"),
    ),
    Mutation(
        "fuzz: a namespace is no part of a signature",
        _IDS,
        "_PURPOSE + bytes([len(space)]) + space + head",
        "_PURPOSE + head",
        _target("namespaces"),
    ),
    Mutation(
        "fuzz: more than space and tab is trimmed",
        _COOKIES,
        '_BLANKS: Final = " \\t"',
        '_BLANKS: Final = " \\t\\x1c\\x85"',
        _target("cookie-grammar"),
    ),
    Mutation(
        "fuzz: a path may end an attribute",
        _COOKIES,
        '_PATH: Final = re.compile(r"/[!#-+\\--:<-\\[\\]-~]*")',
        '_PATH: Final = re.compile(r"/[!#-+\\--~]*")',
        _target("set-cookie"),
    ),
    Mutation(
        "fuzz: a record without a right checksum",
        "src/coatcheck/layout.py",
        "payload[:2] != _MAGIC or crc32(payload) != _RESIDUE or",
        "payload[:2] != _MAGIC or",
        _target("unpack"),
    ),
    Mutation(
        "fuzz: a namespace with a pattern in it",
        "src/coatcheck/checks.py",
        '_NAMESPACE: Final = re.compile(r"[A-Za-z0-9:_.-]{1,64}")',
        '_NAMESPACE: Final = re.compile(r"[A-Za-z0-9:_.*-]{1,64}")',
        _target("names"),
    ),
    Mutation(
        "fuzz: a nonce that is always the same",
        "src/coatcheck/aead.py",
        "nonce = token_bytes(NONCE_SIZE)",
        "nonce = bytes(NONCE_SIZE)",
        _target("nonces"),
    ),
    Mutation(
        "fuzz: a record keeps the secret itself",
        _IDS,
        "    return hashlib.sha256(secret).digest()",
        '    return secret.ljust(32, b"\\0")',
        ("tests/security/test_leaks.py::test_sec_84_every_test_is_looked_after",),
    ),
)
