"""Straight edges are found where they lie, as OpenCV's detector finds them, and in noise there are none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.segment_detector import OFFSET, detect
from tests.photos.make import sample_photo, scene

Grey = NDArray[np.uint8]
Lines = NDArray[np.float64]


def step_edge(angle: float, *, width: int = 480, height: int = 360) -> Grey:
    """A dark and a bright half, parted by a line through the middle that falls by `angle` degrees to the right."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    turn = np.radians(angle)
    off = (y - (height - 1) / 2) * np.cos(turn) - (x - (width - 1) / 2) * np.sin(turn)
    return np.asarray(np.round(60 + 130 * np.clip(off + 0.5, 0, 1)), np.uint8)


def lengths(lines: Lines) -> Lines:
    """How long segments are, in pixels."""
    return np.asarray(np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]))


def of_opencv(grey: Grey) -> Lines:
    """What OpenCV's detector finds."""
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    return np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(np.float64)


def share_found(lines: Lines, others: Lines, *, longest: float) -> float:
    """Which share of long segments, by length, have both ends within a pixel of another's."""
    lines = lines[lengths(lines) > longest]
    off = np.hypot(*np.moveaxis(lines.reshape(-1, 1, 2, 2) - others.reshape(1, -1, 2, 2), -1, 0)).max(axis=-1)
    found = off.min(axis=1) < 1
    return float(lengths(lines)[found].sum() / lengths(lines).sum())


@pytest.mark.parametrize("angle", [-89.0, -60.0, -45.0, -7.3, -1.2, 0.0, 0.4, 3.0, 22.5, 45.0, 71.0, 90.0])
def test_an_edge_is_found_where_it_lies(angle: float) -> None:
    found = detect(step_edge(angle), 20)
    assert len(found) == 1

    x1, y1, x2, y2 = found[0] - OFFSET
    turn = np.radians(angle)
    off = [(y - 179.5) * np.cos(turn) - (x - 239.5) * np.sin(turn) for x, y in ((x1, y1), (x2, y2))]
    assert max(map(abs, off)) < 0.3
    lean = (np.degrees(np.arctan2(y2 - y1, x2 - x1)) - angle + 90) % 180 - 90
    assert abs(lean) < 0.1
    reach = min(480 / max(abs(np.cos(turn)), 1e-9), 360 / max(abs(np.sin(turn)), 1e-9))
    assert lengths(found)[0] == pytest.approx(reach, abs=8)


def test_a_square_has_four_sides_and_a_bright_one_has_them_the_other_way_round() -> None:
    picture = np.full((200, 240), 70, np.uint8)
    picture[60:140, 80:180] = 180
    bright, dark = detect(picture, 20), detect((250 - picture).astype(np.uint8), 20)

    assert sorted(np.round(lengths(bright))) == pytest.approx([80, 80, 100, 100], abs=5)
    for x1, y1, x2, y2 in bright:
        assert min(np.abs(dark - (x2, y2, x1, y1)).max(axis=1)) < 0.5


@pytest.mark.parametrize("name", ["astronaut", "rocket", "coffee", "chelsea", "scene"])
def test_it_finds_what_opencv_finds_in_pictures(name: str) -> None:
    picture = scene() if name == "scene" else sample_photo(name, shrink=1)
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    ours, theirs = detect(grey), of_opencv(grey)
    longest = 0.022 * max(grey.shape)

    assert share_found(theirs, ours, longest=longest) > 0.95
    assert share_found(ours, theirs, longest=longest) > 0.95


def test_it_finds_what_opencv_finds_in_photos(photos: Path) -> None:
    from immich_sidecar.develop.proxy import load_proxy

    shares = []
    for path in sorted(photos.glob("*.jpg")):
        grey = np.asarray(cv2.cvtColor(load_proxy(path, max_edge=800).display, cv2.COLOR_RGB2GRAY), np.uint8)
        ours, theirs = detect(grey), of_opencv(grey)
        longest = 0.022 * max(grey.shape)
        if (lengths(theirs) > longest).any():
            shares.append(share_found(theirs, ours, longest=longest))
            shares.append(share_found(ours, theirs, longest=longest))

    assert len(shares) >= 30
    assert min(shares) > 0.9
    assert np.mean(shares) > 0.98


def test_short_ones_are_left_out_and_the_same_come_every_time() -> None:
    grey = np.asarray(cv2.cvtColor(sample_photo("astronaut", shrink=1), cv2.COLOR_RGB2GRAY), np.uint8)
    whole, long = detect(grey), detect(grey, 30)

    assert np.array_equal(whole, detect(grey))
    assert np.array_equal(long, whole[lengths(whole) > 30])
    assert 0 < len(long) < len(whole)


@pytest.mark.parametrize("deviation", [2, 10, 40])
def test_noise_has_no_long_segments(deviation: float) -> None:
    random = np.random.default_rng(5)
    noise = np.clip(128 + random.normal(0, deviation, (400, 600)), 0, 255).astype(np.uint8)

    assert len(detect(noise, 0.03 * 600)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 500), (500, 1), (2, 300), (5, 7)])
def test_tiny_and_narrow_pictures_do_no_harm(size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)

    assert detect(random.integers(0, 255, size, dtype=np.uint8)).shape[1] == 4
    assert detect(np.full(size, 200, np.uint8)).shape == (0, 4)


def test_flat_and_smooth_pictures_have_no_segments() -> None:
    slope = np.broadcast_to(np.linspace(0, 255, 600), (400, 600)).astype(np.uint8)

    for picture in (slope, np.zeros((300, 300), np.uint8), np.full((300, 300), 255, np.uint8)):
        assert len(detect(np.ascontiguousarray(picture))) == 0
