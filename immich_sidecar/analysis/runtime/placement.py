"""Which devices there are, and which model computes on which of them."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.model import CPU, Device
from immich_sidecar.analysis.runtime.memory import SHARE, Memory


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether this machine seems to have a GPU that models can compute on; looks at a few files and loads nothing.

    NVIDIA's driver, AMD's compute driver or Apple silicon. Intel's are only used where `SIDECAR_DEVICE=xpu` says so:
    nearly every processor of theirs has a small one, which is slower than the processor itself.
    """
    if sys.platform == "darwin":
        import platform

        return platform.machine() == "arm64"
    with suppress(OSError):
        if any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev/dxg").exists():
            return True
        # The file is there with any AMD driver; a GPU that computes has a node with compute units of its own.
        for properties in (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"):
            if any(line.startswith("simd_count ") and line.split()[1] != "0" for line in _lines(properties)):
                return (root / "dev/kfd").exists()
    return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def find_devices(wanted: str, ids: Sequence[int] = ()) -> tuple[tuple[Device, ...], str | None]:
    """The devices to compute on, asked of torch.

    Parameters
    ----------
    wanted
        `SIDECAR_DEVICE`: `auto`, `cuda`, `rocm`, `mps`, `xpu` or `cpu`.
    ids
        `SIDECAR_DEVICE_IDS`; none: the first.

    Returns
    -------
    tuple
        The devices, at least one, and what is wrong where they are not what was wanted.
    """
    # torch takes seconds to load; where nothing points to a GPU it is not asked.
    if wanted == "cpu" or (wanted == "auto" and not has_gpu()):
        return (CPU,), None
    counts: dict[str, int] = {}
    try:
        counts = _counted()
    except ImportError:
        if wanted == "auto":
            return (CPU,), None
        return (CPU,), f"SIDECAR_DEVICE={wanted}: torch is not installed; install immich-sidecar[ai]"
    return choose_devices(wanted, ids, counts)


def _counted() -> dict[str, int]:
    import torch

    counts: dict[str, int] = {}
    with suppress(Exception):  # a driver that does not answer is a device that is not there
        if torch.cuda.is_available():
            counts["rocm" if getattr(torch.version, "hip", None) else "cuda"] = int(torch.cuda.device_count())
    with suppress(Exception):
        if torch.backends.mps.is_available():
            counts["mps"] = 1
    with suppress(Exception):
        if torch.xpu.is_available():
            counts["xpu"] = int(torch.xpu.device_count())
    return counts


def choose_devices(wanted: str, ids: Sequence[int], counts: Mapping[str, int]) -> tuple[tuple[Device, ...], str | None]:
    """Choose among devices, given how many there are of each kind; see `find_devices`."""
    best = next((kind for kind in ("cuda", "rocm", "mps") if counts.get(kind)), "cpu")
    kind = best if wanted == "auto" else wanted
    if kind == "cpu":
        return (CPU,), None
    count = counts.get(kind, 0)
    if not count:
        return (CPU,), f"SIDECAR_DEVICE={kind}: no such device is found; models compute on the processor"
    present = [index for index in dict.fromkeys(ids) if 0 <= index < count]
    absent = [str(index) for index in dict.fromkeys(ids) if not 0 <= index < count]
    problem = None
    if absent:
        problem = f"SIDECAR_DEVICE_IDS: there is no device {', '.join(absent)}; there are {count}, counted from 0"
    return tuple(Device(kind, index) for index in present or [0]), problem


def spread(
    needs: Mapping[Job, Callable[[Device], int]],
    devices: Sequence[Device],
    memory: Mapping[Device, Memory],
    *,
    anywhere: Collection[Job] = (),
) -> dict[Job, tuple[Device, ...]]:
    """Decide where each model computes.

    One device takes all that fits. Of several, each takes every model where all of them fit together, so that photos
    are shared out among devices; else the largest model goes first, to where most is free. What fits nowhere computes
    on the processor.

    Parameters
    ----------
    needs
        Bytes that each model takes on a device, for one photo.
    devices
        What there is, at least one.
    memory
        The memory of each.
    anywhere
        Jobs that take no memory of ours (they run on another server): always on the processor.
    """
    places: dict[Job, tuple[Device, ...]] = {job: (CPU,) for job in needs if job in anywhere}
    left = {job: need for job, need in needs.items() if job not in anywhere}
    gpus = [device for device in devices if not device.is_cpu]
    if not gpus:
        return places | dict.fromkeys(left, (CPU,))
    free = {device: SHARE * memory[device].free for device in gpus}
    if all(sum(need(device) for need in left.values()) <= free[device] for device in gpus):
        return places | {job: tuple(gpus) for job in left}
    for job, need in sorted(left.items(), key=lambda item: item[1](gpus[0]), reverse=True):
        device = max(gpus, key=lambda one: free[one])
        if need(device) <= free[device]:
            places[job] = (device,)
            free[device] -= need(device)
        else:
            places[job] = (CPU,)
    return places
