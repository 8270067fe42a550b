"""What parts of the picture cost: `python -m tests.benchmarks.parts [MEGAPIXELS]`.

CPU seconds of one thread for a subject's lift at full size (masks, 16-bit colour and the pass over the pixels), against
the same picture with a tone step alone and with none; and for a preview. Medians of rounds that take turns.
"""

import argparse
import math
from collections.abc import Callable

import cv2
import numpy as np

from immich_sidecar.develop.decode import Decoded, display_space
from immich_sidecar.develop.engine import finish
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.recipe import merge
from tests.benchmarks.looks import AT, medians
from tests.develop.test_local import mask_of
from tests.photos.make import scene


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("megapixels", nargs="?", type=float, default=24.0)
    megapixels = parser.parse_args().megapixels
    cv2.setNumThreads(1)
    height = round(math.sqrt(megapixels * 1e6 / 1.5))
    large = cv2.resize(scene(1200, 800), (round(height * 1.5), height), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(large, (1440, 960), interpolation=cv2.INTER_AREA)
    part = {"mask": mask_of(160, 107), "ev": 0.6}
    recipes = {
        "tone": {"tone": {"contrast": 20}},
        "subject": {"subject": part},
        "subject and background": {"subject": part, "background": {**part, "ev": -0.3, "saturation": -20}},
        "tone and subject": {"tone": {"contrast": 20}, "subject": part},
    }

    def work(pixels: np.ndarray, operations: dict) -> Callable[[], object]:
        steps = plan(merge([], operations, at=AT))
        size = (pixels.shape[1], pixels.shape[0])
        return lambda: finish(Decoded(pixels, display_space(), 1, size), steps)

    found = medians(
        {
            f"{name}, {where}": work(pixels, operations)
            for where, pixels in ((f"{megapixels:g} MP", large), ("preview", small))
            for name, operations in recipes.items()
        }
    )
    for name, seconds in found.items():
        print(f"{name:<40} {1000 * seconds:8.1f} ms")


if __name__ == "__main__":
    main()
