"""What a glance takes in: the photo in very few pixels, and where its parts draw the eye.

Small enough to be kept with the analysis, so that advice can ask how bright a face is, or what a frame would leave
out, whenever models have found something, without opening the photo again.
"""

import base64
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Cells of the longer side, and pixels of the longer side of the picture on which salience is measured.
EDGE, _SALIENCE_EDGE = 32, 160
#: Part of the shorter side that counts as border: what the photographer left around the subject.
_BORDER = 0.06
#: What differs by less, in CIE Lab, does not stand out; and the least that counts as standing out most.
_UNSEEN, _LEAST = 0.1, 0.05
#: Deviation, in pixels, of a Gaussian that is sampled well enough.
_FINE = 4.0

Triple = tuple[float, float, float]


class Glance(BaseModel):
    """A photo in cells, row by row, from its upper left corner as it is seen."""

    # Cached properties are kept beside the fields.
    model_config = ConfigDict(frozen=True)

    #: Columns and rows.
    width: int = Field(gt=0, le=EDGE)
    height: int = Field(gt=0, le=EDGE)
    #: Mean light of each cell as sRGB codes: red, green, blue, a byte each, in base 64.
    colours: str = Field(max_length=4 * EDGE * EDGE)
    #: How much each cell draws the eye, 0 to 255 for the most, a byte each, in base 64.
    salience: str = Field(max_length=2 * EDGE * EDGE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        cells = self.width * self.height
        if (len(self._codes), len(self.weights)) != (3 * cells, cells):
            raise ValueError("the cells are not those of the grid")
        return self

    @cached_property
    def _codes(self) -> bytes:
        return base64.b64decode(self.colours, validate=True)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """How much each cell draws the eye, 0..1, row by row."""
        return tuple(value / 255 for value in base64.b64decode(self.salience, validate=True))

    @cached_property
    def light(self) -> tuple[Triple, ...]:
        """Linear red, green and blue of each cell, 0..1, row by row."""
        linear = [_linear(code / 255) for code in range(256)]
        codes = self._codes
        return tuple((linear[codes[i]], linear[codes[i + 1]], linear[codes[i + 2]]) for i in range(0, len(codes), 3))


def measure_glance(display: "NDArray[np.uint8]") -> Glance:
    """The photo at a glance.

    Salience is contrast that stands out: by how much the colours around a place (at three sizes, in CIE Lab) differ
    from those farther around it, and from those along the border of the frame, and how much fine detail there is.

    Parameters
    ----------
    display
        sRGB-encoded, `uint8`, (height, width, 3), upright.
    """
    import cv2
    import numpy as np

    from immich_sidecar.develop.proxy import shrunk

    height, width = display.shape[:2]
    scale = EDGE / max(height, width)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    codes = np.arange(256) / 255.0
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)
    # Averaging codes over a few pixels first errs little, and is much faster than taking all of them to light.
    cells = cv2.resize(light[shrunk(display, 4 * EDGE)], (columns, rows), interpolation=cv2.INTER_AREA)
    encoded = np.where(cells <= 0.0031308, cells * 12.92, 1.055 * np.power(np.maximum(cells, 1e-9), 1 / 2.4) - 0.055)
    salience = np.asarray(cv2.resize(_salience(display), (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    return Glance(
        width=columns,
        height=rows,
        colours=_text(encoded),
        salience=_text(salience / np.float32(max(float(salience.max()), _LEAST))),
    )


def _salience(display: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """How much each place stands out, on a small picture, without a unit."""
    import cv2
    import numpy as np

    from immich_sidecar.analysis.measure.percentiles import percentile
    from immich_sidecar.develop.proxy import shrunk

    small = shrunk(display, _SALIENCE_EDGE)
    lab = np.asarray(cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab), np.float32)
    near = float(min(lab.shape[:2]))
    found = np.zeros(lab.shape[:2], np.float32)
    for part in (0.03, 0.07, 0.14):
        difference: NDArray[np.float32] = _blurred(lab, part * near) - _blurred(lab, 4 * part * near)
        difference *= difference
        found += np.sqrt(difference[..., 0] + difference[..., 1] + difference[..., 2])
    edge = max(1, round(_BORDER * near))
    border = np.concatenate([part.reshape(-1, 3) for part in (lab[:edge], lab[-edge:], lab[:, :edge], lab[:, -edge:])])
    spread = np.cov(border.T) + 16.0 * np.eye(3)
    away = lab.reshape(-1, 3) - border.mean(axis=0)
    unlike = np.sqrt(np.einsum("ij,jk,ik->i", away, np.linalg.inv(spread), away)).reshape(lab.shape[:2])
    fine = np.abs(lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101))
    fine = cv2.GaussianBlur(fine, (0, 0), 0.04 * near, borderType=cv2.BORDER_REFLECT_101)
    parts = [found, cv2.GaussianBlur(unlike.astype(np.float32), (0, 0), 0.02 * near), fine]
    whole = sum((part / max(percentile(part, 98), _UNSEEN) for part in parts), np.zeros_like(found))
    # What is everywhere draws nobody's eye.
    whole = np.maximum(whole - np.float32(percentile(whole, 50)), 0.0)
    salience: NDArray[np.float32] = whole.astype(np.float32)
    return salience


def _blurred(lab: "NDArray[np.float32]", deviation: float) -> "NDArray[np.float32]":
    """A picture under a Gaussian; a wide one leaves nothing that needs all of the pixels."""
    import cv2
    import numpy as np

    height, width = lab.shape[:2]
    factor = min(int(deviation / _FINE), height // 2, width // 2)
    if factor < 2:
        return np.asarray(cv2.GaussianBlur(lab, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32)
    size = (round(width / factor), round(height / factor))
    small = cv2.resize(lab, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), deviation / factor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _text(values: "NDArray[np.floating[Any]]") -> str:
    import numpy as np

    return base64.b64encode(np.clip(np.round(values * 255.0), 0, 255).astype(np.uint8).tobytes()).decode()


def _linear(code: float) -> float:
    return code / 12.92 if code <= 0.04045 else float(((code + 0.055) / 1.055) ** 2.4)
