"""Coverage-guided fuzzing with Atheris: `python -m tests.fuzz.guided TARGET CORPUS [OPTION...]`.

A process of its own for each target, because libFuzzer never returns. The corpus begins with inputs
that the target makes itself; options are libFuzzer's (`-max_total_time=60`).
"""

from __future__ import annotations

import hashlib
import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path
from random import Random  # noqa: TID251 - a seeded source of nonsense, not of secrets
from typing import Any

SEEDS = 300


def main(name: str, corpus: Path, options: list[str]) -> None:
    """Fuzz one target until libFuzzer has enough."""
    atheris: Any = import_module("atheris")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["coatcheck"]):
        from tests.fuzz.table import NAMED
    target = NAMED[name]
    if target.build is None or not target.guided:
        raise SystemExit(f"{name} is no target for a guided fuzzer")
    make, check = target.build()
    dice = Random(1)
    corpus.mkdir(parents=True, exist_ok=True)
    for _ in range(SEEDS):
        data = make(dice)
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    atheris.Setup([sys.argv[0], *options, str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
