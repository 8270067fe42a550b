"""Memory that compiled loops work in, from the start of a cache line on.

A vector of 512 bits is as long as a cache line: where memory begins within one, each vector lies in two, and takes
twice as long to read or write.
"""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled

#: Bytes of a cache line.
_LINE = 64


@compiled
def zeros(count: int) -> Any:
    """So many `float32`, all of them 0; ask for `view(np.int32)` where whole numbers are wanted."""
    whole = np.zeros(count + _LINE // 4, np.float32)
    first = -whole.ctypes.data % _LINE // 4
    return whole[first : first + count]
