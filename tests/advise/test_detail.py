"""Detail steps help where they are applied, and are only offered where that is a matter of taste."""

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_sidecar.advise import detail
from immich_sidecar.advise.adviser import APPLY_AT, AUTO_APPROVE_AT, Suggestion, advise
from immich_sidecar.analysis.analysis import Analysis, Facts, analyse
from immich_sidecar.analysis.measure.noise import Noise
from immich_sidecar.analysis.measure.sharpness import Sharpness
from immich_sidecar.develop.engine import render
from immich_sidecar.recipe.recipe import Operation, Source
from tests.analysis.test_noise import grainy
from tests.analysis.test_tilt import facade
from tests.photos.make import Display, degraded, full_exif, scene, write_dng, write_jpeg

AT = datetime(2024, 6, 1, 12, tzinfo=UTC)


def suggestions(path: Path) -> dict[str, Suggestion]:
    return {s.operation: s for s in advise(analyse(path)).suggestions}


def rendered(path: Path, *steps: Suggestion) -> Display:
    return render(
        path, [Operation(type=s.operation, parameters=s.parameters, timestamp=AT, source=Source.AI) for s in steps]
    ).image


def psnr(picture: Display, truth: Display) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((picture.astype(float) - truth) ** 2)))


@pytest.mark.parametrize("shot", [0.004, 0.012])
@pytest.mark.parametrize("quality", [98, 90])
def test_noise_of_a_sensor_is_taken_from_jpegs(tmp_path: Path, shot: float, quality: int) -> None:
    truth = scene(1400, 960)
    path = write_jpeg(tmp_path / "noisy.jpg", grainy(truth, shot)[0], quality=quality, exif=full_exif())
    step = suggestions(path)["denoise"]

    assert step.confidence >= APPLY_AT
    assert psnr(rendered(path, step), truth) > psnr(rendered(path), truth) + 2


@pytest.mark.parametrize("shot", [0.0008, 0.004])
def test_raw_is_denoised_at_less_noise(tmp_path: Path, shot: float) -> None:
    truth = scene(1400, 960)
    path = write_dng(tmp_path / "noisy.dng", truth, shot=shot, preview=truth)
    steps = suggestions(path)

    assert steps["denoise"].confidence >= APPLY_AT
    before = psnr(rendered(path, steps["decode"]), truth)
    assert psnr(rendered(path, steps["decode"], steps["denoise"]), truth) > before + 1


def test_texture_is_left_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    gravel = cv2.GaussianBlur(random.normal(0, 1, (960, 1400)).astype(np.float32), (0, 0), 0.9) * 60
    place = cv2.GaussianBlur(random.normal(0, 1, (960, 1400)).astype(np.float32), (0, 0), 40) * 40
    picture = np.clip(125 + gravel * np.exp(1.2 * place), 0, 255).astype(np.uint8)
    path = write_jpeg(tmp_path / "gravel.jpg", np.repeat(picture[..., None], 3, axis=2), exif=full_exif())

    step = suggestions(path).get("denoise")
    assert step is None or step.confidence < APPLY_AT


def denoising(unevenness: float, *, is_raw: bool) -> float:
    facts = Facts.model_construct(is_raw=is_raw, width=2000, height=1500)
    noise = Noise(luma=5.0, chroma=0.0, blocks=2000, unevenness=unevenness)
    sharpness = Sharpness(edge_width=None, score=0.0)
    steps = detail.suggest(Analysis.model_construct(facts=facts, noise=noise, sharpness=sharpness))
    return steps[0].confidence if steps else 0.0


def test_what_is_a_quarter_rougher_than_the_smoothest_is_texture_in_a_finished_picture() -> None:
    assert denoising(1.08, is_raw=False) == denoising(1.2, is_raw=True) == pytest.approx(0.95)
    assert denoising(1.2, is_raw=False) < APPLY_AT
    assert denoising(1.3, is_raw=False) == 0.0


def test_raw_is_sharpened_unless_noise_dominates(tmp_path: Path) -> None:
    truth = scene(1400, 960)
    seen = np.asarray(cv2.GaussianBlur(truth, (0, 0), 0.7), np.uint8)
    path = write_dng(tmp_path / "soft.dng", seen, shot=2e-4, preview=seen)
    steps = suggestions(path)

    # A RAW file that is approved by itself is not held up by it.
    assert steps["sharpen"].confidence >= AUTO_APPROVE_AT
    sharpened = rendered(path, steps["decode"], steps["sharpen"])
    assert psnr(sharpened, truth) > psnr(rendered(path, steps["decode"]), truth)
    noisy = write_dng(tmp_path / "noisy.dng", seen, shot=1.2e-2, preview=seen)
    assert "sharpen" not in suggestions(noisy)


def test_pictures_are_only_offered_sharpening(tmp_path: Path) -> None:
    crisp = suggestions(write_jpeg(tmp_path / "crisp.jpg", scene(1400, 960), exif=full_exif()))
    blurred = np.asarray(cv2.GaussianBlur(scene(1400, 960), (0, 0), 1.8), np.uint8)
    soft = suggestions(write_jpeg(tmp_path / "soft.jpg", blurred, exif=full_exif()))

    assert "sharpen" not in crisp
    assert 0 < soft["sharpen"].confidence < APPLY_AT


@pytest.mark.parametrize("pitch", [-7.0, 8.0])
def test_running_together_is_offered_to_be_undone_and_never_applied(tmp_path: Path, pitch: float) -> None:
    path = write_jpeg(tmp_path / "wall.jpg", facade(pitch=pitch, focal=0.85), exif=full_exif())
    analysis = analyse(path)
    advice = advise(analysis)
    step = next(s for s in advice.suggestions if s.operation == "upright")

    assert step.confidence < APPLY_AT
    assert not step.applied
    assert ("top" if pitch > 0 else "bottom") in step.reason
    again = analyse(write_jpeg(tmp_path / "upright.jpg", rendered(path, step), exif=full_exif()))
    assert abs(again.tilt.convergence) < 0.2 * abs(analysis.tilt.convergence)


def test_parallel_uprights_are_not_touched(tmp_path: Path) -> None:
    for picture in (facade(), degraded(scene(1200, 800))):
        assert "upright" not in suggestions(write_jpeg(tmp_path / "wall.jpg", picture, exif=full_exif()))
