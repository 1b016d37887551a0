"""Build the wheel, install it into an empty environment, and see that it is whole.

There it must import without any framework, then with the extras, have its four packages typed, and
carry nothing but them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("coatcheck", "coatcheck_asgi", "coatcheck_flask", "coatcheck_wsgi")
WITHOUT_EXTRAS = ("coatcheck", "coatcheck_wsgi")
ALLOWED = {"coatcheck", "cryptography", "ormsgpack", "asgiref", "cffi", "pycparser"}
"""What may be loaded with the core: what it depends on, and what that depends on."""


def run(*command: str | Path) -> str:
    """Run a command and return what it prints; its errors pass through."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.stdout


def main() -> None:
    """Check the wheel; exits with a message where something is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
        run(*pip, "wheel", "--no-deps", "--wheel-dir", place, ROOT)
        (wheel,) = place.glob("coatcheck-*.whl")
        check_contents(wheel)

        run(sys.executable, "-m", "venv", place / "empty")
        python = place / "empty" / "bin" / "python"
        install = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        imported = ROOT / ".ci" / "imported.py"

        run(*install, wheel)
        surplus = set(run(python, "-I", imported, *WITHOUT_EXTRAS).split()) - ALLOWED
        if surplus:
            sys.exit(f"importing {WITHOUT_EXTRAS} also loads {sorted(surplus)}")

        run(*install, f"{wheel}[flask,asgi]")
        run(python, "-I", imported, *PACKAGES)
        print(f"{wheel.name}: imports in an empty environment, and with its extras")


def check_contents(wheel: Path) -> None:
    """See that the wheel has all packages, typed, and nothing beside them."""
    names = zipfile.ZipFile(wheel).namelist()
    missing = [f"{name}/py.typed" for name in PACKAGES if f"{name}/py.typed" not in names]
    if missing:
        sys.exit(f"{wheel.name} lacks {missing}")
    tops = {name.partition("/")[0] for name in names}
    surplus = {top for top in tops - set(PACKAGES) if not top.endswith(".dist-info")}
    if surplus:
        sys.exit(f"{wheel.name} also installs {sorted(surplus)}")
    modules = {
        path.relative_to(root).as_posix()
        for root in (ROOT / "src", ROOT / "adapters")
        for path in root.rglob("*.py")
    }
    if modules - set(names):
        sys.exit(f"{wheel.name} lacks {sorted(modules - set(names))}")


if __name__ == "__main__":
    main()
