"""Torture: many processes on a few hundred shared sessions, checked by a model afterwards.

`python -m tests.torture --help` says how; `docs/explanation/torture.md` says what came of it.
"""
