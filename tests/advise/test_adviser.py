"""What is spoilt is repaired, what is good is left alone, and every step has a reason."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from immich_sidecar.advise.adviser import (
    APPLY_AT,
    Advice,
    Suggestion,
    advise,
    auto_approvable,
    develop_anyway,
    recipe_for,
)
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.analysis.measure.look import LookSource
from immich_sidecar.recipe.recipe import Recipe
from tests.photos.make import (
    Display,
    degraded,
    full_exif,
    sample_photo,
    scene,
    tilted,
    write_dng,
    write_gain_map_jpeg,
    write_jpeg,
    write_motion_photo,
    write_panorama,
    write_png,
)

AT = datetime(2024, 6, 1, 12, tzinfo=UTC)
HASH = "ab" * 32
Judge = Callable[[Display], tuple[Analysis, Advice]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Analyse and advise a picture as a camera's JPEG."""

    def run(picture: Display) -> tuple[Analysis, Advice]:
        analysis = analyse(write_jpeg(tmp_path / "photo.jpg", picture, exif=full_exif()))
        return analysis, advise(analysis)

    return run


def applied(advice: Advice) -> dict[str, Suggestion]:
    return {s.operation: s for s in advice.suggestions if s.applied}


def distance(a: Display, b: Display) -> float:
    from skimage.color import deltaE_ciede2000, rgb2lab

    return float(deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean())


def rendered(path: Path, analysis: Analysis, advice: Advice) -> Display:
    from immich_sidecar.develop.engine import render

    return render(path, recipe_for(HASH, advice, analysis, at=AT)).image


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_good_photos_are_left_alone(judge: Judge, name: str) -> None:
    _, advice = judge(sample_photo(name, shrink=1))

    assert not applied(advice)
    assert advice.left_alone


def test_good_scene_is_left_alone_with_a_reason(judge: Judge) -> None:
    analysis, advice = judge(scene(1200, 800))

    assert advice.left_alone == "well exposed, level and neutral"
    assert recipe_for(HASH, advice, analysis, at=AT).operations == ()


@pytest.mark.parametrize(
    ("name", "ev"),
    # What is drawn is no photo, and is answered from where it is plain; so is a launch at dusk, which was dim before.
    [(name, ev) for name in ("astronaut", "coffee") for ev in (-1.2, -1.5, -2.5)]
    + [(name, ev) for name in ("rocket", "scene") for ev in (-1.5, -2.5)],
)
def test_dark_photos_come_back(tmp_path: Path, name: str, ev: float) -> None:
    truth = scene() if name == "scene" else sample_photo(name, shrink=1)
    dark = degraded(truth, ev=ev)
    path = write_jpeg(tmp_path / "dark.jpg", dark, exif=full_exif())
    analysis = analyse(path)
    advice = advise(analysis)

    assert applied(advice)["exposure"].parameters["ev"] == pytest.approx(-ev, abs=0.4)
    assert "stops" in applied(advice)["exposure"].reason
    assert distance(rendered(path, analysis, advice), truth) < 0.45 * distance(dark, truth)


@pytest.mark.parametrize("degrees", [-3.0, 2.0])
def test_leaning_photos_are_turned_back(judge: Judge, degrees: float) -> None:
    _, advice = judge(tilted(scene(1200, 800), degrees))

    step = applied(advice)["straighten"]
    assert step.parameters["degrees"] == pytest.approx(degrees, abs=0.3)
    assert ("left" if degrees > 0 else "right") in step.reason


def test_turning_back_makes_it_level(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "tilt.jpg", tilted(scene(1200, 800), 2.5), exif=full_exif())
    analysis = analyse(path)
    level = rendered(path, analysis, advise(analysis))
    again = analyse(write_jpeg(tmp_path / "level.jpg", level, exif=full_exif()))

    assert again.tilt.degrees == pytest.approx(0.0, abs=0.3)
    assert "straighten" not in applied(advise(again))


def grey_street() -> Display:
    """A picture in which grey things of every brightness stand everywhere."""
    random = np.random.default_rng(5)
    grey = np.kron(random.uniform(0.02, 0.95, (20, 30, 1)), np.ones((32, 32, 1)))
    tint = np.kron(1 + 0.06 * random.normal(0, 1, (20, 30, 3)), np.ones((32, 32, 1)))
    return degraded((255 * np.clip(grey * tint, 0, 1) ** (1 / 2.2)).astype(np.uint8))


@pytest.mark.parametrize("cast", [(0.75, 1.0, 0.75), (1.25, 0.95, 1.25), (1.3, 1.0, 0.7), (0.75, 1.0, 1.35)])
def test_casts_over_everything_are_taken_away(tmp_path: Path, cast: tuple[float, float, float]) -> None:
    truth = grey_street()
    spoilt = degraded(truth, cast=cast)
    path = write_jpeg(tmp_path / "cast.jpg", spoilt, exif=full_exif())
    analysis = analyse(path)
    advice = advise(analysis)

    assert "white_balance" in applied(advice)
    assert distance(rendered(path, analysis, advice), truth) < 0.5 * distance(spoilt, truth)


@pytest.mark.parametrize("cast", [(1.3, 1.0, 0.7), (1.4, 1.0, 0.95)])
def test_warmth_is_left_to_a_picture_that_is_warm_where_it_is_light(
    tmp_path: Path, cast: tuple[float, float, float]
) -> None:
    path = write_jpeg(tmp_path / "cast.jpg", degraded(grey_street(), cast=cast), exif=full_exif())
    analysis = analyse(path)
    assert analysis.light is not None
    told = {"glow": 1.5, "colour_deviation": (0.25, 0.25)}
    evening = analysis.model_copy(update={"light": analysis.light.model_copy(update=told)})

    assert "white_balance" in applied(advise(analysis))
    assert "white_balance" not in applied(advise(evening))


def test_sand_in_a_low_sun_stays_sand_and_plain_magenta_goes(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "cast.jpg", degraded(grey_street(), cast=(1.25, 0.95, 1.25)), exif=full_exif())
    analysis = analyse(path)
    assert analysis.light is not None
    told = {"colour": (0.46, -0.69), "colour_deviation": (0.25, 0.25), "glow": 1.1, "colour_confidence": 0.81}
    sand = analysis.model_copy(update={"light": analysis.light.model_copy(update=told)})
    lit = analysis.model_copy(update={"light": analysis.light.model_copy(update={"glow": 1.5})})

    assert "white_balance" not in applied(advise(sand))
    assert "white_balance" in applied(advise(lit))


def test_visible_noise_is_taken_away(tmp_path: Path) -> None:
    truth = scene(1400, 960)
    noisy = degraded(truth, noise=9, chroma_noise=9)
    path = write_jpeg(tmp_path / "noisy.jpg", noisy, exif=full_exif())
    analysis = analyse(path)
    advice = advise(analysis)

    assert set(applied(advice)) == {"denoise"}
    assert distance(rendered(path, analysis, advice), truth) < 0.6 * distance(noisy, truth)


def test_fine_grain_is_kept(judge: Judge) -> None:
    assert "denoise" not in applied(judge(degraded(scene(1400, 960), noise=2, chroma_noise=2))[1])


def test_pictures_that_are_meant_dark_stay_dark(judge: Judge) -> None:
    random = np.random.default_rng(2)
    moon = np.zeros((800, 1200, 3), np.uint8)
    cv2.circle(moon, (600, 400), 90, (150, 145, 130), -1)
    lamps = degraded(scene(1200, 800), ev=-6)
    for x, y in random.integers(50, 750, (40, 2)):
        cv2.circle(lamps, (int(x), int(y)), 6, (255, 220, 160), -1)
    height = np.linspace(0, 1, 800)[:, None]
    sky = np.stack([110 + 90 * height, 40 + 60 * height, 30 * height], axis=-1)
    sunset = np.repeat(sky, 1200, axis=1).astype(np.uint8)
    sunset[520:] = 4

    for name, picture in {"moon": moon, "lamps": lamps, "sunset": sunset}.items():
        assert "exposure" not in applied(judge(picture)[1]), name


def test_bright_pictures_are_never_darkened_by_themselves(judge: Judge) -> None:
    for ev in (0.7, 1.5):
        assert not applied(judge(degraded(scene(1200, 800), ev=ev))[1])


def test_fog_stays_fog(judge: Judge) -> None:
    fog = degraded(scene(1200, 800), contrast=0.35)

    assert not applied(judge(fog)[1])


def test_pictures_that_carry_more_than_pixels_are_left_alone(tmp_path: Path) -> None:
    picture = degraded(scene(), ev=-2)
    cases = {
        "gain map": write_gain_map_jpeg(tmp_path / "gain.jpg", picture),
        "motion photo": write_motion_photo(tmp_path / "motion.jpg", picture),
        "panorama": write_panorama(tmp_path / "panorama.jpg", picture),
    }
    for word, path in cases.items():
        advice = advise(analyse(path))
        assert word in (advice.left_alone or "")
        assert advice.suggestions == ()


def test_photos_of_a_bracket_stay_as_they_were_exposed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA402: 2, 0x829A: 0.008, 0x829D: 8.0, 0x8827: 100})
    dark = (scene(360, 240) * 0.3).astype(np.uint8)
    analysis = analyse(write_jpeg(tmp_path / "one.jpg", dark, exif=exif.tobytes()))
    assert (analysis.facts.is_bracketed, analysis.facts.exposure_seconds, analysis.facts.f_number) == (True, 0.008, 8.0)
    advice = advise(analysis)
    assert advice.left_alone == "one of an exposure bracket, lighter or darker on purpose; the others belong to it"
    # A RAW file is developed all the same, but not made as bright as the others.
    facts = analysis.facts.model_copy(update={"is_raw": True})
    advice = advise(analysis.model_copy(update={"facts": facts}))
    assert advice.left_alone is None
    assert not {"exposure", "tone"} & set(applied(advice))
    facts = facts.model_copy(update={"is_bracketed": False})
    assert "exposure" in applied(advise(analysis.model_copy(update={"facts": facts})))


def test_screens_and_pages_get_no_step(tmp_path: Path) -> None:
    from tests.analysis.test_kind import page, screen

    cases = {
        "screenshot": write_png(tmp_path / "screen.png", cv2.resize(screen(), (1170, 2532), interpolation=0)),
        "document": write_jpeg(tmp_path / "page.jpg", page()),
    }
    for word, path in cases.items():
        advice = advise(analyse(path))
        assert word in (advice.left_alone or ""), path
        assert advice.suggestions == ()


@pytest.mark.parametrize("with_preview", [False, True])
@pytest.mark.parametrize("ev", [0.0, -2.0])
def test_raw_is_always_developed_and_never_dark(tmp_path: Path, with_preview: bool, ev: float) -> None:
    truth = scene(1200, 800)
    path = write_dng(tmp_path / "photo.dng", truth, ev=ev, shot=2e-4, preview=truth if with_preview else None)
    analysis = analyse(path)
    advice = advise(analysis)

    assert advice.left_alone is None
    assert analysis.look is not None
    assert (analysis.look.source is LookSource.PAIRS) == with_preview
    step = applied(advice)["decode"]
    assert step.confidence == 1.0
    image = rendered(path, analysis, advice)
    assert 85 < np.median(image) < 175
    if with_preview:
        assert distance(image, truth) < 4.5


def test_raw_in_strange_files_is_developed_too(photos: Path) -> None:
    for path in sorted((photos / "raw").iterdir()):
        analysis = analyse(path)
        advice = advise(analysis)
        assert "decode" in applied(advice)
        image = rendered(path, analysis, advice)
        assert 30 < np.median(image) < 200, path.name


def test_analysis_goes_to_json_and_back(judge: Judge, tmp_path: Path) -> None:
    analysis, _ = judge(scene())
    raw = analyse(write_dng(tmp_path / "photo.dng", scene(600, 400)))

    for one in (analysis, raw):
        assert Analysis.from_json(one.to_json()) == one
        assert Analysis.model_validate(one.model_dump(mode="json")) == one


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    heard: list[float] = []
    analyse(write_jpeg(tmp_path / "photo.jpg", scene(600, 400)), on_progress=heard.append)

    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (17, 23), (130, 97), (333, 601), (1201, 203), (1000, 999)])
def test_pictures_of_every_size_are_judged(judge: Judge, size: tuple[int, int]) -> None:
    random = np.random.default_rng(size[0])
    picture = random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)

    _, advice = judge(picture)

    assert advice.left_alone or applied(advice)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_empty_pictures_are_left_alone(judge: Judge, value: int) -> None:
    assert judge(np.full((700, 900, 3), value, np.uint8))[1].left_alone


def _recipe(*steps: tuple[str, dict[str, object], float]) -> Recipe:
    suggestions = tuple(
        Suggestion(operation=o, parameters=p, confidence=c, reason="because", applied=c >= APPLY_AT)
        for o, p, c in steps
    )
    from immich_sidecar.recipe.recipe import new_recipe

    return new_recipe(HASH, [s.model_dump() for s in suggestions], {}, at=AT)


def test_only_sure_recipes_are_approved_by_themselves() -> None:
    sure = ("exposure", {"ev": 1.0}, 0.93)
    unsure = ("straighten", {"degrees": 1.0}, 0.7)
    offered = ("straighten", {"degrees": 1.0}, 0.4)

    assert auto_approvable(_recipe(sure))
    assert auto_approvable(_recipe(("decode", {}, 1.0)))
    assert auto_approvable(_recipe(sure, offered))
    assert not auto_approvable(_recipe(sure, unsure))
    assert not auto_approvable(_recipe(offered))
    assert not auto_approvable(_recipe())


def test_develop_anyway_switches_every_suggestion_off() -> None:
    recipe = _recipe(("straighten", {"degrees": 1.0}, 0.7), ("exposure", {"ev": 1.0}, 0.5), ("decode", {}, 1.0))
    bare = develop_anyway(recipe, at=AT)

    assert [o.type for o in bare.operations] == ["decode"]
    assert bare.user_overrides == {"exposure": None, "straighten": None}
    assert bare.id != recipe.id


def test_apply_at_decides_what_is_applied(judge: Judge) -> None:
    analysis, _ = judge(degraded(scene(1200, 800), ev=-1.5))

    assert applied(advise(analysis, apply_at=0.5))
    assert not applied(advise(analysis, apply_at=0.99))
    assert advise(analysis, apply_at=0.99).suggestions


def test_overrides_survive_a_new_advice(judge: Judge) -> None:
    analysis, advice = judge(degraded(scene(1200, 800), ev=-1.5))
    recipe = recipe_for(HASH, advice, analysis, at=AT, overrides={"exposure": None, "straighten": {"degrees": 3.0}})

    assert [o.type for o in recipe.operations] == ["straighten"]
    assert recipe.ai_metadata["kind"] == Kind.PHOTO.value
    assert recipe.ai_metadata["engine"]
    assert Recipe.from_json(recipe.to_json()) == recipe


MOODS = (
    "sunset-canon-g11.jpg",
    "sea-sunset-noritsu.jpg",
    "palace-dusk-panasonic-lx3.jpg",
    "night-sign-canon-s40.jpg",
    "moon-kodak-fz201.jpg",
    "skiers-snow-canon-a70.jpg",
    "two-beers-samsung-s4.jpg",
    "group-indoors-canon-a560.jpg",
)


def test_real_photos_keep_their_mood(photos: Path) -> None:
    for name in MOODS:
        assert not set(applied(advise(analyse(photos / name)))) - {"straighten"}, name


#: Photos of the data folder that lean, by how many degrees, looked at with a grid laid over them.
LEANING = {
    "lake-samsung-s730.jpg": 1.4,
    "palace-dusk-panasonic-lx3.jpg": 1.8,
    "phone-box-orientation6-nikon-d40.jpg": 0.9,
    "sea-poles-sony-h9.jpg": -1.0,
    "skiers-snow-canon-a70.jpg": 1.6,
    "sunset-canon-g11.jpg": -1.1,
    "two-people-indoors.jpg": -1.5,
}


def test_real_photos_are_left_alone_but_for_those_that_lean(photos: Path) -> None:
    paths = sorted(photos.glob("*.jpg")) + sorted(photos.glob("*.heic"))
    touched = {path.name: applied(advise(analyse(path))) for path in paths}
    turned = {
        name: float(steps["straighten"].parameters["degrees"])
        for name, steps in touched.items()
        if "straighten" in steps
    }

    assert len(touched) > 20
    assert set(turned) <= set(LEANING)
    assert all(abs(degrees - LEANING[name]) < 0.6 for name, degrees in turned.items())
    assert len(turned) >= 3
    assert np.mean([not set(steps) - {"straighten"} for steps in touched.values()]) >= 0.95
