"""The colour table of a model: offered, never applied unasked, and not on top of what does the same."""

from datetime import UTC, datetime

import pytest

from immich_sidecar.advise.adviser import advise, recipe_for
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.findings import Findings, ToneTable
from immich_sidecar.recipe.operations import validate
from tests.photos.make import degraded, full_exif, scene, write_jpeg

DIGEST = "5f" * 32


def _found(analysis: Analysis, *, lightness: float = 6.0, chroma: float = 4.0, distance: float = 8.0) -> Analysis:
    made = ToneTable(sha256=DIGEST, lightness=lightness, chroma=chroma, distance=distance)
    return analysis.model_copy(update={"findings": Findings(tone=made)})


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(write_jpeg(tmp_path_factory.mktemp("good") / "a.jpg", scene(), exif=full_exif()))


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    picture = degraded(scene(), ev=-2.0)
    return analyse(write_jpeg(tmp_path_factory.mktemp("dark") / "a.jpg", picture, exif=full_exif()))


def test_it_is_offered_and_the_photo_left_alone(good: Analysis) -> None:
    advice = advise(_found(good))

    (offer,) = [s for s in advice.suggestions if s.operation == "lut"]
    assert not offer.applied
    assert validate("lut", offer.parameters)["sha256"] == DIGEST
    assert offer.reason == "a retouch learned from photos: brighter and with fuller colours"
    assert advice.left_alone == advise(good).left_alone
    types = [o.type for o in recipe_for("ab" * 32, advice, good, at=datetime(2024, 6, 1, tzinfo=UTC)).operations]
    assert "lut" not in types


@pytest.mark.parametrize(
    ("lightness", "chroma", "words"),
    [(-5, 0, "darker"), (0, -5, "with calmer colours"), (0, 0, "other contrast and colours"), (3, 0, "brighter")],
)
def test_the_reason_says_what_it_does(good: Analysis, lightness: float, chroma: float, words: str) -> None:
    advice = advise(_found(good, lightness=lightness, chroma=chroma))

    assert [s.reason for s in advice.suggestions if s.operation == "lut"] == [f"a retouch learned from photos: {words}"]


def test_what_nobody_sees_is_not_offered(good: Analysis) -> None:
    assert advise(_found(good, distance=1.0)) == advise(good)


def test_it_is_not_offered_where_light_is_corrected(dark: Analysis) -> None:
    advice = advise(_found(dark))

    assert any(s.operation == "exposure" and s.applied for s in advice.suggestions)
    assert advice == advise(dark)
