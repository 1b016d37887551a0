"""The demo: sign in on a Flask page and be signed in on the ASGI page beside it.

    make demo                                      or: python examples/demo
    make demo ARGS="--port 8001"
    make demo-check                                or: python examples/demo --check

Read `flask_side.py` and `asgi_side.py` for how an application uses Coatcheck; `basket.py` for data;
`server.py` for how both come into one process. It needs: pip install -e ".[demo]"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import check
from place import default_folder, open_place
from server import HOST, listen, serve


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description="One session on two frameworks.")
    parser.add_argument("--port", type=int, default=8000, help="8000 unless given; 0: any free one")
    parser.add_argument("--data", type=Path, default=default_folder(), help="the folder for data")
    parser.add_argument("--check", action="store_true", help="try everything without a browser")
    arguments = parser.parse_args()
    if arguments.check:
        return check.main()
    try:
        place = open_place(arguments.data)
    except OSError as error:
        print(f"No place for the data: {error}.\nChoose another: --data FOLDER", file=sys.stderr)
        return 1
    try:
        listener = listen(arguments.port)
    except OSError as error:
        print(
            f"Cannot listen on {HOST}:{arguments.port}: {error.strerror}.\n"
            'Choose another port:  make demo ARGS="--port 8001"',
            file=sys.stderr,
        )
        return 1
    with listener:
        serve(place, listener)
    print("\nStopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
