"""Shrinking by averaging, beside OpenCV's."""

import cv2
import numpy as np
import pytest

from immich_sidecar.develop.averaging import averaged, boxed


def picture(shape: tuple[int, ...], kind: type) -> np.ndarray:
    values = np.random.default_rng(3).random(shape)
    return (values * {np.uint8: 255, np.uint16: 65535, np.float32: 1}[kind]).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(150, 260, 3), (151, 97), (40, 33, 1), (1, 5, 3)])
def test_pixels_are_the_mean_of_what_they_cover(shape: tuple[int, ...], kind: type) -> None:
    pixels = picture(shape, kind)
    for size in ((97, 61), (33, 40), (5, 1), (3, 1), (1, 1)):
        if size[0] > shape[1] or size[1] > shape[0]:
            continue
        mine, theirs = averaged(pixels, size), cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        assert mine.dtype == kind
        assert mine.reshape(theirs.shape).shape == theirs.shape
        distance = np.abs(mine.reshape(theirs.shape).astype(float) - theirs)
        # Where the mean lies between two code values, sums in another order may round it to the other one.
        assert distance.max() <= (1e-6 if kind is np.float32 else 1)
        assert distance.mean() < 5e-3


def test_pixels_stay_squares_where_a_factor_says_so() -> None:
    pixels = picture((683, 1024), np.uint8)
    mine = averaged(pixels, (800, 534), factor=1.28)
    theirs = cv2.resize(pixels, None, fx=1 / 1.28, fy=1 / 1.28, interpolation=cv2.INTER_AREA)
    assert np.abs(mine.astype(int) - theirs).max() <= 1


def test_one_colour_stays_that_colour() -> None:
    pixels = np.full((301, 457, 3), (255, 127, 1), np.uint8)
    assert (averaged(pixels, (200, 123)) == (255, 127, 1)).all()
    assert (averaged(pixels, (357, 235), factor=1.28) == (255, 127, 1)).all()


def test_the_picture_stays_as_it_is_and_may_be_any_view_of_one() -> None:
    whole = picture((90, 120, 3), np.uint8)
    before = whole.copy()
    part = whole[5:80:2, 10:100, ::-1]
    assert (averaged(part, (40, 20)) == averaged(np.ascontiguousarray(part), (40, 20))).all()
    assert (whole == before).all()


@pytest.mark.parametrize("side", [2, 5, 6, 256])
def test_whole_squares_are_averaged_and_the_rest_is_left_out(side: int) -> None:
    pixels = picture((700, 531, 3), np.uint8)
    rows, columns = 700 // side, 531 // side
    squares = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    assert np.abs(boxed(pixels, side) - squares.mean(axis=(1, 3))).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("side", [1, 2, 3, 6, 11, 256])
def test_of_four_rows_two_may_be_asked_alone(side: int) -> None:
    pixels = picture((700, 531, 3), np.uint8)
    rows, columns = 700 // side, 531 // side
    squares = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    asked = [number for number in range(side) if number % 4 < 2 and (number + 1 < side or number % 4 == 1)] or [0]
    wanted = squares[:, asked].mean(axis=(1, 3))
    assert np.abs(boxed(pixels, side, thinned=True) - wanted).max() <= 0.5 + 1e-4


def test_a_picture_narrower_than_a_square_is_averaged_over_what_there_is() -> None:
    pixels = picture((3, 40, 3), np.uint8)
    assert boxed(pixels, 8).shape == (1, 5, 3)
    assert np.abs(boxed(pixels, 8)[0] - pixels.reshape(3, 5, 8, 3).mean(axis=(0, 2))).max() <= 0.5 + 1e-4


def test_the_largest_square_of_white_stays_white() -> None:
    assert (boxed(np.full((256, 512, 3), 255, np.uint8), 256) == 255).all()
