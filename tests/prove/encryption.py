"""How encryption at rest may be none: what is not bound, not random, or not the client's."""

from __future__ import annotations

from tests.prove.mutation import Mutation

_AEAD, _SEALER = "src/coatcheck/aead.py", "src/coatcheck/sealer.py"
_RUNTIME = "src/coatcheck/runtime.py"
_TESTS = "tests/security/test_encryption"
_ADMIN = "test_an_administrator_sees_and_ends_what_is_sealed_and_no_data"
_TOLD = "test_a_race_of_two_saves_is_told_where_the_record_does_not_open"
_STOLEN = (
    f"{_TESTS}_theft.py::test_sec_17_a_stolen_store_and_the_secret_open_nothing_that_is_sealed",
)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "encryption: a record is not bound to its handle",
        _SEALER,
        "return self._namespace + bytes.fromhex(identity[0])",
        "return self._namespace",
        (f"{_TESTS}.py::test_sec_17_a_handle_is_bound",),
    ),
    Mutation(
        "encryption: a record is not bound to its namespace",
        _SEALER,
        'self._namespace = bytes((len(namespace),)) + namespace.encode("ascii")',
        'self._namespace = b""',
        (f"{_TESTS}.py::test_sec_17_a_namespace_is_bound",),
    ),
    Mutation(
        "encryption: one nonce for all",
        _AEAD,
        "nonce = token_bytes(NONCE_SIZE)\n",
        "nonce = bytes(NONCE_SIZE)\n",
        (f"{_TESTS}.py::test_sec_18_no_nonce_comes_twice",),
    ),
    Mutation(
        "encryption: one key for all sessions",
        _AEAD,
        "self._aes(self._derive[header](context))",
        'self._aes(self._derive[header](b""))',
        (f"{_TESTS}.py::test_sec_18_a_constant_nonce_meets_no_key_twice",),
    ),
    Mutation(
        "encryption: nothing binds data to what stands beside it",
        _AEAD,
        "header + associated)))",
        "header)))",
        (f"{_TESTS}_in_use.py::test_sec_10_an_old_secret_decrypts_and_the_new_one_encrypts",),
    ),
    Mutation(
        "encryption: plain data is taken where it is encrypted",
        _SEALER,
        '            raise Undecipherable("the data is not encrypted")\n',
        "            return record._replace(sealing=self.fresh(identity))\n",
        (f"{_TESTS}.py::test_sec_09_plain_data_is_none_where_it_is_encrypted",),
    ),
    Mutation(
        "encryption: what has no key is written plain",
        _SEALER,
        "            raise SessionSealed\n",
        "            pass\n",
        (f"{_TESTS}_in_use.py::{_ADMIN}",),
    ),
    Mutation(
        "encryption: a wrapped key is not the client's",
        _SEALER,
        "pad.update(place + secret)",
        "pad.update(place)",
        _STOLEN,
    ),
    Mutation(
        "encryption: a data key is stored as it is",
        _SEALER,
        "^ int.from_bytes(pad.digest())",
        "^ 0",
        _STOLEN,
    ),
    Mutation(
        "encryption: a sealed key is the server's as much as the client's",
        _SEALER,
        "data_key = token_bytes(DATA_KEY_SIZE)",
        "data_key = bytes(DATA_KEY_SIZE)",
        (f"{_TESTS}_theft.py::test_a_data_key_is_random",),
    ),
    Mutation(
        "encryption: data keeps its length",
        _AEAD,
        "size + block - size % block",
        "size + 1",
        (f"{_TESTS}_theft.py::test_lengths_say_how_many_blocks_and_no_more",),
    ),
    Mutation(
        "encryption: weak secrets are good enough",
        _RUNTIME,
        '"encrypt" if config.encrypt else None',
        "None",
        (f"{_TESTS}_theft.py::test_sec_12_encryption_refuses_weak_secrets",),
    ),
    Mutation(
        "encryption: what does not encrypt starts",
        _AEAD,
        "    except (ImportError, UnsupportedAlgorithm) as error:\n",
        "    except UnsupportedAlgorithm as error:\n",
        (f"{_TESTS}_theft.py::test_sec_19_what_cannot_encrypt_does_not_start",),
    ),
    Mutation(
        "encryption: regenerate keeps the key",
        "src/coatcheck/lifecycle/succession.py",
        "                sealing=self.sealing,\n",
        "",
        (f"{_TESTS}_in_use.py::test_copies_open_where_they_are_copied_to",),
    ),
    Mutation(
        "encryption: a save merges what does not open",
        "src/coatcheck/runtime.py",
        "return self.opened(content, identity, known) if isinstance(content, Record) else content",
        "return content",
        (f"{_TESTS}_in_use.py::{_TOLD}",),
    ),
)
