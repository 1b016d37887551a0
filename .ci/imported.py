"""What importing a package brings with it: `python -I .ci/imported.py coatcheck [more ...]`.

Prints the public top-level modules outside the standard library that are loaded after the imports,
one a line. Runs in an interpreter of its own, for what was loaded before cannot be told apart.
"""

from __future__ import annotations

import importlib
import sys


def main(packages: list[str]) -> None:
    """Import the packages and print what else is there then."""
    before = set(sys.modules)
    for package in packages:
        importlib.import_module(package)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    foreign = loaded - sys.stdlib_module_names - set(packages)
    # Extension modules and generated ones, which come with the packages that they belong to.
    print("\n".join(sorted(name for name in foreign if not name.startswith("_"))))


if __name__ == "__main__":
    main(sys.argv[1:])
