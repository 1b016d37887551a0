"""Prints the statements that make the tables of a SQL store, for a database that is named by URL.

python -m coatcheck.store.sql postgresql:// [--prefix coatcheck_] [--schema NAME]

Nothing is connected: what the database is called, and where it is, makes no difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from coatcheck.errors import ConfigurationError
from coatcheck.store.sql import drivers
from coatcheck.store.sql.tables import PREFIX, Tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the statements; return the status to exit with."""
    parser = argparse.ArgumentParser(
        prog="python -m coatcheck.store.sql",
        description="Print the statements that make the tables of a SQL store.",
    )
    parser.add_argument("url", help="postgresql://, mysql://, mariadb:// or sqlite:///x.db")
    parser.add_argument("--prefix", default=PREFIX, help="how the names of the tables begin")
    parser.add_argument("--schema", default=None, help="the schema that they are to be in")
    given = parser.parse_args(arguments)
    try:
        url = drivers.parse(given.url, is_async=False)
        statements = Tables(given.prefix, given.schema).migration(url.get_dialect()())
    except (ConfigurationError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{statement};\n" for statement in statements))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
