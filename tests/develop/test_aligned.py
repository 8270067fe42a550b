"""Memory begins at a cache line, whatever was asked for before."""

import numpy as np
import pytest

from immich_sidecar.develop import aligned


@pytest.mark.parametrize("count", [1, 5, 16, 1000, 300_000])
def test_memory_begins_at_a_cache_line(count) -> None:
    kept = [aligned.zeros(count) for _ in range(8)]
    assert all(each.ctypes.data % 64 == 0 for each in kept)
    assert all(each.shape == (count,) and each.dtype == np.float32 and not each.any() for each in kept)
    for number, each in enumerate(kept):
        each[:] = number
    assert [set(each.tolist()) for each in kept] == [{float(number)} for number in range(8)]
