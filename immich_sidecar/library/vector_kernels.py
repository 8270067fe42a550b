"""The compiled inner loop of searching vectors. Importing this module imports numba: import it where it is needed."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled


@compiled
def likenesses(rows: Any, query: Any, scales: Any, alive: Any, out: Any) -> None:
    """Write how like each row is to the query into `out` (n,) float32; minus infinity where it is not alive.

    `rows` is (n, dim) int8 and `query` (dim,) int8: products of those add up in 32 bits up to 133,000 numbers, and a
    compiler makes them multiply-and-add instructions. `scales` (n,) float32 takes a sum back to a cosine.
    """
    for i in range(rows.shape[0]):
        total = np.int32(0)
        for j in range(rows.shape[1]):
            total += np.int32(rows[i, j]) * np.int32(query[j])
        out[i] = np.float32(total) * scales[i] if alive[i] else -np.inf
