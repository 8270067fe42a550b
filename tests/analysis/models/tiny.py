"""Random weights that let a picture through: as libraries start theirs, small models answer the same to everything."""

from typing import Any


def lively(model: Any, gain: float = 1.4, seed: int = 5) -> Any:
    """The model with new random weights, scaled so that what goes in is still there when it comes out."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2:
                parameter.copy_(noise * gain / max(1, parameter[0].numel()) ** 0.5)
            else:
                parameter.add_(noise * 0.1)
    return model.eval()
