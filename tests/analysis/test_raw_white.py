"""A camera that took the wrong light for white is found out; one that was right is believed."""

from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.advise.adviser import advise
from immich_sidecar.advise.decode import beside_the_camera
from immich_sidecar.advise.suggestion import APPLY_AT, Suggestion
from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.analysis.measure.raw_white import light_of
from immich_sidecar.develop.camera import Camera
from tests.photos import make

#: By how much the camera errs, and the cast that this leaves: a lamp's preset in daylight, shade's, a tube's.
WRONG = {"blue": (1.5, 1.0, 0.62), "orange": (0.7, 1.0, 1.4), "green": (1.2, 1.0, 1.25)}


def made_camera() -> Camera:
    response = make.XYZ_TO_CAMERA @ make.SRGB_TO_XYZ
    to_srgb = np.linalg.inv(response / response.sum(axis=1, keepdims=True))
    return Camera(to_srgb, 1 / make.camera_white(), 1 / make.camera_white())


@pytest.mark.parametrize("with_picture", [False, True])
@pytest.mark.parametrize("colour", WRONG)
def test_wrong_white_is_put_right(tmp_path: Path, colour: str, with_picture: bool) -> None:
    truth, wrong = make.sample_photo("astronaut", shrink=1), WRONG[colour]
    shown = make.display_from_linear(make.linear_from_display(truth) / np.array(wrong))
    path = make.write_dng(tmp_path / "a.dng", truth, ev=-0.7, as_shot=wrong, preview=shown if with_picture else None)
    found = {s.operation: s for s in advise(analyse(path)).suggestions}

    step = found["white_balance"]
    assert step.applied
    assert step.parameters["space"] == "camera"
    assert colour in step.reason
    assert np.log2(step.parameters["gains"]) == pytest.approx(np.log2(wrong), abs=0.3)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "chelsea"])
def test_right_white_is_believed(tmp_path: Path, name: str) -> None:
    path = make.write_dng(tmp_path / "a.dng", make.sample_photo(name, shrink=1), ev=-0.7)
    analysis = analyse(path)

    assert analysis.raw_white is None or analysis.raw_white.confidence < 0.25
    assert not [s for s in advise(analysis).suggestions if s.operation == "white_balance" and s.applied]


@pytest.mark.parametrize(("ev", "is_brightened"), [(0.9, False), (2.5, True)])
def test_camera_is_believed_within_a_stop(ev: float, is_brightened: bool) -> None:
    step = Suggestion(operation="exposure", parameters={"ev": ev}, confidence=0.9, reason="dark")

    assert (beside_the_camera(step).confidence >= APPLY_AT) is is_brightened


def test_real_photo_is_believed(photos: Path) -> None:
    advice = advise(analyse(photos / "raw" / "canon-30d-landscape.cr2"))

    assert not [s for s in advice.suggestions if s.operation == "white_balance" and s.confidence >= APPLY_AT]


@pytest.mark.parametrize(("wrong", "kelvin"), [((1.0, 1.0, 1.0), 6500), ((1.5, 1.0, 0.62), 3400)])
def test_lights_have_their_temperature(wrong: tuple[float, float, float], kelvin: float) -> None:
    light = light_of(made_camera(), 1 / make.camera_white() / np.array(wrong))

    assert light is not None
    assert light[0] == pytest.approx(kelvin, rel=0.03)
    assert abs(light[1]) < 12
