"""Where the sky is, as far as a picture tells by itself: blue, smooth, and open to its upper edge."""

from typing import TYPE_CHECKING

from immich_sidecar.analysis.findings import Mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Longer side of the picture that is looked at.
_EDGE = 160
#: How much bluer than red a sky is, at the least (ratio of codes), and how bright (code 0..1).
_BLUER, _BRIGHT = 1.06, 0.3
#: Deviation of brightness within 5 pixels above which there is something in the sky, or no sky.
_SMOOTH = 0.035
#: Parts of the picture and of its upper edge that a sky fills at least.
_LEAST_AREA, _LEAST_EDGE = 0.06, 0.3
#: Part of it above which nothing else lies: water has things before it and behind.
_OPEN = 0.5
#: Part of the picture above which it is more likely a wall or a sea seen from above.
_MOST_AREA = 0.85


def measure_sky(display: "NDArray[np.uint8]") -> Mask | None:
    """The outline of a blue sky; None where none is sure: a white one cannot be told from a wall.

    Parameters
    ----------
    display
        sRGB-encoded, `uint8`, (height, width, 3), upright.
    """
    import cv2
    import numpy as np

    from immich_sidecar.analysis.masks import encode
    from immich_sidecar.develop.proxy import shrunk

    small = np.asarray(shrunk(display, _EDGE), np.float32) / np.float32(255)
    if min(small.shape[:2]) < 16:
        return None
    red, green, blue = small[..., 0], small[..., 1], small[..., 2]
    grey = small.mean(axis=-1)
    mean = cv2.blur(grey, (5, 5), borderType=cv2.BORDER_REFLECT_101)
    deviation = np.sqrt(np.maximum(cv2.blur(grey * grey, (5, 5), borderType=cv2.BORDER_REFLECT_101) - mean * mean, 0.0))
    could = (blue > _BLUER * red) & (blue >= green) & (blue > _BRIGHT) & (deviation < _SMOOTH)
    # Wires and twigs part no sky, and an isthmus of a pixel joins no two.
    closed = cv2.morphologyEx(could.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, labels = cv2.connectedComponents(closed, connectivity=4)
    tops = [label for label in np.unique(labels[:2]) if label]
    sky = np.isin(labels, tops)
    if not _LEAST_AREA <= sky.mean() <= _MOST_AREA or sky[:2].any(axis=0).mean() < _LEAST_EDGE:
        return None
    above = np.logical_and.accumulate(sky[2:], axis=0)
    if above.sum() < _OPEN * sky[2:].sum():
        return None
    return encode(sky)
