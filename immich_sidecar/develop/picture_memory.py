"""Memory for whole pictures that is used again for the next one.

An operating system clears the memory that it hands out, page by page; for the pictures of one photo of 24 megapixels
that takes as long as levelling it. So a worker keeps the memory of two pictures, and between photos tells the system
that it may have it back whenever it is short of memory (MADV_FREE): then alone it is cleared again. Before work that
takes several times as long as clearing and needs memory of its own, it is given back at once.
"""

import mmap
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes of a picture from which on, and up to which, memory is kept; and of how many pictures.
LEAST, MOST, _COUNT = 8_000_000, 100_000_000, 2


def _references(kept: Sequence[object], place: int) -> int:
    """How many references there are to one of some objects, with those that looking at it takes."""
    return sys.getrefcount(kept[place])


#: References to what nobody but the list of what is kept refers to.
_UNUSED = _references([object()], 0)

_kept: list[mmap.mmap] = []
_lock = threading.Lock()


def picture(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array that holds anything, as that of `numpy.empty`; its memory is used again once no array refers to it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not LEAST <= size <= MOST or not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(shape, dtype)
    with _lock:
        memory = _free(size)
        if memory is None:
            return np.empty(shape, dtype)
        # From here on the array refers to it.
        array: NDArray[Any] = np.frombuffer(memory, np.uint8, size).view(dtype).reshape(shape)
        return array


def rest() -> None:
    """Let the system have the memory that is in no use, if it needs some."""
    if not hasattr(mmap, "MADV_FREE"):
        return
    with _lock:
        for place in range(len(_kept)):
            if _references(_kept, place) == _UNUSED:
                _kept[place].madvise(mmap.MADV_FREE)


def release() -> None:
    """Give back the memory that is in no use, where what comes needs much of its own."""
    with _lock:
        for place in reversed(range(len(_kept))):
            if _references(_kept, place) == _UNUSED:
                del _kept[place]


def _free(size: int) -> mmap.mmap | None:
    """Memory of at least that size that is in no use; None where there is as much in use as is kept."""
    unused = [place for place in range(len(_kept)) if _references(_kept, place) == _UNUSED]
    for place in unused:
        if len(_kept[place]) >= size:
            return _kept[place]
    if unused:
        del _kept[unused[0]]
    elif len(_kept) >= _COUNT:
        return None
    fresh = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        fresh.madvise(mmap.MADV_HUGEPAGE)
    _kept.append(fresh)
    return fresh
