"""What is kept of compiled functions is used as long as their code is the same, and not a change longer."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

from immich_sidecar.develop import (
    block_dct,
    demosaic,
    engine,
    kernels,
    local_kernels,
    look_kernels,
    saturation_kernels,
    sharpen_kernels,
    straightening,
)
from immich_sidecar.develop.compiled import features_for

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


@pytest.mark.parametrize(
    ("processor", "features", "told"),
    [
        ("sapphirerapids", "+avx2,+avx512f", "+avx2,+avx512f,-prefer-256-bit"),
        ("sapphirerapids", "+avx2,-avx512f", None),
        ("skylake-avx512", "+avx2,+avx512f", None),
    ],
)
def test_long_vectors_are_taken_where_they_do_not_slow_down_the_clock(
    processor: str, features: str, told: str | None
) -> None:
    assert features_for(processor, features) == told


#: Modules with loops that do not count who holds an array.
LOOPS = (
    *(block_dct, demosaic, kernels, local_kernels, look_kernels, saturation_kernels, sharpen_kernels),
    straightening,
)


@pytest.mark.parametrize("module", LOOPS)
def test_no_loop_returns_an_array_whose_holders_it_did_not_count(module: ModuleType) -> None:
    engine.warm()
    loops: dict[str, Any] = {
        name: value for name, value in vars(module).items() if not getattr(value, "targetoptions", {}).get("_nrt", True)
    }
    returned = [(name, made.signature.return_type) for name, loop in loops.items() for made in loop.overloads.values()]
    assert loops
    assert not [(name, kind) for name, kind in returned if _holds_array(kind)]


def _holds_array(kind: Any) -> bool:
    parts = kind if isinstance(kind, numba.types.BaseTuple) else [kind]
    return any(isinstance(part, numba.types.Array) for part in parts)
