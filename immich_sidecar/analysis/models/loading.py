"""What reading weights has in common: which file, what can go wrong, and letting go of them again."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.models.model import Device, ModelFiles
from immich_sidecar.errors import ModelError, ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError

if TYPE_CHECKING:
    import torch

#: Bytes of the longest header that a safetensors file is believed to have; the format allows no more.
_MOST_HEADER = 100_000_000


def weights_file(files: ModelFiles, part: str, usual: str) -> Path:
    """The file of one part of a model: as its entry names it, else `usual` in its folder.

    Raises
    ------
    WeightsMissingError
        If it is not there.
    """
    path = files.files.get(part, files.folder / usual)
    if not path.is_file():
        raise WeightsMissingError(
            f"{files.name}: {path.name} is not in {path.parent}; run `immich-sidecar models download {files.name}`"
        )
    return path


@contextmanager
def reading_weights(files: ModelFiles) -> Iterator[None]:
    """Say in our words what libraries raise while they read weights; out-of-memory errors pass unchanged.

    Raises
    ------
    ModelsNotInstalledError
        For a library that is missing.
    WeightsDamagedError
        For everything else that is no `ModelError` yet.
    """
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelsNotInstalledError(
            f"{files.name} needs {error.name or error}, which is not installed; install `immich-sidecar[ai]`"
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise WeightsDamagedError(
            f"{files.name}: its weights in {files.folder} cannot be read ({_in_short(error)}); run "
            f"`immich-sidecar models verify {files.name}`, then download them again"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out: Python's own, torch's of any device, or OpenCV's."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    # What torch raises on the processor, and what some back ends raise, is known by its words alone.
    words = str(error).lower()
    return any(sign in words for sign in ("can't allocate memory", "out of memory", "insufficient memory"))


def parameters_in(path: Path) -> int:
    """How many numbers a safetensors file holds, by its header; 0 where that cannot be read.

    The format: eight bytes for the length of the header, then the header as JSON (safetensors, "Format").
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length < _MOST_HEADER else {}
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def bytes_each(device: Device) -> int:
    """Bytes of a number on a device: single precision on the processor, half elsewhere."""
    return 4 if device.is_cpu else 2


def on_device(array: NDArray[Any], device: Device) -> "torch.Tensor":
    """An array as a tensor on a device; through pinned memory where that lets the copy run beside other work."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.kind in {"cuda", "rocm"}:
        tensor = tensor.pin_memory()
    return tensor.to(device.torch_name, non_blocking=True)


def give_memory_back(device: Device | None) -> None:
    """Let torch return to a GPU what it keeps for later."""
    import gc

    import torch

    gc.collect()
    if device is None or device.is_cpu:
        return
    back_end = getattr(torch, "cuda" if device.kind in {"cuda", "rocm"} else device.kind, None)
    if back_end is not None and hasattr(back_end, "empty_cache"):
        back_end.empty_cache()


def _in_short(error: Exception) -> str:
    """The first line of an error's words."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
