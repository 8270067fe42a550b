"""Checkpoints of the transformers library: read as tensors only, from this machine only, and whole or not at all.

Libraries fill what a checkpoint lacks with random numbers and go on; here that is damage.
"""

import json
from pathlib import Path
from typing import Any

from immich_sidecar.analysis.models.loading import parameters_in, reading_weights
from immich_sidecar.analysis.models.model import Device, ModelFiles
from immich_sidecar.errors import WeightsDamagedError, WeightsMissingError

#: Buffers that older checkpoints lack and that no prediction reads.
UNREAD = ("num_batches_tracked", "position_ids")


def damaged(files: ModelFiles, why: str) -> WeightsDamagedError:
    """The error of a model whose files are there and of no use."""
    return WeightsDamagedError(
        f"{files.name}: its files cannot be used ({why}); `immich-sidecar models verify {files.name}` checks them, "
        f"`immich-sidecar models download {files.name}` fetches what is damaged"
    )


def require(files: ModelFiles, *paths: Path) -> None:
    """Raise `WeightsMissingError` for the first path that is no file."""
    for path in paths:
        if not path.is_file():
            raise WeightsMissingError(
                f"{files.name}: {path.name} is not in {path.parent}; "
                f"`immich-sidecar models download {files.name}` fetches it"
            )


def tensor_files(files: ModelFiles) -> list[Path]:
    """The safetensors files of a folder that is laid out as transformers writes it.

    Raises
    ------
    WeightsMissingError
        If there are none, or one that the index names is missing.
    WeightsDamagedError
        If the index cannot be read.
    """
    index = files.folder / "model.safetensors.index.json"
    if not index.is_file():
        require(files, files.folder / "model.safetensors")
        return [files.folder / "model.safetensors"]
    try:
        names = {str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(files, f"{index.name}: {_in_short(error)}") from error
    if any(Path(name).name != name for name in names):
        raise damaged(files, f"{index.name} names files outside of its folder")
    paths = [files.folder / name for name in sorted(names)]
    require(files, *paths)
    return paths


def parameters(files: ModelFiles) -> int:
    """How many numbers the weights hold, by the headers of their files.

    Raises
    ------
    WeightsMissingError, WeightsDamagedError
        As `tensor_files`.
    """
    return sum(parameters_in(path) for path in tensor_files(files))


def read(files: ModelFiles, kind: str, precision: Any, onto: str = "cpu") -> Any:
    """A model of the transformers library from its folder, ready for inference.

    Parameters
    ----------
    kind
        Name of a class of the library, as `AutoModelForObjectDetection`.
    precision
        Torch's type of its weights.
    onto
        Torch's name of the device, to which large models are read piece by piece.

    Raises
    ------
    ModelsNotInstalledError
        If the library is missing.
    WeightsMissingError
        If files are missing.
    WeightsDamagedError
        If they cannot be read, or lack some of the model's weights.
    """
    require(files, files.folder / "config.json")
    tensor_files(files)
    with reading_weights(files):
        import transformers

        quiet()
        model, found = getattr(transformers, kind).from_pretrained(
            str(files.folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=precision,
            **({} if onto == "cpu" else {"device_map": {"": onto}}),
            output_loading_info=True,
        )
        lacking = [name for name in found["missing_keys"] if not name.endswith(UNREAD)]
        if lacking or found["mismatched_keys"]:
            names = lacking or [str(name) for name in found["mismatched_keys"]]
            raise damaged(files, f"{len(names)} of its weights are missing or of another shape, as {sorted(names)[0]}")
        return model.eval()


def read_processor(files: ModelFiles, kind: str) -> Any:
    """What prepares pictures or words for a model of the transformers library, from its folder.

    Raises
    ------
    ModelsNotInstalledError, WeightsDamagedError
        As `read`.
    """
    with reading_weights(files):
        import transformers

        quiet()
        return getattr(transformers, kind).from_pretrained(
            str(files.folder), local_files_only=True, trust_remote_code=False
        )


def quiet() -> None:
    """Keep progress bars and advice of the transformers library out of the service's log; errors remain."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def half(device: Device) -> Any:
    """Torch's type of numbers for a device: half precision on GPUs, single precision on processors."""
    import torch

    return torch.float32 if device.is_cpu else torch.float16


def _in_short(error: BaseException) -> str:
    """The first line of what an error says."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
