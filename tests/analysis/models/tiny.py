"""Random weights that let a picture through: as libraries start theirs, small models answer the same to everything."""

from collections.abc import Callable
from typing import Any


def lively(make: Callable[[], Any], gain: float = 1.4, seed: int = 5) -> Any:
    """The model that `make` builds, with weights scaled so that what goes in is still there when it comes out.

    They are the same at every call, whatever has drawn random numbers before: libraries start some biases with them.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2:
                parameter.copy_(noise * gain / max(1, parameter[0].numel()) ** 0.5)
            else:
                parameter.add_(noise * 0.1)
    return model.eval()
