"""Sharpening: what was blurred comes back, edges have no halos, noise and colours stay."""

import cv2
import numpy as np
import pytest

from immich_sidecar.develop.engine import render
from tests.develop.conftest import mean_difference
from tests.photos import make


@pytest.fixture
def sharpened(tmp_path, steps):
    def sharpen(image, max_edge=None, **parameters):
        path = make.write_png(tmp_path / "a.png", image)
        return render(path, steps(sharpen=parameters), max_edge=max_edge).image

    return sharpen


def luma(image):
    return image.astype(float) @ np.array([0.299, 0.587, 0.114])


def test_a_soft_photo_comes_nearer_to_what_it_was(sharpened) -> None:
    truth = make.sample_photo("astronaut")
    soft = cv2.GaussianBlur(truth, (0, 0), 1.0)
    assert mean_difference(sharpened(soft, amount=50, threshold=0), truth) < 0.8 * mean_difference(soft, truth)


def test_nothing_asked_is_nothing_done(sharpened) -> None:
    image = make.sample_photo("coffee")
    assert np.array_equal(sharpened(image, amount=0), image)


def test_an_edge_gets_steeper_without_a_halo(sharpened) -> None:
    edge = np.full((32, 64, 3), 80, np.uint8)
    edge[:, 32:] = 170
    edge = cv2.GaussianBlur(edge, (0, 0), 1.2)
    line = sharpened(edge, amount=100, radius=1.5)[16, :, 0].astype(int)
    assert np.diff(line).max() > 1.3 * np.diff(edge[16, :, 0].astype(int)).max()
    assert line.min() >= 80 - 7
    assert line.max() <= 170 + 7


def test_noise_below_the_threshold_is_left_alone(sharpened) -> None:
    flat = np.full((256, 256, 3), 120, np.uint8)
    grainy = make.degraded(flat, noise=3.0)
    strong = sharpened(grainy, amount=60, threshold=0).std()
    spared = sharpened(grainy, amount=60, threshold=100 * 3.0 / 25.5).std()
    assert strong > 1.5 * grainy.std()
    assert spared < 1.2 * grainy.std()


def test_colours_move_together(sharpened) -> None:
    image = cv2.GaussianBlur(make.sample_photo("coffee"), (0, 0), 0.8)
    after = sharpened(image, amount=60).astype(int)
    change = after - image
    inside = (after.min(axis=2) > 0) & (after.max(axis=2) < 255)
    assert (change.max(axis=2) - change.min(axis=2))[inside].max() == 0
    assert np.abs(change).max() > 5


def test_a_preview_shows_what_the_full_picture_will(tmp_path, sharpened) -> None:
    image = cv2.GaussianBlur(make.scene(1600, 1200), (0, 0), 2.0)
    full = sharpened(image, amount=80, radius=3.0, threshold=0)
    small = sharpened(image, 800, amount=80, radius=3.0, threshold=0)
    expected = cv2.resize(full, (800, 600), interpolation=cv2.INTER_AREA)
    plain = cv2.resize(image, (800, 600), interpolation=cv2.INTER_AREA)
    assert mean_difference(small, expected) < 0.35 * mean_difference(plain, expected)


def test_strips_leave_no_seams(sharpened) -> None:
    image = np.repeat(cv2.GaussianBlur(make.scene(200, 4), (0, 0), 1.0)[:1], 400, axis=0)
    after = sharpened(image, amount=80, radius=2.0)
    assert (after == after[:1]).all()
