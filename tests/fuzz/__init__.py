"""The fuzz and property plan: `python -m tests.fuzz`, and its quick form in `test_fuzz`.

Each module is one part of the system under attack, and defines its `Target`s; `table` has them all,
`run` drives one, `__main__` shares the time out among them, and `guided` hands those that take bare
bytes to a coverage-guided fuzzer.
"""
