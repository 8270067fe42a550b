"""What compiled loops find beyond the border of a picture."""

from immich_sidecar.develop.compiled import compiled


@compiled
def mirrored(place: int, length: int) -> int:
    """The place in 0..`length` that stands for one outside, the border being a mirror through the outermost pixels.

    In the mosaic of a sensor it has the same colour.
    """
    period = max(2 * (length - 1), 1)
    place = abs(place) % period
    return period - place if place >= length else place
