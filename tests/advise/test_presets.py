"""Presets: which suggestions become steps, and what is said where none does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from immich_sidecar.advise.adviser import Advice, advise, auto_approvable, recipe_for
from immich_sidecar.advise.looks import look_of, preset_in, with_preset
from immich_sidecar.advise.presets import MEANINGS, Preset, applies, chosen, preset_of
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.recipe.operations import operation_types
from immich_sidecar.recipe.recipe import change
from tests.photos.make import degraded, scene, write_dng

AT = datetime(2024, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A photo that leans and is much too dark."""
    path = tmp_path_factory.mktemp("presets") / "both.jpg"
    Image.fromarray(degraded(scene(960, 640, seed=3), ev=-2.0, tilt=4.0)).save(path, quality=95)
    return analyse(path)


def applied(analysis: Analysis, preset: Preset) -> set[str]:
    return {item.operation for item in advise(analysis, preset=preset).suggestions if item.applied}


def test_each_preset_applies_its_steps(both: Analysis) -> None:
    assert applied(both, Preset.NATURAL) >= {"straighten", "exposure"}
    assert applied(both, Preset.STRAIGHTEN) == {"straighten"}
    assert applied(both, Preset.LIGHT) >= {"exposure"}
    assert "straighten" not in applied(both, Preset.LIGHT)
    offered = {item.operation for item in advise(both, preset=Preset.STRAIGHTEN).suggestions}
    assert "exposure" in offered, "what is not applied is still offered"


def test_the_recipe_says_which_preset_it_was(both: Analysis) -> None:
    for preset, noted in ((Preset.NATURAL, None), (Preset.LIGHT, "light")):
        recipe = recipe_for("0" * 64, advise(both, preset=preset), both, at=AT, preset=preset)
        assert recipe.ai_metadata.get("preset") == noted


def test_a_photo_that_needs_something_else_is_left_alone_with_that_reason(tmp_path: Path) -> None:
    path = tmp_path / "dark.jpg"
    Image.fromarray(degraded(scene(480, 320, seed=900), ev=-2.5)).save(path, quality=95)
    advice = advise(analyse(path), preset=Preset.STRAIGHTEN)
    assert advice.left_alone == "nothing that the preset “Straighten only” does is needed; other steps are offered"


@pytest.mark.parametrize("preset", list(Preset))
def test_raw_files_are_developed_by_every_preset(preset: Preset, tmp_path: Path) -> None:
    advice = advise(analyse(write_dng(tmp_path / "a.dng", scene(240, 160, seed=1))), preset=preset)
    assert advice.left_alone is None
    assert any(item.operation == "decode" and item.applied for item in advice.suggestions)


def test_looks_are_relative_to_what_each_photo_needs(both: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "good.jpg"
    Image.fromarray(scene(960, 640, seed=3)).save(path, quality=95)
    good = analyse(path)
    for preset in (p for p, meaning in MEANINGS.items() if meaning.look):
        given = {}
        for name, analysis in (("dark", both), ("good", good)):
            wanted = chosen(preset, 80)
            recipe = recipe_for("0" * 64, advise(analysis, preset=wanted), analysis, at=AT, preset=wanted)
            plain = recipe_for("0" * 64, advise(analysis), analysis, at=AT)
            assert recipe.ai_metadata["left_alone"] is None, "the look was asked for"
            for operation in plain.operations:
                if operation.type not in MEANINGS[preset].look:
                    assert recipe.operation(operation.type) == operation, "the correction is what it was"
            given[name] = recipe.operation("exposure")
            assert with_preset(plain, wanted, is_raw=False, at=AT).operations == recipe.operations, "now or at first"
            assert preset_in(recipe) == wanted
        assert given["dark"] is not None
        assert given["good"] is None


def test_what_a_developed_copy_would_lose_is_left_alone_with_a_look_too(both: Analysis) -> None:
    facts = both.facts.model_copy(update={"is_panorama": True})
    assert advise(both.model_copy(update={"facts": facts}), preset=Preset.VIVID).left_alone is not None
    assert advise(both.model_copy(update={"kind": Kind.DOCUMENT}), preset=Preset.VIVID).left_alone is not None


def test_as_camera_is_the_cameras_own_rendering(both: Analysis, tmp_path: Path) -> None:
    raw = analyse(write_dng(tmp_path / "a.dng", degraded(scene(240, 160, seed=1), ev=-3)))
    recipe = recipe_for("0" * 64, advise(raw, preset=Preset.AS_CAMERA), raw, at=AT, preset=Preset.AS_CAMERA)
    done = {operation.type for operation in recipe.operations}
    assert done <= {"decode", "lens", "orientation", "denoise", "sharpen"}, "what cameras do themselves"
    assert applied(both, Preset.AS_CAMERA) == applied(both, Preset.NATURAL), "a picture gets what it needs"


def test_a_look_does_not_keep_auto_from_approving(both: Analysis) -> None:
    for confidence, expected in ((0.95, True), (0.7, False)):
        suggestions = tuple(
            s.model_copy(update={"confidence": confidence}) for s in advise(both, preset=Preset.VIVID).suggestions
        )
        advice = Advice(suggestions=suggestions)
        recipe = recipe_for("0" * 64, advice, both, at=AT, preset=chosen("vivid"))
        assert auto_approvable(recipe) is expected


def test_the_format_of_the_file_is_no_business_of_presets(both: Analysis) -> None:
    recipe = recipe_for("0" * 64, advise(both), both, at=AT, output="avif")
    for preset in Preset:
        changed = with_preset(recipe, chosen(preset), is_raw=False, at=AT)
        assert changed.operation("output") == recipe.operation("output") is not None, preset


def test_what_a_photo_has_beyond_suggestions_makes_a_look(both: Analysis) -> None:
    recipe = recipe_for("0" * 64, advise(both), both, at=AT)
    assert look_of(recipe) == {}, "what was proposed is this photo's own affair"
    proposed = recipe.operation("exposure")
    assert proposed is not None
    mine = change(recipe, {"exposure": {"ev": proposed.parameters["ev"] - 0.3}, "saturation": {"vibrance": 20}}, at=AT)
    look = look_of(mine)
    assert look["exposure"]["ev"] == pytest.approx(-0.3)
    assert look["saturation"]["vibrance"] == 20
    assert look.keys() == {"exposure", "saturation"}


def test_what_a_rule_allows_is_not_left_alone_for_what_it_is(both: Analysis) -> None:
    facts = both.facts.model_copy(update={"is_motion_photo": True, "is_panorama": True})
    special = both.model_copy(update={"facts": facts})
    assert advise(special).left_alone is not None
    assert advise(special, allowed=("live_photos",)).left_alone is not None, "it is a panorama as well"
    assert advise(special, allowed=("live_photos", "panoramas")).left_alone is None
    shot = both.model_copy(update={"kind": Kind.SCREENSHOT})
    assert advise(shot).left_alone is not None
    assert advise(shot, allowed=("screenshots",)).left_alone is None
    page = both.model_copy(update={"kind": Kind.DOCUMENT})
    assert advise(page, allowed=("screenshots",)).left_alone is not None


def test_presets_are_complete_and_name_real_steps() -> None:
    assert set(MEANINGS) == set(Preset)
    known = set(operation_types())
    for meaning in MEANINGS.values():
        assert (meaning.operations or set()) <= known
    assert preset_of(None) is preset_of("of a later release") is Preset.NATURAL
    assert all(applies(preset, "decode") for preset in Preset)
