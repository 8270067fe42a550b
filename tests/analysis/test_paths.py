"""Sums along straight paths, beside turning the picture and adding up its rows."""

import cv2
import numpy as np

from immich_sidecar.analysis.measure.tilt.paths import sums_along


def test_they_are_the_rows_of_a_sheared_picture() -> None:
    picture = np.random.default_rng(1).normal(size=(70, 110)).astype(np.float32)
    slopes = np.tan(np.radians(np.array([-12.0, -3.3, 0.0, 0.5, 12.0])))
    found = sums_along(picture, slopes)
    for sums, slope in zip(found, slopes, strict=True):
        way = np.array([[1, 0, 0], [slope, 1, -slope * 110 / 2]])
        sheared = cv2.warpAffine(picture, way, (110, 70), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        assert np.abs(sums - sheared.sum(axis=1)).max() < 0.05 * np.abs(sheared).sum(axis=1).mean()


def test_a_line_is_found_where_it_crosses_the_middle() -> None:
    picture = np.zeros((60, 100), np.float32)
    for x in range(100):
        picture[round(30 + 0.1 * (x - 50)), x] = 1
    along, level = sums_along(picture, np.array([0.1, 0.0]))
    assert along.argmax() == 30
    assert along[30] > 2 * level.max()
