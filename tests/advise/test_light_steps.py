"""Which light of a scene counts as meant, told apart by what was measured alone."""

import pytest

from immich_sidecar.advise import tone, white_balance
from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.exposure import Exposure
from immich_sidecar.analysis.measure.light import Light

#: Chromaticities of one size: log2 of red/green and blue/green.
GREEN, SEPIA, CYANOTYPE, MAGENTA = (-0.4, -0.4), (0.35, -0.45), (-0.45, 0.35), (0.4, 0.4)


def analysis(
    *,
    colour: tuple[float, float] = (0.0, 0.0),
    ev: float = 0.0,
    sure: float = 0.9,
    variety: float = 0.8,
    darkness: float = 0.0,
    saturation: float = 0.3,
    headroom: float = 1.2,
    warmth: float = 0.0,
    glow: float = 0.0,
    deviation: float = 0.25,
) -> Analysis:
    """A picture of which nothing but its light is known."""
    exposure = Exposure(
        percentiles=(-8.0, -6.0, -4.0, -3.0, -2.0, -1.5, -1.2),
        key=-3.0,
        headroom=headroom,
        veil=0.0,
        clipped=(0.0, 0.0, 0.0, 0.0),
        crushed=0.0,
        darkness=darkness,
        warmth=warmth,
        saturation=saturation,
    )
    light = Light(
        colour=colour,
        colour_deviation=(deviation / 2**0.5, deviation / 2**0.5),
        variety=variety,
        glow=glow,
        ev=ev,
        ev_deviation=0.1,
        colour_confidence=sure,
        ev_confidence=sure,
    )
    return Analysis.model_construct(exposure=exposure, light=light)


def balance(**what: object) -> float:
    step = white_balance.suggest(analysis(**what))  # type: ignore[arg-type]
    return 0.0 if step is None else step.confidence


@pytest.mark.parametrize("scene", [{"darkness": 0.55}, {"saturation": 0.96}, {"variety": 0.05}])
def test_no_scene_is_meant_green_all_over(scene: dict[str, float]) -> None:
    assert balance(colour=GREEN, **scene) == pytest.approx(0.9)
    for meant in (SEPIA, CYANOTYPE, MAGENTA):
        assert balance(colour=meant, **scene) < APPLY_AT


def test_a_green_lamp_in_the_dark_is_kept() -> None:
    assert balance(colour=GREEN, darkness=0.7) == pytest.approx(0.9)
    assert balance(colour=GREEN, darkness=0.75) < APPLY_AT
    assert balance(colour=GREEN, darkness=0.8) == 0.0


def test_a_green_that_is_half_cool_counts_as_cool() -> None:
    assert balance(colour=(-0.6, -0.1), variety=0.05) == 0.0
    assert balance(colour=(-0.6, -0.3), variety=0.05) == pytest.approx(0.9)


@pytest.mark.parametrize("colour", [SEPIA, CYANOTYPE, GREEN, MAGENTA])
def test_a_cast_is_as_sure_as_the_estimator_where_nothing_explains_it(colour: tuple[float, float]) -> None:
    assert balance(colour=colour, sure=0.55) == pytest.approx(0.55)


def test_a_scene_explains_no_cast_that_is_known_exactly() -> None:
    for scene in ({"warmth": 0.95}, {"glow": 1.5}, {"saturation": 0.96}):
        doubted, half, known = (
            balance(colour=SEPIA, sure=0.8, deviation=deviation, **scene)  # type: ignore[arg-type]
            for deviation in (0.15, 0.135, 0.1)
        )
        assert doubted < APPLY_AT
        assert doubted < half < known
        assert known == pytest.approx(0.8)
    # Night is another thing: what is dark shows no cast.
    assert balance(colour=SEPIA, sure=0.8, deviation=0.1, darkness=0.6) == 0.0


def test_a_warm_cast_saturates_by_itself() -> None:
    assert balance(colour=SEPIA, sure=0.7, saturation=0.84) >= APPLY_AT
    assert balance(colour=CYANOTYPE, sure=0.7, saturation=0.84) < APPLY_AT
    assert balance(colour=SEPIA, sure=0.7, saturation=0.95) < APPLY_AT


def light(ev: float, sure: float, darkness: float = 0.0, colour: tuple[float, float] = (0.0, 0.0)) -> float:
    (step,) = tone.suggest(analysis(ev=-ev, sure=sure, darkness=darkness, colour=colour)) or [None]
    return 0.0 if step is None else step.confidence


def test_a_little_more_light_has_to_be_surer_than_more() -> None:
    assert light(0.55, 0.76) < APPLY_AT
    assert light(0.55, 0.76) < light(0.65, 0.76) < light(0.8, 0.76)
    assert light(0.95, 0.65) == pytest.approx(0.65)


def test_light_is_missed_sooner_where_a_green_tells_that_the_picture_was_spoilt() -> None:
    assert light(0.5, 0.65, colour=GREEN) >= APPLY_AT
    for other in ((0.0, 0.0), SEPIA, CYANOTYPE, MAGENTA):
        assert light(0.5, 0.65, colour=other) < APPLY_AT
    # A green that is offered only tells nothing, and night stays night.
    assert light(0.5, 0.55, colour=GREEN) < APPLY_AT
    assert light(0.5, 0.65, colour=GREEN, darkness=0.7) < APPLY_AT


@pytest.mark.parametrize(("told", "given"), [(1.0, 1.1), (1.3, 1.25), (0.7, 0.7), (1.8, 1.2)])
def test_where_white_is_and_what_is_told_are_both_believed(told: float, given: float) -> None:
    # The brightest light lies 1.2 EV below white.
    (step,) = tone.suggest(analysis(ev=-told))
    assert step.parameters["ev"] == pytest.approx(given)


def test_more_light_is_not_brought_to_the_night() -> None:
    assert light(1.0, 0.9, darkness=0.4) == pytest.approx(0.9)
    assert light(1.0, 0.9, darkness=0.5) >= APPLY_AT
    assert light(1.0, 0.9, darkness=0.6) < APPLY_AT
    assert light(1.0, 0.9, darkness=0.8) == 0.0


def test_dusk_is_kept_where_something_warm_shines_in_it() -> None:
    shines, lit = (
        tone.suggest(analysis(ev=-1.5, headroom=headroom, warmth=0.95))[0].confidence for headroom in (1.2, 1.9)
    )
    assert shines < APPLY_AT
    assert lit == pytest.approx(0.9)
