"""Noise removal: nearer to the truth, no seams, brightness and colour apart, previews alike."""

import cv2
import numpy as np
import pytest

from immich_sidecar.develop import block_dct, detail
from immich_sidecar.develop.detail import denoised
from immich_sidecar.recipe.plan import DetailPlan
from tests.photos import make

GREY = np.array([0.299, 0.587, 0.114])


def sensor(picture, shot):
    """A picture as a sensor with that shot noise has it (Brooks et al. 2019)."""
    light = make.linear_from_display(picture)
    deviation = np.sqrt(shot * light + np.exp(2.18 * np.log(shot) + 1.2))
    return make.display_from_linear(light + np.random.default_rng(1).normal(size=light.shape) * deviation)


def psnr(picture, truth):
    return 10 * np.log10(255**2 / ((picture.astype(float) - truth) ** 2).mean())


@pytest.mark.parametrize(("shot", "deviation", "gain"), [(0.0008, 3.8, 2.5), (0.004, 8.4, 5.0)])
def test_a_noisy_photo_comes_nearer_to_what_it_was(shot, deviation, gain) -> None:
    truth = make.sample_photo("astronaut", shrink=1)
    noisy = sensor(truth, shot)
    clean = denoised(noisy, DetailPlan(luma=0.67 * deviation / 0.255, chroma=0.62 * deviation / 0.255))
    assert psnr(clean, truth) > psnr(noisy, truth) + gain


def test_edges_stay_and_surfaces_become_even() -> None:
    truth = np.full((128, 192, 3), 70, np.uint8)
    truth[:, 96:] = 180
    noisy = make.degraded(truth, noise=6.0)
    clean = denoised(noisy, DetailPlan(luma=100 * 6.0 / 25.5, chroma=5)).astype(float) @ GREY
    assert clean[8:-8, 8:80].std() < 0.35 * (noisy.astype(float) @ GREY)[8:-8, 8:80].std()
    step = clean[8:-8].mean(axis=0)
    assert step[98] - step[93] > 0.9 * 110


def test_a_trace_of_grain_stays() -> None:
    noisy = make.degraded(np.full((128, 128, 3), 120, np.uint8), noise=6.0)
    left = denoised(noisy, DetailPlan(luma=100 * 6.0 / 25.5)).astype(float).std()
    assert 0.05 < left / noisy.std() < 0.3


def test_brightness_and_colour_are_apart() -> None:
    truth = make.sample_photo("coffee")
    noisy = make.degraded(truth, chroma_noise=8.0)
    colour_only = denoised(noisy, DetailPlan(chroma=30)).astype(float)
    # What was cut at black and white aside, luma is that of before.
    inside = (colour_only.min(axis=2) > 2) & (colour_only.max(axis=2) < 253)
    assert np.abs((colour_only - noisy) @ GREY)[inside].max() < 1.0
    assert psnr(colour_only, truth) > psnr(noisy, truth) + 1
    luma_only = denoised(noisy, DetailPlan(luma=20)).astype(float)
    change = luma_only - noisy
    inside = (luma_only.min(axis=2) > 2) & (luma_only.max(axis=2) < 253)
    assert (change.max(axis=2) - change.min(axis=2))[inside].max() <= 2


@pytest.mark.parametrize("size", [(300, 700), (301, 289)])
def test_parts_leave_no_seams(monkeypatch, size) -> None:
    noisy = sensor(make.scene(*size), 0.004)
    plan = DetailPlan(luma=22, chroma=22)
    whole = denoised(noisy, plan).astype(int)
    monkeypatch.setattr(detail, "_STRIP", 6 * 20)
    monkeypatch.setattr(detail, "_TILE", 64)
    assert np.abs(whole - denoised(noisy, plan)).max() <= 1


@pytest.mark.parametrize("size", [(2, 2), (6, 40), (34, 10)])
def test_what_is_finer_than_half_is_what_opencv_would_leave(size) -> None:
    plane = np.random.default_rng(3).normal(0, 20, size).astype(np.float32)
    half = cv2.resize(plane, (size[1] // 2, size[0] // 2), interpolation=cv2.INTER_AREA)
    large = cv2.resize(half, size[::-1], interpolation=cv2.INTER_LINEAR)
    fine, energy = plane.copy(), np.empty_like(half)
    block_dct.take_fine(fine, half, energy)
    assert np.abs(fine - (plane - large)).max() < 1e-4
    assert (
        np.abs(energy - cv2.resize((plane - large) ** 2, half.shape[::-1], interpolation=cv2.INTER_AREA)).max() < 1e-2
    )
    # All of it stays where it is much stronger than the limit, and nothing where it is weaker.
    whole, none = fine.copy(), fine.copy()
    block_dct.keep_detail(whole, half, np.full_like(half, 1e9), np.float32(1.0))
    block_dct.keep_detail(none, half, np.full_like(half, 0.5), np.float32(1.0))
    assert np.abs(whole - plane).max() < 1e-3
    assert np.abs(none - large).max() < 1e-4


@pytest.mark.parametrize("size", [(2, 3), (5, 40), (9, 9), (31, 7)])
def test_tiny_pictures_are_no_trouble(size) -> None:
    flat = np.full((*size, 3), 90, np.uint8)
    assert np.abs(denoised(flat, DetailPlan(luma=20, chroma=20)).astype(int) - flat).max() <= 1


def test_what_is_not_asked_is_not_done() -> None:
    picture = make.sample_photo("coffee")
    assert denoised(picture, DetailPlan()) is picture


def test_a_preview_is_as_clean_as_the_full_picture() -> None:
    truth = make.scene(1200, 900)
    noisy = make.degraded(truth, noise=8.0, chroma_noise=8.0)
    plan = DetailPlan(luma=100 * 8.0 / 25.5, chroma=100 * 8.0 / 25.5)
    full = cv2.resize(denoised(noisy, plan), (600, 450), interpolation=cv2.INTER_AREA)
    small = denoised(cv2.resize(noisy, (600, 450), interpolation=cv2.INTER_AREA), plan, scale=0.5)
    wanted = cv2.resize(truth, (600, 450), interpolation=cv2.INTER_AREA)
    assert psnr(small, full) > 36
    assert psnr(small, wanted) > psnr(cv2.resize(noisy, (600, 450), interpolation=cv2.INTER_AREA), wanted)


def test_noise_is_even_on_the_stable_scale() -> None:
    stable, unstable, step = detail.stabilising(8.0)
    for code in (40, 117, 200):
        rise = (stable[4 * code + 4] - stable[4 * code - 4]) / 2
        assert 1 / (1.5 * 8.0) < rise < 1 / (0.65 * 8.0)
        assert unstable[round(float(stable[4 * code]) / step)] == pytest.approx(code, abs=0.2)
