"""What is kept of compiled functions is used as long as their code is the same, and not a change longer."""

import os
import subprocess
import sys
from pathlib import Path

INNER = "from immich_sidecar.develop.compiled import compiled\n@compiled\ndef inner(x):\n    return x + {}\n"
OUTER = """\
from immich_sidecar.develop.compiled import compiled
from inner import inner
@compiled
def outer(x):
    return inner(x) * 10
print(outer(1), sum(outer.stats.cache_hits.values()))
"""


def _run(folder: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "kept")}
    command = [sys.executable, "-c", "import outer"]
    paths = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    done = subprocess.run(
        command, env=environment | {"PYTHONPATH": paths}, cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_change_in_what_is_called_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(INNER.format(1))
    (tmp_path / "outer.py").write_text(OUTER)
    times = [(tmp_path / name).stat() for name in ("inner.py", "outer.py")]
    assert _run(tmp_path) == "20 0"
    assert _run(tmp_path) == "20 1", "kept"
    # As in a wheel: another text of the same size and with the same time.
    (tmp_path / "inner.py").write_text(INNER.format(2))
    os.utime(tmp_path / "inner.py", ns=(times[0].st_atime_ns, times[0].st_mtime_ns))
    assert _run(tmp_path) == "30 0"
