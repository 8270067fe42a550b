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

import llvmlite.binding
import numba

#: Processors that do not slow down for vectors of 512 bits, though LLVM keeps to 256 for them, as for those before that
#: did: a tenth less time for colour, turning and sharpening (measured with the first two).
_WIDE = ("sapphirerapids", "emeraldrapids", "graniterapids")
#: A product and a sum may be rounded once, by one instruction, in place of twice.
_FREEDOM = {"contract"}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def features_for(processor: str, features: str) -> str | None:
    """What LLVM is to be told of a processor in place of its `features`; None where nothing."""
    return f"{features},-prefer-256-bit" if processor in _WIDE and "+avx512f" in features.split(",") else None


# Its names are not known to type checkers. What NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say goes before.
_config: Any = numba.config
if _config.CPU_NAME is None and _config.CPU_FEATURES is None and _config.ENABLE_AVX:
    _config.CPU_FEATURES = features_for(
        llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    )


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call."""
    return _compiled(function, freedom=_FREEDOM)


def compiled_loop(function: _Function) -> _Function:
    """As `compiled`, for a function that neither makes arrays nor returns any: it does not count who holds an array.

    For short loops, that counting would take as long as what they do.
    """
    return _compiled(function, freedom=_FREEDOM, counting=False)


def compiled_exactly(function: _Function, *, freedom: "set[str] | bool" = False) -> _Function:
    """Compile a function at its first call, with every operation rounded on its own unless `freedom` says otherwise."""
    return _compiled(function, freedom=freedom)


def compiled_loop_exactly(function: _Function) -> _Function:
    """As `compiled_exactly`, for what `compiled_loop` is for."""
    return _compiled(function, freedom=False, counting=False)


def _compiled(function: _Function, *, freedom: "set[str] | bool", counting: bool = True) -> _Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": freedom, "_nrt": counting}
    try:
        made: Any = numba.njit(cache=True, **options)(function)
        # Has no name of its own in numba; a test tells when it moves.
        made._cache._cache_file._source_stamp = stamp(Path(function.__code__.co_filename).parent)
    except RuntimeError:
        # No folder for the cache can be written.
        made = numba.njit(**options)(function)
    return cast(_Function, made)


@cache
def stamp(folder: Path) -> str:
    """SHA-256 over the Python files of a folder; hexadecimal."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
