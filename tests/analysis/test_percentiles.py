"""Percentiles by sorting, beside NumPy's."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.percentiles import by_column, median, percentile, percentiles

AT = (0, 1, 4.0, 25, 50, 97, 99.95, 100)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_they_are_those_of_numpy(kind: type, size: int) -> None:
    values = (np.random.default_rng(size).random(size) * 255).astype(kind)
    assert percentiles(values, AT) == pytest.approx(np.percentile(values, AT), rel=1e-5, abs=1e-5)
    assert percentile(values, 95) == pytest.approx(float(np.percentile(values, 95)), rel=1e-5)
    assert median(values) == pytest.approx(float(np.median(values)), rel=1e-5)


def test_values_that_are_often_the_same_count_as_often() -> None:
    values = np.repeat(np.array([0, 3, 255], np.uint8), (10, 1, 9))
    assert percentiles(values, AT) == pytest.approx(np.percentile(values, AT))


def test_a_picture_is_taken_as_all_of_its_values_and_stays_as_it_is() -> None:
    picture = np.random.default_rng(1).random((20, 30)).astype(np.float32)
    before = picture.copy()
    assert percentile(picture, 30) == pytest.approx(float(np.percentile(picture, 30)), rel=1e-5)
    assert (picture == before).all()


def test_columns_are_taken_apart() -> None:
    values = np.random.default_rng(2).random((500, 3))
    assert by_column(values, AT) == pytest.approx(np.percentile(values, AT, axis=0))
