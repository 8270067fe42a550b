"""The photo in very few pixels says where things are, and how bright."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.glance import EDGE, Glance, measure_glance


def spot(height: int, width: int, x: float, y: float) -> np.ndarray:
    picture = np.full((height, width, 3), (90, 110, 90), np.uint8)
    top, left, side = round(y * height), round(x * width), round(0.12 * min(height, width))
    picture[top - side // 2 : top + side // 2, left - side // 2 : left + side // 2] = (240, 60, 40)
    return picture


@pytest.mark.parametrize("place", [(0.25, 0.3), (0.7, 0.5), (0.5, 0.8)])
@pytest.mark.parametrize("shape", [(600, 900), (900, 600)])
def test_what_stands_out_is_found(shape: tuple[int, int], place: tuple[float, float]) -> None:
    glance = measure_glance(spot(*shape, *place))
    strongest = max(range(len(glance.weights)), key=lambda cell: glance.weights[cell])

    assert max(glance.width, glance.height) == EDGE
    assert (strongest % glance.width + 0.5) / glance.width == pytest.approx(place[0], abs=0.07)
    assert (strongest // glance.width + 0.5) / glance.height == pytest.approx(place[1], abs=0.07)


def test_cells_hold_the_mean_of_light_and_not_of_codes() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[:, ::2] = 255

    light = measure_glance(picture).light
    assert light[len(light) // 2][0] == pytest.approx(0.5, abs=0.31)
    flat = measure_glance(np.full((40, 40, 3), (188, 99, 0), np.uint8)).light[5]
    assert flat == pytest.approx((0.503, 0.125, 0.0), abs=0.01)


def test_a_plain_picture_has_nothing_that_stands_out_more() -> None:
    assert max(measure_glance(np.full((300, 400, 3), 128, np.uint8)).weights) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 2), (33, 32)])
def test_every_shape_has_a_glance_that_goes_to_json_and_back(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    glance = measure_glance(noise)

    assert len(glance.light) == len(glance.weights) == glance.width * glance.height
    assert Glance.model_validate_json(glance.model_dump_json()) == glance
    assert len(glance.model_dump_json()) < 6000


def test_rubbish_is_refused() -> None:
    glance = measure_glance(np.zeros((20, 30, 3), np.uint8))
    for change in ({"width": 5}, {"colours": "AAAA"}, {"salience": "*"}, {"salience": ""}, {"height": 10**6}):
        with pytest.raises(ValueError, match=r"."):
            Glance.model_validate({**glance.model_dump(), **change})
