"""Regenerate `openapi/immich_py_client/` from `openapi/immich.yaml`.

`python openapi/generate.py` replaces the committed package; with `--check` it changes nothing and exits 1 where
a regeneration would change a file. Needs `openapi-python-client` and `ruff` beside the running Python (both come
with the extra `dev`, pinned, because another version writes other code).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "immich_py_client"


def generate(into: Path) -> None:
    """Write a fresh package into the folder `into`, which must not exist."""
    tools = Path(sys.executable).parent
    command = [
        str(tools / "openapi-python-client"),
        "generate",
        "--path",
        str(HERE / "immich.yaml"),
        "--config",
        str(HERE / "config.yaml"),
        "--meta",
        "none",
        "--fail-on-warning",
        "--output-path",
        str(into),
    ]
    # The generator's hooks call `ruff` by name.
    path = os.pathsep.join([str(tools), os.environ.get("PATH", "")])
    subprocess.run(  # noqa: S603
        command, check=True, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL
    )
    for cache in into.rglob(".ruff_cache"):
        shutil.rmtree(cache)


def contents(package: Path) -> dict[str, bytes]:
    """Every file of the package by its relative path, without what running it leaves behind."""
    return {
        file.relative_to(package).as_posix(): file.read_bytes()
        for file in sorted(package.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether something would change")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / PACKAGE.name
        generate(fresh)
        new, old = contents(fresh), contents(PACKAGE)
        changed = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
        if not changed:
            return 0
        if check:
            sys.stderr.write(f"openapi/{PACKAGE.name} is not what `make client` makes of immich.yaml:" + "\n")
            sys.stderr.write("\n".join(f"  {name}" for name in changed) + "\n")
            return 1
        shutil.rmtree(PACKAGE, ignore_errors=True)
        for name, content in new.items():
            target = PACKAGE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        sys.stdout.write(f"{len(changed)} files of openapi/{PACKAGE.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
