"""What every model has in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from immich_sidecar.analysis.findings import Job

#: What a model is asked about: a `View`, or a view with a prompt.
Given = TypeVar("Given")
#: What it answers.
Found = TypeVar("Found")


@dataclass(frozen=True)
class Device:
    """Where a model computes."""

    #: `cuda`, `rocm`, `mps`, `xpu` or `cpu`.
    kind: str = "cpu"
    #: Number of the device among several of its kind.
    index: int = 0

    @property
    def torch_name(self) -> str:
        """The name that torch has for it; to torch, ROCm's devices are called cuda."""
        if self.kind in {"cpu", "mps"}:
            return self.kind
        return f"{'cuda' if self.kind == 'rocm' else self.kind}:{self.index}"

    @property
    def is_cpu(self) -> bool:
        """Whether it is the processor: single precision, one thread."""
        return self.kind == "cpu"

    def __str__(self) -> str:
        return self.kind if self.kind in {"cpu", "mps"} else f"{self.kind}:{self.index}"


CPU = Device()


@dataclass(frozen=True)
class ModelFiles:
    """The weights of one model on disk, already checked against what is pinned or recorded."""

    #: Name of the model, as in `analysis/weights.toml`.
    name: str
    #: The folder that holds its files, laid out as in the repository they come from.
    folder: Path
    #: Revision and digest in short; tells one set of weights from another.
    revision: str
    licence: str
    #: Files by their part, as `weights`, for models that are not read as a folder.
    files: Mapping[str, Path] = field(default_factory=dict)
    #: Options of the model's entry, as the side of its input or a threshold; never shown, as a key may be among them.
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def _do_nothing() -> None:
    pass


class Model(ABC, Generic[Given, Found]):
    """One model: built cheaply, loaded when needed, unloaded when idle, used by one thread at a time.

    `predict` answers in the order of what it was given, and the same for a photo alone as for one of many.
    Out-of-memory errors of torch pass through `load` and `predict` unchanged: the runtime answers them.
    """

    job: ClassVar[Job]
    #: Whether another server does the computing: then no device is taken, and nobody waits for a turn.
    is_elsewhere: ClassVar[bool] = False

    def __init__(self, files: ModelFiles) -> None:
        self.files = files
        self.device: Device | None = None
        #: To be called by a model that computes for seconds wherever it can pause (between two tokens): it returns
        #: when nobody waits for a faster one.
        self.give_way: Callable[[], None] = _do_nothing

    @property
    def name(self) -> str:
        """Name of the model, as in `analysis/weights.toml`."""
        return self.files.name

    @property
    def licence(self) -> str:
        """SPDX name of the licence of the weights."""
        return self.files.licence

    @property
    def revision(self) -> str:
        """What tells one set of weights from another."""
        return self.files.revision

    @property
    def is_loaded(self) -> bool:
        """Whether it is in memory."""
        return self.device is not None

    @property
    def loaded_on(self) -> Device:
        """Where it is loaded; an error of ours where it is not loaded at all."""
        if self.device is None:
            raise RuntimeError(f"{self.name} is asked before it is loaded")
        return self.device

    @abstractmethod
    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs on a device, weights included, for a batch of that size."""

    @abstractmethod
    def _load(self, device: Device) -> None:
        """Read the weights and put them on the device; half precision on GPUs, single on CPUs."""

    @abstractmethod
    def _unload(self) -> None:
        """Let go of everything that `_load` took."""

    def prepare(self, given: Given) -> None:
        """Do ahead what `predict` does for each photo on the processor, as resizing; kept in its view.

        May be called for a loaded model from any thread, and need not be called at all.
        """

    @abstractmethod
    def predict(self, batch: Sequence[Given]) -> list[Found]:
        """Answer for each of the batch, in its order; at least one, at most what memory allows."""

    def load(self, device: Device) -> None:
        """Make ready to predict; does nothing where it is ready on that device already.

        Raises
        ------
        ModelsNotInstalledError
            If a library is missing that the `ai` extra brings.
        WeightsDamagedError
            If the files cannot be read.
        """
        if self.device == device:
            return
        self.unload()
        self._load(device)
        self.device = device

    def unload(self) -> None:
        """Free its memory; it can be loaded again."""
        if self.device is not None:
            try:
                self._unload()
            finally:
                self.device = None
