"""Real photos that scikit-image ships, as models get them."""

import numpy as np

from immich_sidecar.analysis.models.view import View
from tests.photos.make import sample_photo

#: Square, and both ways of lying.
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def view(name: str = "chelsea") -> View:
    """One of them; a new object each time, so that nothing kept inside hides a mistake."""
    return View(sample_photo(name, shrink=1))


def views() -> list[View]:
    """All of them, and one that stands upright."""
    lying = view("coffee").display
    return [*(view(name) for name in NAMES), View(np.ascontiguousarray(np.rot90(lying)))]
