"""Functions compiled by numba, kept in its cache where one can be written.

The cache lies where NUMBA_CACHE_DIR says, else beside the file of the function, else in the user's cache folder;
with none of them writable functions are compiled anew in each process.

numba takes what it has kept for fresh as long as the function's own file has the same time and size. That misses a
change in a file whose functions or constants are used, and any change in a wheel, whose files all have one time. So
what is kept is held to the text of the whole folder instead.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

#: A product and a sum may be rounded once, by one instruction, in place of twice.
_FREEDOM = {"contract"}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call."""
    return compiled_exactly(function, freedom=_FREEDOM)


def compiled_exactly(function: _Function, *, freedom: "set[str] | bool" = False) -> _Function:
    """Compile a function at its first call, with every operation rounded on its own unless `freedom` says otherwise."""
    try:
        made: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=freedom)(function)
        # Has no name of its own in numba; a test tells when it moves.
        made._cache._cache_file._source_stamp = stamp(Path(function.__code__.co_filename).parent)
    except RuntimeError:
        # No folder for the cache can be written.
        made = numba.njit(nogil=True, error_model="numpy", fastmath=freedom)(function)
    return cast(_Function, made)


@cache
def stamp(folder: Path) -> str:
    """SHA-256 over the Python files of a folder; hexadecimal."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
