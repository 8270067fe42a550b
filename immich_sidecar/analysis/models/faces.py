"""Faces by YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023), through OpenCV."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Box, Face, Job
from immich_sidecar.analysis.measure.eyes import eyes_open
from immich_sidecar.analysis.models.loading import is_out_of_memory, reading_weights, weights_file
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError

_USUAL_FILE = "face_detection_yunet_2023mar.onnx"
#: Pixels along the edges of what the network sees; the file says so, and not every engine of OpenCV takes another size.
SIDE = 640
#: Least score of a face where the model's entry says none, overlap from which two are one, and candidates.
_SCORE, _OVERLAP, _MOST = 0.8, 0.3, 5000
#: About what OpenCV takes for it, whatever the batch: photos go through one by one.
_BYTES = 60_000_000
_LANDMARKS = 5


class YuNet(Model[View, tuple[Face, ...]]):
    """Faces with eyes, nose and corners of the mouth; on the processor, whatever the device.

    A photo is fitted into 640 x 640 pixels, where faces from about 10 pixels on are found: heads in a group, none of
    a crowd.
    """

    job = Job.FACES

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._detector: Any = None

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs."""
        return _BYTES

    def prepare(self, given: View) -> None:
        """Fit the photo into the network's square."""
        _square(given)

    def predict(self, batch: Sequence[View]) -> list[tuple[Face, ...]]:
        """The faces in each photo, the surest first."""
        return [self._faces(view) for view in batch]

    def _load(self, device: Device) -> None:
        path = weights_file(self.files, "weights", _USUAL_FILE)
        with reading_weights(self.files):
            import cv2

            score = float(self.files.options.get("score", _SCORE))
            detector = cv2.FaceDetectorYN.create(str(path), "", (SIDE, SIDE), score, _OVERLAP, _MOST)
            # Whether it is this network and not another one shows only when it runs.
            detector.detect(np.zeros((SIDE, SIDE, 3), np.uint8))
        self._detector = detector

    def _unload(self) -> None:
        self._detector = None

    def _faces(self, view: View) -> tuple[Face, ...]:
        import cv2

        try:
            _, rows = self._detector.detect(_square(view))
        except cv2.error as error:
            if is_out_of_memory(error):
                raise
            raise ModelAnswerError(f"{self.name} could not look at a photo ({error}); download it again") from error
        if rows is None:
            return ()
        if not np.isfinite(rows).all():
            raise ModelAnswerError(f"{self.name} answered with numbers that are none; download it again")
        fitted = view.fitted(SIDE)
        size = np.array([fitted.shape[1], fitted.shape[0]], np.float64)
        found = [self._face(view, row.astype(np.float64), size) for row in rows]
        return tuple(sorted((face for face in found if face is not None), key=lambda face: -face.score))

    def _face(self, view: View, row: NDArray[np.float64], size: NDArray[np.float64]) -> Face | None:
        """A face from OpenCV's row: corner, size, five places, score; None where it lies outside."""
        low = np.clip(row[0:2] / size, 0, 1)
        high = np.clip((row[0:2] + row[2:4]) / size, 0, 1)
        width, height = high - low
        if width <= 0 or height <= 0:
            return None
        places = np.clip(row[4:14].reshape(_LANDMARKS, 2) / size, 0, 1)
        landmarks = tuple((float(x), float(y)) for x, y in places)
        return Face(
            box=Box(x=low[0], y=low[1], width=min(width, 1 - low[0]), height=min(height, 1 - low[1])),
            score=float(np.clip(row[14], 0, 1)),
            landmarks=landmarks,
            eyes_open=eyes_open(view.display, landmarks),
            source=self.name,
        )


def _square(view: View) -> NDArray[np.uint8]:
    """(640, 640, 3), blue first: the photo in the upper left corner, the rest black."""

    def make() -> NDArray[np.uint8]:
        fitted = view.fitted(SIDE)
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        square[: fitted.shape[0], : fitted.shape[1]] = fitted[..., ::-1]
        return square

    return view.kept("yunet", make)
