"""How much memory there is, how much of it a batch may take, and how libraries say that it is not enough."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from immich_sidecar.analysis.models.model import CPU, Device

#: Part of the free memory of a device that one batch may be expected to take; estimates are estimates.
SHARE = 0.8
#: Below this part of its memory a device is short, and idle models give theirs back.
SHORT = 0.06
#: The largest batches, by what computes: processors gain little from more, and pay with memory.
LARGEST_ON_CPU = 4
LARGEST_ON_GPU = 32

_TOO_LITTLE = re.compile(
    r"out of memory|can't allocate memory|not enough memory|insufficient memory|CUBLAS_STATUS_ALLOC_FAILED|"
    r"hipErrorOutOfMemory|OUT_OF_DEVICE_MEMORY",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Memory:
    """The memory of a device, in bytes."""

    total: int
    #: What can be taken without anybody having to give something back.
    free: int

    @property
    def is_short(self) -> bool:
        """Whether so little is free that idle models should go."""
        return self.free < SHORT * self.total


def measure(device: Device = CPU, *, cgroup: Path = Path("/sys/fs/cgroup")) -> Memory:
    """The memory of a device now; for processors, within the limit that a container has.

    A device that tells nothing counts as having a gigabyte of which all is free: batches stay small.
    """
    if device.is_cpu:
        return _of_machine(cgroup)
    with suppress(Exception):  # whatever a driver says instead of a number
        import torch

        if device.kind == "mps":
            total = int(torch.mps.recommended_max_memory())
            return Memory(total, max(0, total - int(torch.mps.driver_allocated_memory())))
        backend = torch.xpu if device.kind == "xpu" else torch.cuda
        free, total = backend.mem_get_info(device.index)
        # What torch holds and does not use is free to us.
        held = backend.memory_reserved(device.index) - backend.memory_allocated(device.index)
        return Memory(int(total), int(free) + int(held))
    return Memory(1 << 30, 1 << 30)


def _of_machine(cgroup: Path) -> Memory:
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    # Of version 2, where limit and use lie beside each other; without it, or without a limit, the machine is it.
    with suppress(OSError, ValueError):
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        for line in (cgroup / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                # Files that are only cached are let go of when memory is asked for.
                used -= int(line.split()[1])
        total, free = min(total, limit), min(free, max(0, limit - used))
    return Memory(total, free)


def batch_size(needed: Callable[[int], int], free: int, largest: int, *, is_loaded: bool) -> int:
    """How many photos at a time fit into memory.

    Parameters
    ----------
    needed
        Bytes that a batch of that size takes, weights included (`Model.memory`); grows with the size.
    free
        Bytes that can be taken now.
    largest
        The most that is wanted, at least 1.
    is_loaded
        Whether the weights are in memory already, and so no longer in `free`.

    Returns
    -------
    int
        A power of two up to `largest`, or `largest` itself; 0 where not even one photo fits.
    """
    one = needed(1)
    weights = max(0, 2 * one - needed(2)) if is_loaded else 0
    allowed = SHARE * free
    size = largest
    while size and needed(size) - weights > allowed:
        size = 0 if size == 1 else 1 << (size - 1).bit_length() - 1
    return size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, whichever library says it."""
    if isinstance(error, MemoryError):
        return True
    # torch's own classes derive from RuntimeError, OpenCV's from Exception.
    return type(error).__name__ in {"OutOfMemoryError", "error", "RuntimeError", "AcceleratorError"} and bool(
        _TOO_LITTLE.search(str(error))
    )


def release(device: Device) -> None:
    """Have torch give back to the device what it holds and does not use."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None or device.is_cpu:
        return
    with suppress(Exception):  # a device that is gone has nothing to give back
        backend = {"mps": "mps", "xpu": "xpu"}.get(device.kind, "cuda")
        getattr(torch, backend).empty_cache()
